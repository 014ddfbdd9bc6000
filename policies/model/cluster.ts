import type { SpiffeId } from '../identity/spiffe-id.ts';
import type { SocketAddress } from './address.ts';
import type { Balancer, Subset, ZoneAware } from './balancer.ts';
import type { DnsCache } from './dns-cache.ts';
import type { TcpFault } from './fault.ts';
import type { HealthCheck } from './health-check.ts';
import type { EndpointHints, Locality } from './locality.ts';
import type { ManagementServer } from './management-server.ts';
import type { OutlierDetection } from './outlier.ts';
import type { UpstreamTls } from './tls.ts';
import type { UpstreamConnections } from './upstream-connections.ts';

export interface Cluster {
  readonly name: string;
  readonly discovery:
    | {
        readonly kind: 'eds';
        readonly serviceName: string;
        /** Of a bootstrap: a file that they are read from, or whom to ask. Absent: all comes from one control plane. */
        readonly source?: EndpointSource;
      }
    | { readonly kind: 'static'; readonly assignment: EndpointAssignment }
    | {
        readonly kind: 'strict-dns';
        readonly hosts: readonly { readonly host: string; readonly port: number }[];
        readonly refreshMs: number;
        /** Addresses that count; absent: both families. */
        readonly family?: 'v4' | 'v6' | 'v4-preferred';
        /** Envoy's LOGICAL_DNS: one address of the name, whichever comes first. */
        readonly first?: boolean;
      }
    /**
     * The host that a request or a ClientHello names, looked up when it does (Envoy's dynamic_forward_proxy). `pattern`
     * bounds the names, `*.example.com`; empty: any. `port`: 0 for that of the host. From `filter_metadata["weft.dev"]`.
     */
    | { readonly kind: 'dynamic'; readonly cache: DnsCache; readonly port: number; readonly pattern: string }
    /** The connection's original destination, or of the Address that it stands for. */
    | { readonly kind: 'original-dst' };
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly requestsPerConnectionMax: number;
  readonly balancer: Balancer;
  /** Absent: every client uses all endpoints. */
  readonly subset?: Subset;
  /** Absent: zones do not count. */
  readonly zoneAware?: ZoneAware;
  /**
   * What the upstream speaks inside TLS or plaintext. `downstream`: as the request came in (Envoy's
   * use_downstream_protocol_config); `negotiated`: as ALPN finds (auto_config).
   */
  readonly protocol: 'http1' | 'http2' | 'downstream' | 'negotiated';
  /** Absent: `defaultUpstreamConnections`. */
  readonly connections?: UpstreamConnections;
  /** What may wait to be sent to an endpoint on one connection; absent, or more: Weft's own bound. */
  readonly bufferBytesMax?: number;
  readonly limits: ClusterLimits;
  readonly errorRate: ErrorRateBreaker | undefined;
  readonly outlier: OutlierDetection | undefined;
  /** Absent: endpoints are as well as their assignment says. */
  readonly healthCheck?: HealthCheck;
  /** Where fewer of the endpoints are healthy, all of them get traffic; 0: never. */
  readonly healthyPanicPercent: number;
  /**
   * For every endpoint. Undefined and the endpoint is `mtls`: mesh TLS to the endpoint's SPIFFE ID, if `meshTls`.
   */
  readonly tls: UpstreamTls | undefined;
  /** SNI, and the name that the certificate has to bear, are the host of the request; absent: as `tls` says. */
  readonly sniFromHost?: true;
  /** Mesh TLS to endpoints that take it (`weft.dev/tls: mtls`), plaintext to others. */
  readonly meshTls: boolean;
  /** Of connections of opaque bytes; from `filter_metadata["weft.dev"]`. */
  readonly fault?: TcpFault;
  /** Absent: endpoints are alike, wherever they run. */
  readonly locality?: Locality;
  /** Names for labels; from `filter_metadata["weft.dev"]`. */
  readonly service: { readonly namespace: string; readonly name: string } | undefined;
}

/** Envoy's circuit_breakers.thresholds of priority DEFAULT. */
export interface ClusterLimits {
  readonly connectionsMax: number;
  readonly pendingRequestsMax: number;
  readonly requestsMax: number;
  /** Concurrent retries where there is no budget. */
  readonly retriesMax: number;
  readonly retryBudget: RetryBudget | undefined;
}

/** Retries in flight may not exceed percent of active requests, but `concurrencyMin` are always allowed. */
export interface RetryBudget {
  readonly percent: number;
  readonly concurrencyMin: number;
  /** Beside that, a bound over time; from `filter_metadata["weft.dev"]`. Absent: none. */
  readonly rate?: RetryRate;
}

/**
 * Retries of the last `intervalMs` may not exceed `percent` of the requests of that time, but `perSecondMin` are always
 * allowed. Retries that are answered fast are few in flight, however many they are.
 */
export interface RetryRate {
  readonly intervalMs: number;
  readonly perSecondMin: number;
}

/** Run by opossum: opens when the error rate over the window passes the threshold. */
export interface ErrorRateBreaker {
  readonly thresholdPercent: number;
  readonly volumeMin: number;
  readonly windowMs: number;
  readonly openMs: number;
}

export const defaultClusterLimits: ClusterLimits = {
  connectionsMax: 1_024,
  pendingRequestsMax: 1_024,
  requestsMax: 1_024,
  retriesMax: 3,
  retryBudget: { percent: 20, concurrencyMin: 3, rate: { intervalMs: 10_000, perSecondMin: 10 } },
};

export type EndpointSource =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'server';
      readonly server: ManagementServer;
      /** How long listeners wait for its first answer; 0: as long as it takes. */
      readonly fetchTimeoutMs: number;
    };

export interface EndpointAssignment {
  readonly clusterName: string;
  readonly endpoints: readonly Endpoint[];
}

export interface Endpoint {
  readonly address: SocketAddress;
  /** The same endpoint in the other address family. */
  readonly alternatives?: readonly SocketAddress[];
  /** What it is called, for Host and for logs; absent: it has no name. */
  readonly hostname?: string;
  readonly weight: number;
  /** 0 is preferred. */
  readonly priority: number;
  readonly zone: string;
  /** The rest of Envoy's locality, for operators: zones alone count. Absent: not known. */
  readonly region?: string;
  readonly subZone?: string;
  /** Node that it runs on; absent: of no importance, or not known. */
  readonly node?: string;
  /** Absent: none. */
  readonly hints?: EndpointHints;
  readonly health: 'healthy' | 'unhealthy' | 'draining';
  /** Its sidecar takes mesh TLS. */
  readonly mtls: boolean;
  /** Verified against the peer certificate when `mtls`. */
  readonly spiffeId: SpiffeId | undefined;
  /** For labels: `<namespace>/<workload>`. */
  readonly workload: string;
}

/** One of which nothing is known but where it is. */
export const plainEndpoint = (address: SocketAddress): Endpoint => ({
  address,
  weight: 1,
  priority: 0,
  zone: '',
  health: 'healthy',
  mtls: false,
  spiffeId: undefined,
  workload: '',
});
