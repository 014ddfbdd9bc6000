/** `to` and `when` of an AuthorizationPolicy rule: what is asked for. */
import type { AuthorizationPolicy } from '@weft/policies/crds/kinds';
import type { Permission } from '@weft/policies/model/authorization';
import type { HeaderMatch } from '@weft/policies/model/match';
import { methodIs } from './match.ts';
import { parsePattern, pathPattern } from './patterns.ts';

type Rule = AuthorizationPolicy['spec']['rules'][number];
type Operation = NonNullable<Rule['to']>[number];
type Condition = NonNullable<Rule['when']>[number];

export function httpPermissions(rule: Rule): Permission[] {
  const conditions = (rule.when ?? []).flatMap(conditionRules);
  const operations = rule.to ?? [];
  if (operations.length === 0) return [allOf(conditions)];
  return operations.map((operation) => allOf([...httpRules(operation), ...portRules(operation), ...conditions]));
}

/**
 * The part of a rule that can be judged without requests. What rests on a request cannot be shown to hold there:
 * a rule that lets in does not, a rule that keeps out does all the more.
 */
export function networkPermissions(rule: Rule, effect: 'lets-in' | 'keeps-out'): Permission[] {
  if (rule.when !== undefined && effect === 'lets-in') return [];
  const operations = rule.to ?? [];
  if (operations.length === 0) return [{ kind: 'any' }];
  return operations
    .filter((operation) => effect === 'keeps-out' || !asksForHttp(operation))
    .map((operation) => allOf(portRules(operation)));
}

const asksForHttp = (operation: Operation): boolean =>
  (operation.methods ?? operation.notMethods ?? operation.paths ?? operation.notPaths) !== undefined ||
  (operation.hosts ?? operation.notHosts) !== undefined;

function allOf(rules: readonly Permission[]): Permission {
  const [first, ...rest] = rules;
  if (first === undefined) return { kind: 'any' };
  return rest.length === 0 ? first : { kind: 'and', rules };
}

/** Any of the values and none of the negated ones. */
function values<T>(
  wanted: readonly T[] | undefined,
  unwanted: readonly T[] | undefined,
  permission: (value: T) => Permission,
): Permission[] {
  const anyOf = (list: readonly T[]): Permission => ({ kind: 'or', rules: list.map(permission) });
  return [
    ...(wanted === undefined ? [] : [anyOf(wanted)]),
    ...(unwanted === undefined ? [] : [{ kind: 'not' as const, rule: anyOf(unwanted) }]),
  ];
}

const portRules = (operation: Operation): Permission[] =>
  values(operation.ports, operation.notPorts, (port) => ({ kind: 'destinationPort', port }));

function httpRules(operation: Operation): Permission[] {
  return [
    ...values(operation.methods, operation.notMethods, (method) => header(methodIs(method))),
    ...values(operation.paths, operation.notPaths, (path): Permission => {
      const pattern = pathPattern(path);
      return pattern.kind === 'any' ? pattern : { kind: 'path', match: pattern };
    }),
    ...values(operation.hosts, operation.notHosts, hostPermission),
  ];
}

const header = (match: HeaderMatch): Permission => ({ kind: 'header', match });

/**
 * A host without a port also means the host with any port (RFC 9110 section 7.2), and either of them with the dot of the
 * root at its end (RFC 3986 section 3.2.2).
 */
function hostPermission(host: string): Permission {
  const pattern = parsePattern(host, true);
  if (pattern.kind === 'any') return { kind: 'any' };
  const named = (kind: 'exact' | 'prefix' | 'suffix' | 'contains', value: string): Permission =>
    header({ name: ':authority', value: { kind, value, ignoreCase: true }, invert: false });
  if (pattern.kind === 'prefix') return named('prefix', pattern.value);
  const [, name = '', port = ''] = /^(.*?)(:[0-9]+)?$/.exec(pattern.value) ?? [];
  const names = name.endsWith('.') || name.endsWith(']') ? [name] : [name, `${name}.`];
  const rules =
    port === ''
      ? names.flatMap((one) => [
          named(pattern.kind, one),
          // Nothing but a port comes after a colon that follows a name.
          named(pattern.kind === 'exact' ? 'prefix' : 'contains', `${one}:`),
        ])
      : names.map((one) => named(pattern.kind, one + port));
  return { kind: 'or', rules };
}

function conditionRules(condition: Condition): Permission[] {
  const name = condition.header.toLowerCase();
  // It is the authority by then, wherever it was said (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1).
  if (name === 'host') return values(condition.values, condition.notValues, hostPermission);
  return values(condition.values, condition.notValues, (value) => {
    const pattern = parsePattern(value);
    return header({ name, value: pattern.kind === 'any' ? { kind: 'present' } : pattern, invert: false });
  });
}
