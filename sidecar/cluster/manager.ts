import type { Cancel } from '@weft/policies/kit/clock';
import { random } from '@weft/policies/model/balancer';
import { type Cluster, defaultClusterLimits, type EndpointAssignment } from '@weft/policies/model/cluster';
import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import type { Lookup, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';
import type { ProxyError } from '../http/errors.ts';
import { hostRefused, noCluster, PASSTHROUGH } from './destination.ts';
import { DynamicHosts } from './dynamic-hosts.ts';
import { CheckBounds } from './health/bounds.ts';
import { overflow } from './limits.ts';
import { PlaceWatch } from './own-place.ts';
import { clientNumber } from './picker/subset.ts';
import { ClusterRuntime, type RuntimeDeps } from './runtime.ts';
import { type ResolveHost, StrictDns } from './strict-dns.ts';
import { TcpConnector } from './tcp.ts';

interface ClusterManagerDeps extends RuntimeDeps {
  readonly source: SnapshotSource;
  /** How long a request waits for configuration that the control plane has not answered yet. */
  readonly onDemandWaitMsMax: number;
  readonly resolveHost: ResolveHost;
  /** Addresses of the pod itself; absent: it is none. */
  readonly ownIps?: ReadonlySet<string>;
}

/** Who needs a cluster. Exactly one of these is called, possibly before `acquire` returns. */
export interface ClusterWaiter {
  onCluster(runtime: ClusterRuntime): void;
  onClusterError(error: ProxyError): void;
}

/** A cluster without traffic for this long gives back its memory and timers. */
const IDLE_MS = 300_000;
const SWEEP_MS = 30_000;
/** Requests that may wait for the first endpoints of clusters, all together. */
const WAITING_MAX = 1_024;

/** The very workload that was connected to: mesh TLS if it takes it. Needs no configuration, so that none is asked for. */
const originalDestination: Cluster = {
  name: ORIGINAL_DESTINATION,
  discovery: { kind: 'original-dst' },
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  requestsPerConnectionMax: 0,
  balancer: random,
  protocol: 'downstream',
  limits: defaultClusterLimits,
  errorRate: undefined,
  outlier: undefined,
  healthyPanicPercent: 0,
  tls: undefined,
  meshTls: true,
  service: undefined,
};

/** What is not of the mesh goes on as it came; used where the configuration has no such cluster. */
const passthrough: Cluster = { ...originalDestination, name: PASSTHROUGH, meshTls: false };

/** The clusters that have traffic, kept in step with the configuration. */
export class ClusterManager {
  /** Connections of opaque TCP. */
  readonly forTcp: TcpConnector;
  private readonly deps: ClusterManagerDeps;
  private readonly place: PlaceWatch;
  private readonly runtimes = new Map<string, ClusterRuntime>();
  private readonly dns = new Map<ClusterRuntime, StrictDns>();
  private readonly names = new DynamicHosts();
  private readonly unsubscribe: (() => void)[];
  private cancelSweep: Cancel | undefined = undefined;
  private waiting = 0;

  constructor(deps: ClusterManagerDeps) {
    this.place = new PlaceWatch(deps.source, deps.ownIps ?? new Set());
    const [ownIp] = deps.ownIps ?? [];
    this.deps = {
      ...deps,
      place: this.place,
      client: ownIp === undefined ? undefined : clientNumber(ownIp),
      checkBounds: deps.checkBounds ?? new CheckBounds(deps.recorder),
    };
    this.forTcp = new TcpConnector(this, deps);
    this.unsubscribe = [
      deps.source.onChange((snapshot) => this.applySnapshot(snapshot)),
      deps.identity.onChange((certificate) => {
        for (const runtime of this.runtimes.values()) runtime.certificateChanged(certificate.generation);
      }),
    ];
  }

  /** The cluster if it has traffic and can be used right now. */
  get(name: string): ClusterRuntime | undefined {
    const runtime = this.runtimes.get(name);
    return runtime?.ready ? runtime : undefined;
  }

  /** For admin and metrics. */
  active(): readonly ClusterRuntime[] {
    return [...this.runtimes.values()];
  }

  /** Finds a cluster and its endpoints, for a dynamic one those of `host`, waiting at most until `deadlineMs` (of the clock) for the control plane. */
  acquire(name: string, deadlineMs: number, waiter: ClusterWaiter, host = ''): void {
    const runtime = this.runtimes.get(name);
    if (runtime?.ready) {
      waiter.onCluster(runtime);
      return;
    }
    if (runtime !== undefined) {
      this.awaitEndpoints(runtime, deadlineMs, waiter);
      return;
    }
    if (name === ORIGINAL_DESTINATION) {
      waiter.onCluster(this.create(originalDestination));
      return;
    }
    const lookup = this.deps.source.lookup('cluster', name);
    if (lookup.state === 'found' && lookup.value.discovery.kind === 'dynamic') {
      this.acquireNamed(lookup.value, host, deadlineMs, waiter);
    } else if (lookup.state === 'found') {
      const created = this.create(lookup.value);
      if (created.ready) waiter.onCluster(created);
      else this.awaitEndpoints(created, deadlineMs, waiter);
    } else if (lookup.state === 'pending') {
      this.awaitResource('cluster', name, deadlineMs, name, waiter, host);
    } else if (name === PASSTHROUGH) {
      waiter.onCluster(this.create(passthrough));
    } else {
      this.deps.recorder.count('cluster.absent');
      waiter.onClusterError(noCluster(`cluster ${name} does not exist`));
    }
  }

  private acquireNamed(parent: Cluster, host: string, deadlineMs: number, waiter: ClusterWaiter): void {
    const cluster = this.names.derive(parent, host);
    if (cluster === undefined) {
      this.deps.recorder.count('egress.host_refused');
      waiter.onClusterError(hostRefused(parent.name, host));
      return;
    }
    if (!this.runtimes.has(cluster.name)) {
      if (!this.hasRoomFor(parent)) {
        this.names.forget(parent, cluster.name);
        waiter.onClusterError(overflow(`too many names are looked up for cluster ${parent.name}`));
        return;
      }
      this.names.remember(cluster, parent.name, host);
      this.create(cluster);
    }
    this.acquire(cluster.name, deadlineMs, waiter);
  }

  /** Names that nobody uses give way. */
  private hasRoomFor({ discovery }: Cluster): boolean {
    const max = discovery.kind === 'dynamic' ? discovery.cache.hostsMax : 0;
    if (this.names.size < max) return true;
    for (const [name, runtime] of [...this.runtimes]) {
      if (runtime.idle && this.names.parentOf(name) !== undefined) this.forget(name, runtime);
    }
    if (this.names.size < max) return true;
    this.deps.recorder.count('egress.hosts_max');
    return false;
  }

  close(): void {
    for (const unsubscribe of this.unsubscribe) unsubscribe();
    this.cancelSweep?.();
    for (const dns of this.dns.values()) dns.stop();
    for (const runtime of this.runtimes.values()) runtime.destroy();
    this.runtimes.clear();
  }

  private create(cluster: Cluster): ClusterRuntime {
    const runtime = new ClusterRuntime(cluster, this.deps);
    this.runtimes.set(cluster.name, runtime);
    this.startDiscovery(runtime);
    this.cancelSweep ??= this.deps.clock.after(SWEEP_MS, () => this.sweep());
    return runtime;
  }

  private startDiscovery(runtime: ClusterRuntime): void {
    const { discovery, name } = runtime.cluster;
    if (discovery.kind === 'eds') {
      const lookup = this.deps.source.lookup('endpoints', discovery.serviceName);
      if (lookup.state === 'found') runtime.setEndpoints(lookup.value);
      else if (lookup.state === 'absent') runtime.setEndpoints({ clusterName: name, endpoints: [] });
    } else if (discovery.kind === 'strict-dns') {
      const ports = { resolve: this.deps.resolveHost, clock: this.deps.clock, recorder: this.deps.recorder };
      const update = (endpoints: EndpointAssignment): void => runtime.setEndpoints(endpoints);
      const dns = new StrictDns(name, discovery.hosts, discovery.refreshMs, ports, update, discovery);
      this.dns.set(runtime, dns);
      dns.start();
    }
  }

  private awaitEndpoints(runtime: ClusterRuntime, deadlineMs: number, waiter: ClusterWaiter): void {
    const { discovery, name } = runtime.cluster;
    if (discovery.kind === 'eds' && !runtime.awaitsChecks) {
      this.awaitResource('endpoints', discovery.serviceName, deadlineMs, name, waiter);
      return;
    }
    if (this.waiting >= WAITING_MAX) {
      this.deps.recorder.count('cluster.waiting.overflow');
      waiter.onClusterError(noCluster(`too many requests wait for the endpoints of cluster ${name}`));
      return;
    }
    this.waiting++;
    let answered = false;
    let leave: (() => void) | undefined;
    const answer = (ready: boolean): void => {
      if (answered) return;
      answered = true;
      this.waiting--;
      cancel();
      leave?.();
      if (ready) waiter.onCluster(runtime);
      else waiter.onClusterError(noCluster(`the endpoints of cluster ${name} were not known in time`));
    };
    const cancel = this.deps.clock.after(deadlineMs - this.deps.clock.nowMs(), () => answer(false));
    leave = runtime.whenReady(() => answer(true));
  }

  private awaitResource(
    kind: 'cluster' | 'endpoints',
    resource: string,
    deadlineMs: number,
    cluster: string,
    waiter: ClusterWaiter,
    host = '',
  ): void {
    const leftMs = deadlineMs - this.deps.clock.nowMs();
    const waits =
      leftMs > 0 &&
      this.deps.source.wait(kind, resource, leftMs, (lookup) => {
        if (lookup.state === 'pending') this.tooLate(kind, cluster, waiter);
        else {
          // The change listener may not have run yet for this very snapshot.
          this.applySnapshot(this.deps.source.current());
          this.acquire(cluster, deadlineMs, waiter, host);
        }
      });
    if (waits) return;
    if (leftMs <= 0) {
      this.tooLate(kind, cluster, waiter);
      return;
    }
    this.deps.recorder.count('on-demand.overflow');
    waiter.onClusterError(noCluster(`too many requests wait for the configuration of cluster ${cluster}`));
  }

  private tooLate(kind: string, cluster: string, waiter: ClusterWaiter): void {
    this.deps.recorder.count('on-demand.timeout');
    waiter.onClusterError(noCluster(`${kind} of cluster ${cluster} was not known in time`));
  }

  private applySnapshot(snapshot: Snapshot): void {
    const moved = this.place.refresh();
    for (const [name, runtime] of [...this.runtimes]) {
      const cluster = this.newest(snapshot, name);
      const builtIn = runtime.cluster === originalDestination || runtime.cluster === passthrough;
      if (cluster.state === 'absent' && !builtIn) {
        this.forget(name, runtime);
        continue;
      }
      if (cluster.state === 'found' && cluster.value !== runtime.cluster) this.replaceCluster(runtime, cluster.value);
      const { discovery } = runtime.cluster;
      if (discovery.kind !== 'eds') continue;
      const endpoints = snapshot.get('endpoints', discovery.serviceName);
      // Pending keeps the last known.
      if (endpoints.state === 'found') runtime.offerEndpoints(endpoints.value);
      else if (endpoints.state === 'absent') runtime.offerEndpoints({ clusterName: name, endpoints: [] });
      if (moved) runtime.placeChanged();
    }
  }

  /** Of a host below a dynamic cluster: what it is made of now, or that it is no longer. */
  private newest(snapshot: Snapshot, name: string): Lookup<Cluster> {
    const derived = this.names.parentOf(name);
    if (derived === undefined) return snapshot.get('cluster', name);
    const parent = snapshot.get('cluster', derived.parent);
    if (parent.state !== 'found') return parent;
    const value = this.names.derive(parent.value, derived.host);
    return value === undefined ? { state: 'absent' } : { state: 'found', value };
  }

  private replaceCluster(runtime: ClusterRuntime, cluster: Cluster): void {
    const before = runtime.cluster.discovery;
    runtime.update(cluster);
    if (JSON.stringify(before) === JSON.stringify(cluster.discovery)) return;
    this.dns.get(runtime)?.stop();
    this.dns.delete(runtime);
    this.startDiscovery(runtime);
  }

  private forget(name: string, runtime: ClusterRuntime): void {
    this.runtimes.delete(name);
    this.forgetName(name);
    this.dns.get(runtime)?.stop();
    this.dns.delete(runtime);
    runtime.drain();
  }

  private forgetName(name: string): void {
    const derived = this.names.parentOf(name);
    if (derived === undefined) return;
    const parent = this.deps.source.current().get('cluster', derived.parent);
    this.names.forget(parent.state === 'found' ? parent.value : undefined, name);
  }

  private sweep(): void {
    this.cancelSweep = undefined;
    const nowMs = this.deps.clock.nowMs();
    for (const [name, runtime] of [...this.runtimes]) {
      runtime.sweep(nowMs);
      if (runtime.idle && runtime.lastUsedMs < nowMs - IDLE_MS) this.forget(name, runtime);
    }
    if (this.runtimes.size > 0) this.cancelSweep = this.deps.clock.after(SWEEP_MS, () => this.sweep());
  }
}
