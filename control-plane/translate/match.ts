/** Matches of HTTPRoute rules, and their precedence (Gateway API, HTTPRouteRule.matches). */
import type { HeaderMatch, QueryParameterMatch } from '@weft/policies/model/match';
import type { RouteMatch } from '@weft/policies/model/route';
import type { RouteRule } from './attachment.ts';

type RuleMatch = RouteRule['matches'][number];

export function translateMatch(match: RuleMatch): RouteMatch {
  const headers: HeaderMatch[] = [];
  if (match.method !== undefined) headers.push(methodIs(match.method));
  for (const header of match.headers ?? []) {
    headers.push({ name: header.name.toLowerCase(), value: valueMatch(header), invert: false });
  }
  const queryParameters = (match.queryParams ?? []).map(
    (parameter): QueryParameterMatch => ({ name: parameter.name, value: valueMatch(parameter) }),
  );
  return { path: pathOf(match.path), caseSensitive: true, headers, queryParameters };
}

export const methodIs = (method: string): HeaderMatch => ({
  name: ':method',
  value: { kind: 'exact', value: method, ignoreCase: false },
  invert: false,
});

function valueMatch(match: { readonly type: 'Exact' | 'RegularExpression'; readonly value: string }) {
  return match.type === 'Exact'
    ? ({ kind: 'exact', value: match.value, ignoreCase: false } as const)
    : ({ kind: 'regex', value: match.value } as const);
}

function pathOf(path: RuleMatch['path']): RouteMatch['path'] {
  switch (path.type) {
    case 'Exact':
      return { kind: 'exact', value: path.value };
    case 'RegularExpression':
      return { kind: 'regex', value: path.value };
    case 'PathPrefix': {
      const value = prefixOf(path.value);
      return value === '' ? { kind: 'prefix', value: '/' } : { kind: 'pathSeparatedPrefix', value };
    }
  }
}

/** "/abc/" and "/abc" mean the same prefix of path elements. */
const prefixOf = (path: string): string => path.replace(/\/+$/, '');

const pathLength = (path: RuleMatch['path']): number =>
  path.type === 'PathPrefix' ? prefixOf(path.value).length : path.value.length;

const pathRank = { Exact: 0, RegularExpression: 1, PathPrefix: 2 } as const;

/** Negative when `a` is more specific. Equal ones keep the order they come in: by age of the route, then by rule. */
export function compareMatches(a: RuleMatch, b: RuleMatch): number {
  return (
    pathRank[a.path.type] - pathRank[b.path.type] ||
    pathLength(b.path) - pathLength(a.path) ||
    Number(b.method !== undefined) - Number(a.method !== undefined) ||
    (b.headers?.length ?? 0) - (a.headers?.length ?? 0) ||
    (b.queryParams?.length ?? 0) - (a.queryParams?.length ?? 0)
  );
}
