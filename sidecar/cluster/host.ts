import type { Address } from '@weft/policies/model/address';
import type { Endpoint } from '@weft/policies/model/cluster';
import type { UpstreamSecurity } from '../net/connection.ts';
import { hostPort } from '../net/connection-record.ts';
import type { HostHealth } from './health/host-health.ts';
import type { PeakLatency } from './load/peak-latency.ts';
import type { ReportedLoad } from './load/reported-load.ts';
import { CONNECT_FAILED, type HostMonitor, TIMED_OUT } from './outlier/monitor.ts';
import type { HttpPool } from './pool.ts';

/** One endpoint with what is under way to it. Lives as long as its address and its security stay the same. */
export class Host {
  endpoint: Endpoint;
  readonly security: UpstreamSecurity;
  readonly label: string;
  weight: number;
  active = 0;
  /** Attempts that came to something, for the admin interface. */
  successes = 0;
  errors = 0;
  timeouts = 0;
  connectFailures = 0;
  /** No longer among the cluster's endpoints; what is under way is finished. */
  removed = false;
  /** By what is spoken on their connections; mesh TLS negotiates it, and has the second alone. */
  http1Pool: HttpPool | undefined = undefined;
  http2Pool: HttpPool | undefined = undefined;
  /** Of a cluster with outlier detection. */
  outlier: HostMonitor | undefined = undefined;
  /** Of a cluster with active health checks. */
  health: HostHealth | undefined = undefined;
  /** What the balancer wants to know of it. */
  latency: PeakLatency | undefined = undefined;
  reportedLoad: ReportedLoad | undefined = undefined;
  /** When it began to take traffic; minus infinity: it always has. */
  sinceMs = Number.NEGATIVE_INFINITY;
  /** For an original destination: what its IP stood for when this was looked up. */
  address: Address | undefined = undefined;

  constructor(endpoint: Endpoint, security: UpstreamSecurity) {
    this.endpoint = endpoint;
    this.security = security;
    this.label = hostPort(endpoint.address.ip, endpoint.address.port);
    this.weight = endpoint.weight;
  }

  /** What an attempt came to: a status, or what there was instead, and how long that took; negative: not known. */
  report(code: number, tookMs = -1): void {
    if (code > 0 && code < 500) this.successes++;
    else this.errors++;
    if (code === TIMED_OUT) this.timeouts++;
    else if (code === CONNECT_FAILED) this.connectFailures++;
    this.outlier?.report(code, tookMs);
  }

  /** Somebody compares how long it takes to answer. */
  get isTimed(): boolean {
    return this.latency !== undefined || this.outlier?.latency !== undefined;
  }

  forEachPool(visit: (pool: HttpPool) => void): void {
    if (this.http1Pool !== undefined) visit(this.http1Pool);
    if (this.http2Pool !== undefined) visit(this.http2Pool);
  }

  get idle(): boolean {
    return this.active === 0 && this.http1Pool?.empty !== false && this.http2Pool?.empty !== false;
  }
}
