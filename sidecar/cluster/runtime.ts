import type { Address, SocketAddress } from '@weft/policies/model/address';
import type { Cluster, Endpoint, EndpointAssignment } from '@weft/policies/model/cluster';
import type { ProxyError } from '../http/errors.ts';
import type { HttpVersion } from '../http/exchange.ts';
import { ExchangeCounters } from '../telemetry/exchange-counters.ts';
import { Balancing, sameBalancing } from './balancing.ts';
import { Breaker, sameBreaker } from './breaker.ts';
import { endpointOf } from './destination.ts';
import { EndpointWatch, type EndpointWatchDeps } from './endpoint-watch.ts';
import type { HealthChecks } from './health/checks.ts';
import { Host } from './host.ts';
import { LatencyDigest } from './latency-digest.ts';
import { LimitState } from './limits.ts';
import { endpointsInReach, nearestHosts, nowhere, type OwnPlace } from './locality.ts';
import type { OutlierDetector } from './outlier/detector.ts';
import type { Hash64 } from './picker/hash/xxhash64.ts';
import { HttpPool } from './pool.ts';
import { type Payload, securityKey, upstreamSecurity } from './security.ts';
import { noHealthyUpstream, usableHosts } from './usable.ts';

export interface RuntimeDeps extends EndpointWatchDeps {
  /** Limits that are shared with other threads; undefined: this thread's own. */
  readonly limitsOf?: ((cluster: Cluster) => LimitState) | undefined;
  /** Where the sidecar runs; absent: nowhere in particular. */
  readonly place?: { readonly current: OwnPlace };
  /** Which of the clients this one is, for subsets; absent: any. */
  readonly client?: number | undefined;
}

/** Bounds endpoints that come from original destinations, which anybody who connects chooses. */
const ORIGINAL_DST_HOSTS_MAX = 4_096;
/** A cluster with more endpoints than these sends each of them little. */
const PREWARMED_HOSTS_MAX = 16;

/**
 * A cluster with traffic: its endpoints, their connections, its limits and its breaker. Updates swap what is picked
 * from; endpoints that stay keep their connections, and those that go finish what is under way.
 */
export class ClusterRuntime {
  readonly limits: LimitState;
  readonly counters = new ExchangeCounters();
  cluster: Cluster;
  /** Endpoints were known at least once; until then requests wait. */
  ready: boolean;
  /** As of the last sweep. */
  lastUsedMs: number;
  private used = false;
  private carriesHttp = false;
  private readonly deps: RuntimeDeps;
  private readonly hosts = new Map<string, Host>();
  /** Endpoints that are gone and still have something under way. */
  private readonly leaving = new Set<Host>();
  /** The inbound side sees few destinations over and over: found again without making a key. */
  private readonly lastByPort = new Map<number, Host>();
  private balancing: Balancing;
  /** All that may get traffic, the farther ones too; by address once somebody asks for one. */
  private able: readonly Host[] = [];
  private ableByLabel: ReadonlyMap<string, Host> | undefined = undefined;
  private assignment: EndpointAssignment | undefined = undefined;
  private breakerState: Breaker | undefined = undefined;
  private readonly watch: EndpointWatch;
  private panic = false;
  private none: ProxyError | undefined = undefined;
  /** Drained: nothing is made any more that nobody would stop. */
  private gone = false;
  private digest: LatencyDigest | undefined = undefined;
  /** Endpoints that are added were there before, with other settings. */
  private renewing = false;
  /** Called once when `ready` turns true. */
  private readonly onReady = new Set<() => void>();

  constructor(cluster: Cluster, deps: RuntimeDeps) {
    this.cluster = cluster;
    this.deps = deps;
    this.limits = deps.limitsOf?.(cluster) ?? new LimitState(cluster.limits, deps.recorder, deps.clock);
    this.balancing = new Balancing(cluster, deps);
    this.lastUsedMs = deps.clock.nowMs();
    this.ready = cluster.discovery.kind === 'original-dst';
    this.watch = new EndpointWatch(deps, {
      cluster: () => this.cluster,
      hosts: () => this.hosts.values(),
      usedWithin: (ms) => this.used || this.limits.connections > 0 || deps.clock.nowMs() - this.lastUsedMs < ms,
      onChange: () => this.chooseUsable(),
      onFirstRound: () => this.becomeReady(),
    });
    if (cluster.discovery.kind === 'static') this.setEndpoints(cluster.discovery.assignment);
  }

  get isOriginalDst(): boolean {
    return this.cluster.discovery.kind === 'original-dst';
  }

  /** Made at the first traffic, so that a cluster without any costs no timer. */
  get breaker(): Breaker | undefined {
    if (this.breakerState === undefined && this.cluster.errorRate !== undefined && !this.gone) {
      this.breakerState = new Breaker(this.cluster.errorRate, this.deps.recorder);
    }
    return this.breakerState;
  }

  /** How long answers take; made by the first request that is hedged by it. */
  get latencies(): LatencyDigest {
    this.digest ??= new LatencyDigest(this.deps.clock);
    return this.digest;
  }

  /** The breaker, if it was ever asked. */
  get startedBreaker(): Breaker | undefined {
    return this.breakerState;
  }

  /** For admin: what was found of endpoints that fail. */
  get outliers(): OutlierDetector | undefined {
    return this.watch.outliers;
  }

  /** Its endpoints are known, and nothing is sent to them before they were asked for the first time. */
  get awaitsChecks(): boolean {
    return !this.ready && this.assignment !== undefined;
  }

  /** For admin: what active checks found. */
  get healthChecks(): HealthChecks | undefined {
    return this.watch.checks;
  }

  /** For admin and tests. */
  get endpoints(): readonly Host[] {
    return [...this.hosts.values()];
  }

  /** Who waits no longer takes it back: nothing may be kept for those who came while nobody answers. */
  whenReady(run: () => void): () => void {
    if (this.ready) run();
    else this.onReady.add(run);
    return () => this.onReady.delete(run);
  }

  update(cluster: Cluster): void {
    const before = this.cluster;
    if (before === cluster) return;
    this.cluster = cluster;
    this.limits.update(cluster.limits);
    if (!sameBreaker(before.errorRate, cluster.errorRate)) {
      this.breakerState?.close();
      this.breakerState = undefined;
    }
    this.watch.update(before, cluster);
    if (!sameBalancing(before, cluster)) this.balanceAnew();
    for (const host of this.hosts.values()) host.forEachPool((pool) => pool.update(cluster));
    this.renewing = this.ready;
    if (cluster.discovery.kind === 'static') this.setEndpoints(cluster.discovery.assignment);
    else if (this.assignment !== undefined) this.setEndpoints(this.assignment);
    else if (this.isOriginalDst) this.becomeReady();
    this.renewing = false;
  }

  /** Takes over endpoints, unless they are the very ones that it has. */
  offerEndpoints(assignment: EndpointAssignment): void {
    const before = this.assignment;
    if (before === assignment) return;
    if (before !== undefined && before.endpoints.length === 0 && assignment.endpoints.length === 0) return;
    this.setEndpoints(assignment);
  }

  setEndpoints(assignment: EndpointAssignment): void {
    this.assignment = assignment;
    const seen = new Set<string>();
    const { locality } = this.cluster;
    for (const endpoint of endpointsInReach(assignment.endpoints, locality, this.place)) seen.add(this.keep(endpoint));
    const gone: Host[] = [];
    for (const [key, host] of [...this.hosts]) {
      if (seen.has(key)) continue;
      this.hosts.delete(key);
      gone.push(host);
    }
    this.chooseUsable();
    // Only now: requests that waited for a connection to one of these pick again at once.
    for (const host of gone) this.retire(host);
    if (this.carriesHttp && this.balancing.hosts.length <= PREWARMED_HOSTS_MAX) this.prewarm();
    this.becomeReady();
  }

  /** The sidecar runs somewhere else than was known, so that other endpoints are near. */
  placeChanged(): void {
    if (this.assignment !== undefined) this.setEndpoints(this.assignment);
  }

  private get place(): OwnPlace {
    return this.deps.place?.current ?? nowhere;
  }

  /** The handshake of mesh TLS is the dear part of a first request: a cluster that has traffic does it beforehand. */
  private prewarm(): void {
    for (const host of this.balancing.hosts) {
      if (host.security.kind === 'mesh' && host.http2Pool === undefined) this.poolOf(host, 20).prewarm();
    }
  }

  /** An endpoint that takes traffic, if possible not the excluded one; undefined if none does. `hash`: of the request. */
  pick(exclude: Host | undefined, hash?: Hash64): Host | undefined {
    this.used = true;
    return this.balancing.pick(exclude, hash);
  }

  /** Why nothing can be picked; made once for each change, since a cluster that is down is asked by every request. */
  get noneUsable(): ProxyError {
    this.none ??= noHealthyUpstream(this.cluster.name, this.endpoints);
    return this.none;
  }

  /** The endpoint at `ip:port`, if it may get traffic. */
  usableAt(label: string): Host | undefined {
    this.ableByLabel ??= new Map(this.able.map((host) => [host.label, host]));
    return this.ableByLabel.get(label);
  }

  /** The endpoint that an original destination names; undefined when too many are in use. */
  hostFor(ip: string, port: number, address: Address | undefined): Host | undefined {
    this.used = true;
    const last = this.lastByPort.get(port);
    if (last !== undefined && !last.removed && last.address === address && last.endpoint.address.ip === ip) return last;
    const host = this.findOrAdd({ ip, port }, address);
    if (host !== undefined) {
      host.address = address;
      this.lastByPort.set(port, host);
    }
    return host;
  }

  private findOrAdd(destination: SocketAddress, address: Address | undefined): Host | undefined {
    const endpoint = endpointOf(destination, address);
    const security = upstreamSecurity(this.cluster, endpoint, 'http');
    const key = hostKey(endpoint, securityKey(security));
    let host = this.hosts.get(key);
    if (host !== undefined) return host;
    if (this.hosts.size >= ORIGINAL_DST_HOSTS_MAX) {
      this.dropIdleHosts();
      if (this.hosts.size >= ORIGINAL_DST_HOSTS_MAX) {
        this.deps.recorder.count('cluster.original-dst.overflow');
        return undefined;
      }
    }
    host = new Host(endpoint, security);
    this.hosts.set(key, host);
    return host;
  }

  /** What the application behind this cluster is to be spoken to, for a request that came in as `version`. */
  versionFor(version: HttpVersion): HttpVersion {
    switch (this.cluster.protocol) {
      case 'downstream':
        return version;
      case 'negotiated':
      case 'http2':
        return 20;
      case 'http1':
        return version === 20 ? 11 : version;
    }
  }

  poolOf(host: Host, version: HttpVersion): HttpPool {
    if (host.security.kind !== 'mesh' && version !== 20) {
      host.http1Pool ??= new HttpPool(this.deps, host, this.cluster, this.limits, 'http1');
      return host.http1Pool;
    }
    this.carriesHttp = true;
    const wire = host.security.kind === 'mesh' || this.cluster.protocol === 'negotiated' ? 'negotiated' : 'http2';
    host.http2Pool ??= new HttpPool(this.deps, host, this.cluster, this.limits, wire);
    return host.http2Pool;
  }

  securityOf(host: Host, payload: Payload): ReturnType<typeof upstreamSecurity> {
    return payload === 'http' ? host.security : upstreamSecurity(this.cluster, host.endpoint, payload);
  }

  certificateChanged(generation: number): void {
    for (const host of [...this.hosts.values(), ...this.leaving]) {
      host.forEachPool((pool) => pool.retireOlderThan(generation));
    }
    this.watch.certificateChanged();
  }

  /** Nothing is under way and no connection is open. */
  get idle(): boolean {
    if (this.limits.requests > 0 || this.limits.connections > 0 || this.limits.pending > 0) return false;
    return this.onReady.size === 0 && (this.breakerState === undefined || this.breakerState.state === 'closed');
  }

  /** Frees what endpoints that nobody uses any more hold. */
  sweep(nowMs: number): void {
    if (this.used) this.lastUsedMs = nowMs;
    this.used = false;
    for (const host of [...this.leaving]) if (host.idle) this.leaving.delete(host);
    if (this.isOriginalDst) this.dropIdleHosts();
  }

  /** The cluster is gone: what is under way is finished. */
  drain(): void {
    this.gone = true;
    const gone = [...this.hosts.values()];
    this.hosts.clear();
    this.none = undefined;
    this.lastByPort.clear();
    this.able = [];
    this.ableByLabel = undefined;
    this.balancing.update([]);
    this.watch.stop();
    for (const host of gone) this.retire(host);
    this.breakerState?.close();
    this.breakerState = undefined;
  }

  destroy(): void {
    this.drain();
    for (const host of this.leaving) host.forEachPool((pool) => pool.destroy());
    this.leaving.clear();
  }

  private keep(endpoint: Endpoint): string {
    const security = upstreamSecurity(this.cluster, endpoint, 'http');
    const key = hostKey(endpoint, `${this.cluster.protocol} ${securityKey(security)}`);
    const host = this.hosts.get(key);
    if (host === undefined) {
      const added = new Host(endpoint, security);
      this.watch.add(added, this.renewing);
      this.balancing.observe(added);
      this.hosts.set(key, added);
    } else {
      host.endpoint = endpoint;
      host.weight = endpoint.weight;
    }
    return key;
  }

  private retire(host: Host): void {
    host.removed = true;
    this.watch.remove(host);
    this.leaving.add(host);
    host.forEachPool((pool) => pool.drain());
    if (host.idle) this.leaving.delete(host);
  }

  private dropIdleHosts(): void {
    this.lastByPort.clear();
    for (const [key, host] of [...this.hosts]) if (host.idle) this.hosts.delete(key);
  }

  private chooseUsable(): void {
    this.none = undefined;
    const { levels, panic } = usableHosts([...this.hosts.values()], this.cluster.healthyPanicPercent);
    if (panic && !this.panic) this.deps.recorder.count('cluster.panic');
    this.panic = panic;
    const { locality } = this.cluster;
    this.able = levels.flatMap(({ hosts }) => hosts);
    this.ableByLabel = undefined;
    const all = this.assignment?.endpoints ?? [];
    this.balancing.update(
      locality === undefined
        ? levels
        : levels.map((level) => ({ ...level, hosts: nearestHosts(level.hosts, locality, this.place, all) })),
    );
  }

  private balanceAnew(): void {
    this.balancing = new Balancing(this.cluster, this.deps);
    for (const host of this.hosts.values()) this.balancing.observe(host);
    this.chooseUsable();
  }

  private becomeReady(): void {
    if (this.ready || !this.watch.settled) return;
    this.ready = true;
    const waiting = [...this.onReady];
    this.onReady.clear();
    for (const run of waiting) run();
  }
}

function hostKey(endpoint: Endpoint, security: string): string {
  return `${endpoint.address.ip} ${endpoint.address.port} ${security}`;
}
