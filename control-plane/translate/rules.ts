/** The one form that rules of HTTPRoutes and GRPCRoutes become: what translation, policies and statuses look at. */
import type { AnyRoute, GRPCRoute, HTTPRoute } from '@weft/policies/crds/kinds';
import { translateGrpcMatch } from './grpc-match.ts';
import { type RankedMatch, translateMatch } from './match.ts';
import { droppedRules } from './rule-faults.ts';

export type HttpRule = HTTPRoute['spec']['rules'][number];
export type HttpBackendRef = NonNullable<HttpRule['backendRefs']>[number];
/** Those of GRPCRoutes are fewer, and mean the same. */
export type RouteFilter = NonNullable<HttpRule['filters']>[number];

export type RequestRoute = HTTPRoute | GRPCRoute;

export interface RequestRule
  extends Pick<HttpRule, 'name' | 'timeouts' | 'retry' | 'sessionPersistence' | 'filters' | 'backendRefs'> {
  readonly route: RequestRoute;
  /** Place in the route. */
  readonly index: number;
  /** Any of them will do. */
  readonly matches: readonly RankedMatch[];
}

const everything: HttpRule['matches'] = [{ path: { type: 'PathPrefix', value: '/' } }];

/** Rules that are carried out; those that cannot be are left out. */
export function requestRules(route: AnyRoute): RequestRule[] {
  const dropped = droppedRules(route);
  return allRules(route).filter(({ index }) => !dropped.has(index));
}

function allRules(route: AnyRoute): RequestRule[] {
  switch (route.kind) {
    case 'HTTPRoute':
      return route.spec.rules.map((rule, index) => ({
        ...rule,
        route,
        index,
        // No matches at all would match nothing; the API means everything (HTTPRouteRule.matches).
        matches: (rule.matches.length > 0 ? rule.matches : everything).map(translateMatch),
      }));
    case 'GRPCRoute':
      return (route.spec.rules ?? []).map((rule, index) => ({
        ...rule,
        route,
        index,
        matches: (rule.matches.length > 0 ? rule.matches : [{}]).map(translateGrpcMatch),
      }));
    case 'TCPRoute':
    case 'TLSRoute':
      return [];
  }
}
