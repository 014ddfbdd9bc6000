/** Matches of GRPCRoute rules as matches of the requests that calls are, and their precedence. */
import type { GRPCRoute } from '@weft/policies/crds/kinds';
import type { HeaderMatch } from '@weft/policies/model/match';
import type { RouteMatch } from '@weft/policies/model/route';
import { headerMatches, type RankedMatch } from './match.ts';

type GrpcMatch = NonNullable<GRPCRoute['spec']['rules']>[number]['matches'][number];
type MethodMatch = NonNullable<GrpcMatch['method']>;

/** What is no call is matched by no GRPCRoute; PROTOCOL-HTTP2 of gRPC has every call begin so. */
const isCall: HeaderMatch = {
  name: 'content-type',
  value: { kind: 'prefix', value: 'application/grpc', ignoreCase: false },
  invert: false,
};

export function translateGrpcMatch(match: GrpcMatch): RankedMatch {
  const headers = headerMatches(match.headers);
  const { method } = match;
  return {
    match: { path: pathOf(method), caseSensitive: true, headers: [isCall, ...headers], queryParameters: [] },
    rank: [...rankOf(method, method?.service), ...rankOf(method, method?.method), -headers.length],
  };
}

/** GRPCRouteRule.matches: by characters. How an expression ranks is left open: behind all that is spelt out. */
function rankOf(method: MethodMatch | undefined, text: string | undefined): readonly number[] {
  if (method === undefined || text === undefined || text === '') return [2, 0];
  return [method.type === 'Exact' ? 0 : 1, -text.length];
}

/** The path of a call is `/service/method` (PROTOCOL-HTTP2). */
function pathOf(method: MethodMatch | undefined): RouteMatch['path'] {
  const service = method?.service ?? '';
  const name = method?.method ?? '';
  if (method === undefined || (service === '' && name === '')) return { kind: 'prefix', value: '/' };
  if (method.type === 'RegularExpression') return { kind: 'regex', value: callPattern(method) };
  if (name === '') return { kind: 'prefix', value: `/${service}/` };
  return service === '' ? { kind: 'regex', value: `/[^/]+/${name}` } : { kind: 'exact', value: `/${service}/${name}` };
}

/** For a match of type RegularExpression: each expression has to match the whole of its part. */
export const callPattern = ({ service, method }: Pick<MethodMatch, 'service' | 'method'>): string =>
  `/${part(service)}/${part(method)}`;

const part = (pattern: string | undefined): string =>
  pattern === undefined || pattern === '' ? '[^/]+' : `(?:${withoutAnchors(pattern)})`;

/** In front of and behind what matches a whole text anyhow anchors say nothing, but in the middle of one they never hold. */
const withoutAnchors = (pattern: string): string => pattern.replace(/^\^/, '').replace(/(?<!\\)((?:\\\\)*)\$$/, '$1');
