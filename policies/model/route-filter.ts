import type { CorsPolicy } from './cors.ts';
import type { HttpFault } from './fault.ts';
import type { LocalRateLimit } from './overload.ts';
import type { SessionPersistence } from './session.ts';

/** What a route sets of an HTTP filter (Envoy's typed_per_filter_config); `name` is that of the filter. */
export type RouteFilter =
  | { readonly kind: 'cors'; readonly name: string; readonly cors: CorsPolicy }
  | { readonly kind: 'fault'; readonly name: string; readonly fault: HttpFault }
  | { readonly kind: 'localRateLimit'; readonly name: string; readonly limit: LocalRateLimit }
  /** Undefined: switched off for the route. */
  | { readonly kind: 'session'; readonly name: string; readonly session: SessionPersistence | undefined };

/** Names under which the mesh's own listeners have these filters. */
export const CORS_FILTER = 'envoy.filters.http.cors';
export const FAULT_FILTER = 'envoy.filters.http.fault';
export const SESSION_FILTER = 'envoy.filters.http.stateful_session';
