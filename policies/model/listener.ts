import type { AccessLog } from './access-log.ts';
import type { CidrRange, SocketAddress, WeightedTcpCluster } from './address.ts';
import type { Rbac } from './authorization.ts';
import type { DnsCache } from './dns-cache.ts';
import type { HttpEdge } from './edge.ts';
import type { ExtAuthz } from './ext-authz.ts';
import type { HttpFault } from './fault.ts';
import { defaultHttp2Options, type Http2Options } from './http2-options.ts';
import type { JwtAuthentication } from './jwt.ts';
import type { LocalReplies } from './local-reply.ts';
import type { Admission, GradientSettings, LocalRateLimit, RateLimit } from './overload.ts';
import type { ReservedHeaders } from './reserved-headers.ts';
import type { HeaderMutation, RouteConfiguration } from './route.ts';
import type { SessionPersistence } from './session.ts';
import type { DownstreamTls } from './tls.ts';

export type Direction = 'inbound' | 'outbound';

/** Name of a route configuration or cluster: what the Address of the original destination says. */
export const ORIGINAL_DESTINATION = 'weft.dev/original-destination';

export interface Listener {
  readonly name: string;
  readonly direction: Direction;
  readonly addresses: readonly SocketAddress[];
  /** The original destination (SO_ORIGINAL_DST) takes the place of the local address in matches. */
  readonly useOriginalDst: boolean;
  /** Listener filter proxy_protocol: each connection begins with such a header, whose addresses count. */
  readonly proxyProtocol: boolean;
  /** Listener filters tls_inspector and http_inspector. */
  readonly detectTls: boolean;
  readonly detectHttp: boolean;
  /** How long first bytes are waited for before the connection counts as opaque. */
  readonly detectTimeoutMs: number;
  /** A connection whose first bytes do not come in that time (0: as long as it takes) is closed; absent: it counts as opaque. */
  readonly closesUndetected?: true;
  /** What may wait to be sent to a client, beside what is being read; absent, or more: Weft's own bound. */
  readonly bufferBytesMax?: number;
  readonly filterChains: readonly FilterChain[];
  readonly defaultFilterChain: FilterChain | undefined;
  /** Settings of the mesh for this workload; from `filter_metadata["weft.dev"]`. */
  readonly settings: WorkloadSettings | undefined;
  /**
   * `restart`: traces of clients outside the mesh are not continued; absent: they are. From
   * `filter_metadata["weft.dev"].trace_context`.
   */
  readonly traceContext?: 'restart' | undefined;
}

/** Per-workload settings that no message of Envoy's carries. */
export interface WorkloadSettings {
  readonly tracing: TracingSettings | undefined;
  /** Lines in Weft's own form; `errors`: status 5xx, reset, or refused by a policy. `listener`: its loggers, in their forms. */
  readonly accessLog: 'listener' | 'none' | 'errors' | 'all';
  /** Names for labels of metrics and spans, `<namespace>/<name>`. */
  readonly workloadName: string;
  readonly serviceName: string;
}

/** Lines in Weft's own form, of the whole process, take the place of what the listener's loggers would write. */
export const logsInOwnForm = ({ settings }: Pick<Listener, 'settings'>): boolean =>
  settings !== undefined && settings.accessLog !== 'listener';

export interface TracingSettings {
  /** OTLP endpoint, for example `http://otel.observability.svc:4318`. */
  readonly otlpEndpoint: string;
  readonly otlpProtocol: 'grpc' | 'http';
  /** 0..100, for requests that bring no decision of their own. */
  readonly samplingPercent: number;
}

/** Matched as Envoy does: destination port, address, server names, transport, ALPN; most specific first. */
export interface FilterChainMatch {
  readonly destinationPort: number | undefined;
  readonly destinationRanges: readonly CidrRange[];
  readonly serverNames: readonly string[];
  readonly transportProtocol: 'tls' | 'raw_buffer' | undefined;
  /** ALPN of TLS; `http/1.0`, `http/1.1`, `h2c` for detected plaintext. */
  readonly applicationProtocols: readonly string[];
}

/** Other matches say in what they differ. */
export const anyTraffic: FilterChainMatch = {
  destinationPort: undefined,
  destinationRanges: [],
  serverNames: [],
  transportProtocol: undefined,
  applicationProtocols: [],
};

export interface FilterChain {
  readonly name: string;
  readonly match: FilterChainMatch;
  /** Undefined: plaintext, or TLS passed through untouched. */
  readonly tls: DownstreamTls | undefined;
  /** Network RBAC filters, before the terminal one. */
  readonly networkRbac: readonly Rbac[];
  /** Where the name that TLS asks for is the host that opaque bytes go to (Envoy's sni_dynamic_forward_proxy). */
  readonly serverNameProxy?: { readonly cache: DnsCache; readonly port: number };
  /**
   * For destinations that are not of the mesh, and for no others; `service` is their label. From the chain's
   * `filter_metadata["weft.dev"]`.
   */
  readonly outside?: { readonly service: string };
  readonly terminal: HttpConnectionManager | TcpProxy;
}

export interface HttpConnectionManager {
  readonly kind: 'http';
  readonly statPrefix: string;
  readonly codec: 'auto' | 'http1' | 'http2';
  readonly route:
    | { readonly kind: 'inline'; readonly config: RouteConfiguration }
    | { readonly kind: 'rds'; readonly name: string };
  readonly filters: readonly HttpFilter[];
  readonly limits: HttpLimits;
  readonly edge: HttpEdge;
  /** Proxies in front whose forwarded headers are believed; 0: none. */
  readonly trustedHops: number;
  readonly accessLogs: readonly AccessLog[];
  /** Absent: they are sent as they are. */
  readonly localReplies?: LocalReplies;
}

export interface HttpLimits {
  readonly headBytesMax: number;
  readonly headersCountMax: number;
  /** Of the request line, answered with 414; 0: what the head may have. */
  readonly requestLineBytesMax: number;
  /** Of a field line, answered with 431; 0: what the head may have. */
  readonly fieldLineBytesMax: number;
  /** Answered with 413; 0: none. */
  readonly requestBodyBytesMax: number;
  /** 0: none. From the first byte of the request to its end. */
  readonly requestTimeoutMs: number;
  /** 0: none. Head complete within this time. */
  readonly headTimeoutMs: number;
  readonly streamIdleTimeoutMs: number;
  /** Keep-alive connection without a request. */
  readonly idleTimeoutMs: number;
  readonly requestsPerConnectionMax: number;
  /** 0: none. After it a connection takes no new requests: `Connection: close`, or GOAWAY. */
  readonly connectionDurationMsMax: number;
  /** How long a connection that takes no new requests waits for one that is under way to it. */
  readonly drainTimeoutMs: number;
  /** 0: none. From the head of a request to the end of its response, tunnels included. */
  readonly streamDurationMsMax: number;
  /** After our last byte, until the client has closed too; 0: not at all. */
  readonly lingerTimeoutMs: number;
  /** Else answered with 426. */
  readonly http10Accepted: boolean;
  /** Authority of HTTP/1.0 requests without Host; empty: where they were sent to. */
  readonly http10DefaultHost: string;
  readonly concurrentStreamsMax: number;
  readonly http2: Http2Options;
}

export const defaultHttpLimits: HttpLimits = {
  headBytesMax: 61_440,
  headersCountMax: 100,
  requestLineBytesMax: 0,
  fieldLineBytesMax: 0,
  requestBodyBytesMax: 0,
  requestTimeoutMs: 0,
  headTimeoutMs: 60_000,
  streamIdleTimeoutMs: 300_000,
  idleTimeoutMs: 3_600_000,
  requestsPerConnectionMax: 0,
  connectionDurationMsMax: 0,
  drainTimeoutMs: 5_000,
  streamDurationMsMax: 0,
  lingerTimeoutMs: 1_000,
  http10Accepted: true,
  http10DefaultHost: '',
  concurrentStreamsMax: 1_024,
  http2: defaultHttp2Options,
};

export type HttpFilter =
  | { readonly kind: 'rbac'; readonly name: string; readonly rbac: Rbac }
  | { readonly kind: 'jwt'; readonly name: string; readonly jwt: JwtAuthentication }
  /** Decides nothing: later filters learn which policy would have, under `prefix`. */
  | { readonly kind: 'rbacShadow'; readonly name: string; readonly prefix: string; readonly rbac: Rbac }
  | { readonly kind: 'extAuthz'; readonly name: string; readonly authz: ExtAuthz }
  /** Fields of these lower-case names are taken off requests. */
  | { readonly kind: 'headerRemoval'; readonly name: string; readonly headers: readonly string[] }
  /** Step by step, when the route is known; of responses, before those of filters that stand in front of it. */
  | {
      readonly kind: 'headerMutation';
      readonly name: string;
      readonly request: readonly HeaderMutation[];
      readonly response: readonly HeaderMutation[];
    }
  | { readonly kind: 'reservedHeaders'; readonly name: string; readonly reserved: ReservedHeaders }
  /** Its policies are those of the routes. */
  | { readonly kind: 'cors'; readonly name: string }
  /** For routes that set none themselves. */
  | { readonly kind: 'fault'; readonly name: string; readonly fault: HttpFault }
  | { readonly kind: 'session'; readonly name: string; readonly session: SessionPersistence | undefined }
  | { readonly kind: 'localRateLimit'; readonly name: string; readonly limit: LocalRateLimit }
  | { readonly kind: 'rateLimits'; readonly name: string; readonly limits: readonly RateLimit[] }
  | { readonly kind: 'adaptiveConcurrency'; readonly name: string; readonly gradient: GradientSettings }
  | { readonly kind: 'admission'; readonly name: string; readonly admission: Admission }
  /** Names of requests are looked up: what a cluster that is `dynamic` needs on Envoy. */
  | { readonly kind: 'dynamic-dns'; readonly name: string; readonly cache: DnsCache }
  | { readonly kind: 'router' };

export interface TcpProxy {
  readonly kind: 'tcp';
  readonly statPrefix: string;
  readonly clusters: readonly WeightedTcpCluster[];
  readonly idleTimeoutMs: number;
  readonly accessLogs: readonly AccessLog[];
  /** Clusters that pick by hash do so by the client's address. */
  readonly hashesSource?: true;
}
