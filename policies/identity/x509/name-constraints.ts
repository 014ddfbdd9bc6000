/** Name constraints of a CA certificate (RFC 5280 section 4.2.1.10), for the names that the mesh issues: URI and DNS. */
import { err, ok, type Result } from '../../kit/result.ts';
import * as der from './der.ts';
import type { Extension } from './extensions.ts';
import { oid } from './oids.ts';

export interface NameConstraints {
  readonly permitted: readonly ConstrainedName[];
  readonly excluded: readonly ConstrainedName[];
}

interface ConstrainedName {
  readonly type: 'dns' | 'uri';
  /** A domain; with a leading dot: what is below it. Empty: everything. */
  readonly domain: string;
}

/** GeneralName tags; constraints on names of other kinds do not concern what is issued here. */
const types: Readonly<Record<number, ConstrainedName['type']>> = { 2: 'dns', 6: 'uri' };

export function decodeNameConstraints(
  extensions: ReadonlyMap<string, Extension>,
): Result<NameConstraints | undefined, string> {
  const value = extensions.get(oid.nameConstraints)?.value;
  if (value === undefined) return ok(undefined);
  if (!der.isUniversal(value, der.tag.sequence)) return err('name constraints are not a SEQUENCE');
  const subtrees = (number: number): ConstrainedName[] =>
    der.children(der.children(value).find((node) => der.isContext(node, number))).flatMap((subtree) => {
      const [base] = der.children(subtree);
      const type = base === undefined || base.tagClass !== 0x80 ? undefined : types[base.type];
      return base === undefined || type === undefined ? [] : [{ type, domain: der.contentText(base).toLowerCase() }];
    });
  return ok({ permitted: subtrees(0), excluded: subtrees(1) });
}

/** Whether a host of that kind of name may be in a certificate below; `host` in lower case. */
export function permitsHost(constraints: NameConstraints, type: ConstrainedName['type'], host: string): boolean {
  const covers = (name: ConstrainedName): boolean => name.type === type && within(name, host);
  if (constraints.excluded.some(covers)) return false;
  const ofType = constraints.permitted.filter((name) => name.type === type);
  return ofType.length === 0 || ofType.some(covers);
}

function within({ type, domain }: ConstrainedName, host: string): boolean {
  if (domain === '') return true;
  if (domain.startsWith('.')) return host.endsWith(domain) && host.length > domain.length;
  // A DNS constraint covers the subdomains as well; one for URIs names exactly one host.
  return host === domain || (type === 'dns' && host.endsWith(`.${domain}`));
}
