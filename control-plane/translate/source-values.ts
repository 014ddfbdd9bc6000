/** The lists of a source, each of which says who is meant and who is not. */
import type { AuthorizationPolicy } from '@weft/policies/crds/kinds';
import type { Principal } from '@weft/policies/model/authorization';

export type Rule = AuthorizationPolicy['spec']['rules'][number];
export type Source = NonNullable<Rule['from']>[number];

/** Any of the values and none of the negated ones. */
export function anyAndNone<T>(
  wanted: readonly T[] | undefined,
  unwanted: readonly T[] | undefined,
  one: (value: T) => Principal,
): Principal[] {
  const anyOf = (list: readonly T[]): Principal => ({ kind: 'or', ids: list.map(one) });
  return [
    ...(wanted === undefined ? [] : [anyOf(wanted)]),
    ...(unwanted === undefined ? [] : [{ kind: 'not' as const, id: anyOf(unwanted) }]),
  ];
}
