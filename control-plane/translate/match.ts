/** Matches of HTTPRoute rules, and their precedence (Gateway API, HTTPRouteRule.matches). */
import type { HTTPRoute } from '@weft/policies/crds/kinds';
import type { HeaderMatch, QueryParameterMatch } from '@weft/policies/model/match';
import type { RouteMatch } from '@weft/policies/model/route';

type HttpMatch = HTTPRoute['spec']['rules'][number]['matches'][number];

/** A match with its precedence: of two, the one whose first different number is smaller is the more specific. */
export interface RankedMatch {
  readonly match: RouteMatch;
  readonly rank: readonly number[];
}

/** Negative when `a` is more specific. Equal ones keep the order they come in: by age of the route, then by rule. */
export function compareRanks(a: RankedMatch, b: RankedMatch): number {
  for (const [index, value] of a.rank.entries()) {
    const difference = value - (b.rank[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function translateMatch(match: HttpMatch): RankedMatch {
  const { path, method, queryParams } = match;
  const headers = headerMatches(match.headers);
  const queryParameters = (queryParams ?? []).map(
    (parameter): QueryParameterMatch => ({ name: parameter.name, value: valueMatch(parameter) }),
  );
  // It has no path, so that the path that every match has cannot be meant (RFC 9110 section 9.3.6).
  const connect = method === 'CONNECT';
  return {
    match: {
      path: connect ? { kind: 'connect', value: '' } : pathOf(path),
      caseSensitive: true,
      headers: [...(method === undefined || connect ? [] : [methodIs(method)]), ...headers],
      queryParameters,
    },
    rank: [
      pathRank[path.type],
      -pathLength(path),
      method === undefined ? 1 : 0,
      -headers.length,
      -(queryParams?.length ?? 0),
    ],
  };
}

interface NamedMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

/** Of entries with equivalent names only the first counts (HTTPHeaderMatch.name, GRPCHeaderMatch.name). */
export function headerMatches(headers: readonly NamedMatch[] | undefined): HeaderMatch[] {
  const byName = new Map<string, HeaderMatch>();
  for (const header of headers ?? []) {
    const name = header.name.toLowerCase();
    if (!byName.has(name)) byName.set(name, { name, value: valueMatch(header), invert: false });
  }
  return [...byName.values()];
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

function pathOf(path: HttpMatch['path']): RouteMatch['path'] {
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

const pathLength = (path: HttpMatch['path']): number =>
  path.type === 'PathPrefix' ? prefixOf(path.value).length : path.value.length;

/** Where expressions rank is left to implementations. */
const pathRank = { Exact: 0, RegularExpression: 1, PathPrefix: 2 } as const;
