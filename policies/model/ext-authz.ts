import type { StringMatch } from './match.ts';
import type { HeaderValue } from './route.ts';

/** An authorizer outside of the proxy that is asked about requests (Envoy's `envoy.filters.http.ext_authz`). */
export interface ExtAuthz {
  readonly service: GrpcAuthorizer | HttpAuthorizer;
  /** Of one question, from the wait for a connection to the last byte of the answer. */
  readonly timeoutMs: number;
  /** A request passes that nobody could be asked about. */
  readonly failureAllowed: boolean;
  /** It is told so: `x-envoy-auth-failure-mode-allowed: true`. */
  readonly tellsFailure: boolean;
  /** Where nobody could be asked and that is not allowed. */
  readonly errorStatus: number;
  /** Undefined: the authorizer sees no body. */
  readonly body: AuthorizerBody | undefined;
  /** Fields that the authorizer sees; undefined: by gRPC all, by HTTP Authorization alone. */
  readonly allowedHeaders: readonly StringMatch[] | undefined;
  /** Not these of them. */
  readonly disallowedHeaders: readonly StringMatch[];
  /** An answer that is malformed ends the request with status 500; else it is one that could not be read. */
  readonly validatesMutations: boolean;
  /** Undefined: all requests are asked about; else those that rules in the shadow match. */
  readonly enabledBy: ShadowMatch | undefined;
  /** For metrics. */
  readonly statPrefix: string;
}

export interface GrpcAuthorizer {
  readonly kind: 'grpc';
  readonly cluster: string;
  /** Empty: the name of the cluster. */
  readonly authority: string;
  readonly metadata: readonly HeaderValue[];
}

export interface HttpAuthorizer {
  readonly kind: 'http';
  readonly cluster: string;
  /** As Envoy wants one; only the cluster counts. */
  readonly uri: string;
  /** In front of the path that is asked about. */
  readonly pathPrefix: string;
  readonly headersToAdd: readonly HeaderValue[];
  /** Fields of the answer that the request takes over when it passes. */
  readonly upstreamHeaders: readonly StringMatch[];
  readonly upstreamHeadersToAppend: readonly StringMatch[];
  /** Fields of the answer that the client gets when it is refused; undefined: all. */
  readonly clientHeaders: readonly StringMatch[] | undefined;
  readonly clientHeadersOnSuccess: readonly StringMatch[];
}

export interface AuthorizerBody {
  readonly bytesMax: number;
  /** The beginning of a body that is larger will do; else it is answered with 413. */
  readonly partial: boolean;
  /** By gRPC as bytes, else as text. */
  readonly raw: boolean;
}

/** What a rule in the shadow left behind: RBAC that decides nothing, and says which policy would have. */
export interface ShadowMatch {
  readonly prefix: string;
  readonly value: { readonly kind: 'present' } | StringMatch;
}

/** What gRPC and HTTP wait by default in Envoy for an answer. */
export const AUTHORIZER_TIMEOUT_MS = 200;
