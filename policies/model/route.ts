import type { HashKey } from './balancer.ts';
import type { Fraction } from './fraction.ts';
import type { HeaderMatch, QueryParameterMatch } from './match.ts';
import type { Mirror, MirrorDiff } from './mirror.ts';
import type { HedgePolicy, RetryPolicy } from './retry.ts';
import type { RouteFilter } from './route-filter.ts';

export type { HedgePolicy, RetryCondition, RetryPolicy } from './retry.ts';

export interface RouteConfiguration extends HeaderChanges {
  readonly name: string;
  /** Of changes to headers those of the route are made last, and not first. */
  readonly mostSpecificHeadersWin?: true;
  readonly virtualHosts: readonly VirtualHost[];
}

export interface VirtualHost extends HeaderChanges {
  readonly name: string;
  /** `*`, `shop.example`, `*.example`; without port or with. Mesh routes use `*`: the original destination chose the Service. */
  readonly domains: readonly string[];
  /** First match wins; no match is a 404 with flag NR. */
  readonly routes: readonly Route[];
  /** X-Envoy-Attempt-Count, for the application and for the client; absent: neither. */
  readonly attemptCount?: { readonly inRequest: boolean; readonly inResponse: boolean };
}

export interface Route {
  /** For logs: `<namespace>/<route>/<rule>`. */
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: ForwardAction | RedirectAction | DirectResponseAction;
  readonly requestHeaders: HeaderMutation;
  readonly responseHeaders: HeaderMutation;
  /** By name of the filter; absent: none sets anything. */
  readonly filters?: readonly RouteFilter[];
}

export interface RouteMatch {
  /** `connect`: requests for a tunnel by CONNECT, which have no path and match nothing else; the value is empty. */
  readonly path: {
    readonly kind: 'prefix' | 'exact' | 'pathSeparatedPrefix' | 'regex' | 'connect';
    readonly value: string;
  };
  readonly caseSensitive: boolean;
  /** All must match. */
  readonly headers: readonly HeaderMatch[];
  readonly queryParameters: readonly QueryParameterMatch[];
  /**
   * Of the requests that match so far; absent: all. One number is drawn for a request, so that the shares of routes
   * which follow each other are cumulative.
   */
  readonly share?: Fraction;
}

/** For all routes of a virtual host or a route configuration; absent: none. */
interface HeaderChanges {
  readonly requestHeaders?: HeaderMutation;
  readonly responseHeaders?: HeaderMutation;
}

/** Applied in the order remove, set, add, options. Names as to be sent. */
export interface HeaderMutation {
  readonly set: readonly HeaderValue[];
  readonly add: readonly HeaderValue[];
  /** Lower case. */
  readonly remove: readonly string[];
  /** What depends on the message; absent: nothing does. All are evaluated before any is applied. */
  readonly options?: readonly HeaderOption[];
}

export interface HeaderOption {
  readonly name: string;
  /** With Envoy's command operators, as `parseHeaderFormat` takes them. */
  readonly format: string;
  readonly action: 'add' | 'set' | 'addIfAbsent' | 'setIfPresent';
  /** Else a header of which nothing is known is left out. */
  readonly keepsEmpty: boolean;
}

export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

export const noMutation: HeaderMutation = { set: [], add: [], remove: [] };

export interface ForwardAction {
  readonly kind: 'forward';
  /** Weights may be zero; all zero: 500. */
  readonly clusters: readonly WeightedCluster[];
  /** 0: none. Whole exchange, retries included. */
  readonly timeoutMs: number;
  /** 0: that of the listener. */
  readonly idleTimeoutMs: number;
  /** There is none, not that of the listener either. */
  readonly idleTimeoutOff?: true;
  readonly retry: RetryPolicy | undefined;
  readonly hedge?: HedgePolicy;
  readonly hostRewrite: string | undefined;
  /** Lower case; where the request has that field, its value is the host. */
  readonly hostRewriteHeader?: string;
  /** The host is the name of the endpoint, where it has one. */
  readonly hostRewriteAuto?: true;
  /** The host before it was rewritten goes to X-Forwarded-Host. */
  readonly appendForwardedHost?: true;
  /** Of the whole exchange, tunnels included; 0: none. Absent: that of the listener. */
  readonly streamDurationMsMax?: number;
  /** The longest that a client may ask for by `grpc-timeout`; 0 or absent: as long as it likes. */
  readonly grpcTimeoutMsMax?: number;
  /** How much sooner than the client the proxy gives up; a call that has no more than that ends at once. */
  readonly grpcTimeoutOffsetMs?: number;
  /** Of calls of gRPC, in the place of `timeoutMs`: the longest that a client may ask for; 0: as long as it likes. */
  readonly grpcTimeoutInsteadMs?: number;
  readonly pathRewrite: PathRewrite | undefined;
  /** In its place: what the pattern finds in the path, without its query, is replaced. */
  readonly pathReplacement?: PathReplacement;
  /** In the place of what the connection manager says of these protocols, in lower case; absent: nothing else. */
  readonly upgrades?: readonly { readonly protocol: string; readonly allowed: boolean }[];
  readonly mirrors?: readonly Mirror[];
  readonly mirrorDiff?: MirrorDiff;
  /** For clusters that pick by hash; absent: at random. */
  readonly hashKeys?: readonly HashKey[];
}

export type PathRewrite =
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'full'; readonly value: string };

/** As RE2 writes them: `\1` to `\9` stand for groups, `\0` for all that was found, `\\` for a backslash. */
export interface PathReplacement {
  readonly pattern: string;
  readonly substitution: string;
}

export interface WeightedCluster {
  /** Empty: an invalid backend, answered 500. */
  readonly name: string;
  readonly weight: number;
  readonly requestHeaders: HeaderMutation;
  readonly responseHeaders: HeaderMutation;
}

export interface RedirectAction {
  readonly kind: 'redirect';
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme: string | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path: PathRewrite | undefined;
}

export interface DirectResponseAction {
  readonly kind: 'direct';
  readonly status: number;
  readonly body: string;
}
