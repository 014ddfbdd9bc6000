/** Where the signing key comes from. */
import { createHash } from 'node:crypto';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Authority } from './authority.ts';
import { type LoadOptions, loadAuthority, materialOf } from './material.ts';
import { createRoot } from './root.ts';
import type { CaData } from './store.ts';

export type SourceKind = 'secret' | 'files' | 'cert-manager' | 'pkcs11';

export interface Sourced {
  /** The same object until what it was made of changes. */
  readonly authority: Authority;
  /** The key from before, kept while the new one is announced. */
  readonly previous: Authority | undefined;
}

export interface KeySource {
  readonly kind: SourceKind;
  /** Asked again and again; undefined: nothing is there yet. */
  read(data: CaData): Promise<Result<Sourced | undefined, string>>;
  /** What the store is to hold for another key to take over; only of a source that makes its own. */
  readonly generate?: (data: CaData) => Promise<Result<CaData, string>>;
  /** One step towards the next key, of a source that others have to sign for; asked of one replica again and again. */
  readonly drive?: (data: CaData) => Promise<Driven>;
  /** With the key of before beside the one that somebody has put in its place; only of a source that keeps keys in the store. */
  readonly keepPrevious?: (before: CaData, data: CaData) => CaData;
  stop?(): void;
}

export interface Driven {
  /** What the store is to hold before the next step; the same object when nothing changes. */
  readonly data: CaData;
  /** What stands between now and the next key; undefined: nothing is under way. */
  readonly waitsFor: string | undefined;
  /** Something that somebody has to look at. */
  readonly problem: string | undefined;
}

export const previousKeys = ['previous.crt', 'previous.key', 'previous-root-cert.pem'] as const;

/** The store itself: a root of our own making, or what an operator has put there. */
export class StoreKeySource implements KeySource {
  readonly kind = 'secret';
  private readonly options: LoadOptions;
  private readonly trustDomain: Parameters<typeof createRoot>[0];
  private last: { readonly digest: string; readonly sourced: Sourced } | undefined;

  constructor(trustDomain: Parameters<typeof createRoot>[0], options: LoadOptions) {
    this.trustDomain = trustDomain;
    this.options = options;
  }

  async read(data: CaData): Promise<Result<Sourced | undefined, string>> {
    const material = materialOf(data);
    if (!material.ok || material.value === undefined) return material.ok ? ok(undefined) : material;
    const digest = digestOf([
      material.value.chainPem,
      material.value.anchorsPem ?? '',
      material.value.privateKeyPem.reveal(),
      ...previousKeys.map((key) => data[key] ?? ''),
    ]);
    if (this.last?.digest === digest) return ok(this.last.sourced);
    const authority = loadAuthority(material.value, { ...this.options, names: material.value.names });
    if (!authority.ok) return authority;
    const sourced = { authority: authority.value, previous: this.previous(data) };
    this.last = { digest, sourced };
    return ok(sourced);
  }

  /** A new root beside the old one, whose key stays until the new one has been announced. */
  readonly generate = async (data: CaData): Promise<Result<CaData, string>> => {
    const { 'ca.crt': chain, 'ca.key': key, 'previous.crt': _crt, 'previous.key': _key, ...rest } = data;
    if (materialOf(rest).ok && Object.keys(rest).some((name) => name.endsWith('key') || name.endsWith('-key.pem')))
      return err('the key has been put there by an operator; put another in its place');
    if (data['root-cert.pem'] !== undefined)
      return err('the signing certificate is an intermediate of an outside authority; put another in its place');
    const root = await createRoot(this.trustDomain, this.options.clock.unixMs());
    const previous = chain === undefined || key === undefined ? {} : { 'previous.crt': chain, 'previous.key': key };
    return ok({ ...rest, ...previous, 'ca.crt': root.chainPem, 'ca.key': root.privateKeyPem.reveal() });
  };

  /** So that a restart goes on signing with it until the other one has been announced. */
  readonly keepPrevious = (before: CaData, data: CaData): CaData => {
    const material = materialOf(before);
    if (!material.ok || material.value === undefined || data['previous.key'] !== undefined) return data;
    const { chainPem, anchorsPem, privateKeyPem } = material.value;
    const [crt, key, anchors] = previousKeys;
    const kept = { ...data, [crt]: chainPem, [key]: privateKeyPem.reveal() };
    return anchorsPem === undefined ? kept : { ...kept, [anchors]: anchorsPem };
  };

  /** One that is broken is worth no more than none: the new key takes over at once. */
  private previous(data: CaData): Authority | undefined {
    const [crt, key, anchors] = previousKeys;
    const material = materialOf({ 'ca.crt': data[crt], 'ca.key': data[key], 'root-cert.pem': data[anchors] });
    if (!material.ok || material.value === undefined) return undefined;
    const loaded = loadAuthority(material.value, this.options);
    return loaded.ok ? loaded.value : undefined;
  }
}

export function digestOf(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length} ${part}`);
  return hash.digest('hex');
}
