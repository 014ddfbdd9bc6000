/**
 * What has to hold of a request for a policy to match: read off its conditions, so that most policies need not be tried.
 * A condition that says nothing here is left to the trying.
 */
import type { Permission, Principal, RbacPolicy } from '@weft/policies/model/authorization';
import type { HeaderMatch, StringMatch } from '@weft/policies/model/match';
import { rangeDigits } from '../../net/addresses.ts';

/** What keys are compared with. `address` and `client` are digits of addresses, of which a range is a prefix. */
export const dimensions = ['identity', 'path', 'authority', 'address', 'client'] as const;
export type Dimension = (typeof dimensions)[number];

export interface Key {
  readonly kind: 'exact' | 'prefix';
  readonly value: string;
}

/** One of the keys has to hold. */
export interface KeySet {
  readonly dimension: Dimension;
  readonly keys: readonly Key[];
}

/** Each of the sets has to hold. */
type KeySets = readonly KeySet[];

const nothing: KeySets = [];

/** Of the parts that are asked at all. */
export const keySetsOf = (
  { permissions, principals }: RbacPolicy,
  asked: { readonly permissions: boolean; readonly principals: boolean },
): KeySets => [
  ...(asked.permissions ? inAnyOf(permissions.map(ofPermission)) : nothing),
  ...(asked.principals ? inAnyOf(principals.map(ofPrincipal)) : nothing),
];

function ofPermission(permission: Permission): KeySets {
  switch (permission.kind) {
    case 'and':
      return permission.rules.flatMap(ofPermission);
    case 'or':
      return inAnyOf(permission.rules.map(ofPermission));
    case 'path':
      return ofString('path', permission.match);
    case 'header':
      return ofHeader(permission.match);
    case 'any':
    case 'not':
    case 'destinationPort':
    case 'destinationIp':
      return nothing;
  }
}

function ofPrincipal(principal: Principal): KeySets {
  switch (principal.kind) {
    case 'and':
      return principal.ids.flatMap(ofPrincipal);
    case 'or':
      return inAnyOf(principal.ids.map(ofPrincipal));
    case 'authenticated':
      return principal.match === undefined ? one('identity', 'prefix', '') : ofString('identity', principal.match);
    case 'sourceIp':
      return one('address', 'prefix', rangeDigits(principal.range));
    case 'clientIp':
      return one('client', 'prefix', rangeDigits(principal.range));
    case 'header':
      return ofHeader(principal.match);
    case 'any':
    case 'not':
    case 'claim':
      return nothing;
  }
}

const one = (dimension: Dimension, kind: Key['kind'], value: string): KeySets => [
  { dimension, keys: [{ kind, value }] },
];

function ofString(dimension: Dimension, match: StringMatch): KeySets {
  if (match.kind === 'regex') return one(dimension, 'prefix', literalPrefix(match.value));
  if (match.ignoreCase || (match.kind !== 'exact' && match.kind !== 'prefix')) return nothing;
  return one(dimension, match.kind, match.value);
}

/** Authorities are compared in lower case, which what differs in case alone has in common. */
function ofHeader({ name, value, invert }: HeaderMatch): KeySets {
  if (name !== ':authority' || invert || (value.kind !== 'exact' && value.kind !== 'prefix')) return nothing;
  return one('authority', value.kind, value.value.toLowerCase());
}

/** Of alternatives only that is known which each of them says something of. */
function inAnyOf(alternatives: readonly KeySets[]): KeySets {
  const [first, ...others] = alternatives;
  if (first === undefined) return nothing;
  const common = dimensions.filter((dimension) =>
    alternatives.every((sets) => narrowest(sets, dimension) !== undefined),
  );
  return common.map((dimension) => ({
    dimension,
    keys: [first, ...others].flatMap((sets) => narrowest(sets, dimension)?.keys ?? []),
  }));
}

function narrowest(sets: KeySets, dimension: Dimension): KeySet | undefined {
  let best: KeySet | undefined;
  for (const set of sets) {
    if (set.dimension === dimension && (best === undefined || set.keys.length < best.keys.length)) best = set;
  }
  return best;
}

const SPECIAL = /[\\^$.*+?()[\]{}|]/;
const QUANTIFIER = /[*+?{]/;

/** What all texts that match begin with: the characters before the first that is not one by itself. */
export function literalPrefix(pattern: string): string {
  // An alternative may begin in another way.
  if (pattern.includes('|')) return '';
  let prefix = '';
  for (let i = 0; i < pattern.length; i++) {
    let char = pattern.charAt(i);
    if (char === '\\') {
      char = pattern.charAt(++i);
      // What is escaped is a character only where it is not a letter or digit: `\d`, `\x41`.
      if (!SPECIAL.test(char)) return prefix;
    } else if (SPECIAL.test(char)) return prefix;
    // It may not be there.
    if (QUANTIFIER.test(pattern.charAt(i + 1))) return prefix;
    prefix += char;
  }
  return prefix;
}
