/** What the specification asks of the list of rules of a route, whatever its kind. */
import type { Rule } from '../schema.ts';

export const rulesMax = 16;
const matchesMax = 128;

// CEL has no sum over a list; the cost of this one is constant.
const matchCountCel = Array.from(
  { length: rulesMax },
  (_, index) => `(size(self) > ${index} ? size(self[${index}].matches) : 0)`,
).join(' + ');

export const matchesBounded: Rule<readonly { readonly matches: readonly unknown[] }[]> = {
  cel: `${matchCountCel} <= ${matchesMax}`,
  message: `all rules together may have ${matchesMax} matches; split the route`,
  check: (list) => list.reduce((sum, rule) => sum + rule.matches.length, 0) <= matchesMax,
};

export const namesDiffer: Rule<readonly { readonly name?: string | undefined }[]> = {
  cel: 'self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))',
  message: 'uses one rule name twice; names must differ, policies refer to rules by them',
  check: (list) => {
    const used = list.flatMap((rule) => (rule.name === undefined ? [] : [rule.name]));
    return new Set(used).size === used.length;
  },
};
