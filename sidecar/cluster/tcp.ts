import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Address, SocketAddress } from '@weft/policies/model/address';
import type { Cluster, Endpoint } from '@weft/policies/model/cluster';
import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { ProxyError } from '../http/errors.ts';
import type { Dial, UpstreamTransport } from '../net/connection.ts';
import type { Recorder } from '../telemetry/record.ts';
import { clusterOf, destinationOf, noCluster } from './destination.ts';
import type { Host } from './host.ts';
import { overflow } from './limits.ts';
import type { ClusterManager, ClusterWaiter } from './manager.ts';
import { CONNECT_FAILED } from './outlier/monitor.ts';
import { Hash64, xxHash64 } from './picker/hash/xxhash64.ts';
import type { ClusterRuntime } from './runtime.ts';
import { type ConnectionFault, resetByFault, TcpFaults } from './tcp-fault.ts';

interface TcpConnected {
  readonly transport: UpstreamTransport;
  readonly endpoint: Endpoint;
  /** The cluster that was used, for metrics. */
  readonly cluster: string;
  /** The Service that the cluster is of. */
  readonly service: Cluster['service'];
  /** What is done to the connection on purpose; absent: nothing. */
  readonly fault?: ConnectionFault;
  /** To be called once, when the connection has ended. */
  release(): void;
}

export type TcpDone = (result: TcpConnected | { readonly error: ProxyError }) => void;

interface TcpDeps {
  readonly source: SnapshotSource;
  readonly dial: Dial;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly onDemandWaitMsMax: number;
}

/** A connection that was refused says that nothing reached the application, so that another endpoint may be tried. */
const ATTEMPTS_MAX = 3;
/** A success to outlier detection. */
const CONNECTED = 200;

/** Where a connection comes from; `hashed`: its proxy says that it is picked by. */
interface Source {
  readonly ip: string;
  readonly hashed: boolean;
}

const anywhere: Source = { ip: '', hashed: false };

/** Of the one pick that is being made. */
const sourceHash = new Hash64();

function hashOf({ ip, hashed }: Source, { cluster: { balancer } }: ClusterRuntime): Hash64 | undefined {
  if (balancer.kind !== 'ring-hash' && balancer.kind !== 'maglev') return undefined;
  if (ip === '' || !(hashed || balancer.hashesSource)) return undefined;
  xxHash64(ip, sourceHash);
  return sourceHash;
}

export class TcpConnector {
  private readonly manager: ClusterManager;
  private readonly deps: TcpDeps;
  private readonly faults: TcpFaults;

  constructor(manager: ClusterManager, deps: TcpDeps) {
    this.manager = manager;
    this.deps = deps;
    this.faults = new TcpFaults(deps.prng, deps.recorder);
  }

  /** Opens a connection for opaque bytes; `done` is called once unless cancelled before. */
  connect(
    cluster: string,
    destination: SocketAddress,
    done: TcpDone,
    host = '',
    source: Source = anywhere,
  ): { cancel(): void } {
    const attempt = new TcpAttempt(this.manager, this.deps, this.faults, destination, done, host, source);
    attempt.start(cluster);
    return attempt;
  }
}

class TcpAttempt implements ClusterWaiter {
  private readonly manager: ClusterManager;
  private readonly deps: TcpDeps;
  private readonly destination: SocketAddress;
  private readonly done: TcpDone;
  private readonly host: string;
  private readonly source: Source;
  private readonly deadlineMs: number;
  private address: Address | undefined = undefined;
  private attempts = 0;
  private cancelled = false;
  private dialing: { cancel(): void } | undefined = undefined;
  private undo: (() => void) | undefined = undefined;
  private readonly faults: TcpFaults;
  private fault: ConnectionFault | undefined = undefined;

  constructor(
    manager: ClusterManager,
    deps: TcpDeps,
    faults: TcpFaults,
    destination: SocketAddress,
    done: TcpDone,
    host: string,
    source: Source,
  ) {
    this.faults = faults;
    this.host = host;
    this.source = source;
    this.manager = manager;
    this.deps = deps;
    this.destination = destination;
    this.done = done;
    this.deadlineMs = deps.clock.nowMs() + deps.onDemandWaitMsMax;
  }

  start(cluster: string): void {
    if (cluster !== ORIGINAL_DESTINATION) {
      this.manager.acquire(cluster, this.deadlineMs, this, this.host);
      return;
    }
    const lookup = this.deps.source.lookup('address', this.destination.ip);
    if (lookup.state === 'pending') this.awaitAddress(() => this.start(cluster));
    else this.toDestination(lookup.state === 'found' ? lookup.value : undefined);
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.dialing?.cancel();
    this.undo?.();
    this.undo = undefined;
    this.fault?.end();
  }

  onCluster(runtime: ClusterRuntime): void {
    if (this.cancelled) return;
    const wanted = runtime.cluster.fault;
    this.fault = wanted && this.faults.draw(wanted);
    const delayMs = this.fault?.delayMs ?? 0;
    if (delayMs === 0) {
      this.proceed(runtime);
      return;
    }
    const cancel = this.deps.clock.after(delayMs, () => {
      this.dialing = undefined;
      this.proceed(runtime);
    });
    this.dialing = { cancel };
  }

  private proceed(runtime: ClusterRuntime): void {
    if (this.fault?.resets === true) {
      this.finish({ error: resetByFault });
      return;
    }
    if (!runtime.isOriginalDst) {
      this.dial(runtime, runtime.pick(undefined, hashOf(this.source, runtime)));
      return;
    }
    if (runtime.cluster.meshTls && this.address === undefined) {
      const lookup = this.deps.source.lookup('address', this.destination.ip);
      if (lookup.state === 'pending') {
        this.awaitAddress(() => this.proceed(runtime));
        return;
      }
      if (lookup.state === 'found') this.address = lookup.value;
    }
    this.dial(runtime, runtime.hostFor(this.destination.ip, this.destination.port, this.address));
  }

  onClusterError(error: ProxyError): void {
    this.finish({ error });
  }

  private toDestination(address: Address | undefined): void {
    this.address = address;
    const destination = destinationOf(address, this.destination.port);
    if (destination === undefined) {
      this.finish({ error: noCluster(`the Service at ${this.destination.ip} has no port ${this.destination.port}`) });
    } else {
      this.manager.acquire(clusterOf(destination), this.deadlineMs, this);
    }
  }

  private awaitAddress(resume: () => void): void {
    const leftMs = this.deadlineMs - this.deps.clock.nowMs();
    const late = (): void => {
      this.deps.recorder.count('on-demand.timeout');
      this.finish({ error: noCluster(`what ${this.destination.ip} stands for was not known in time`) });
    };
    if (leftMs <= 0) {
      late();
      return;
    }
    const waits = this.deps.source.wait('address', this.destination.ip, leftMs, (lookup) => {
      if (this.cancelled) return;
      if (lookup.state === 'pending') late();
      else resume();
    });
    if (waits) return;
    this.deps.recorder.count('on-demand.overflow');
    this.finish({ error: noCluster('too many connections wait for configuration') });
  }

  private dial(runtime: ClusterRuntime, host: Host | undefined): void {
    const { name, connectTimeoutMs: timeoutMs, connections, bufferBytesMax, service } = runtime.cluster;
    const tcpKeepAlive = connections?.tcpKeepAlive;
    if (host === undefined) {
      this.finish({ error: runtime.noneUsable });
      return;
    }
    if (!runtime.limits.beginConnection(false)) {
      this.finish({ error: overflow(`too many connections to ${name}`) });
      return;
    }
    this.attempts++;
    host.active++;
    const undo = (): void => {
      host.active--;
      runtime.limits.endConnection();
    };
    this.undo = undo;
    const security = runtime.securityOf(host, 'tcp');
    const startMs = this.deps.clock.nowMs();
    const request = { endpoint: host.endpoint, security, timeoutMs, tcpKeepAlive, bufferBytesMax };
    this.dialing = this.deps.dial(request, (result) => {
      if ('error' in result) {
        this.undo = undefined;
        undo();
        this.deps.recorder.count('cluster.connect.failed');
        host.report(CONNECT_FAILED);
        host.latency?.observe(this.deps.clock.nowMs(), -1, true);
        const again = result.error.retry === 'yes' && this.attempts < ATTEMPTS_MAX && !runtime.isOriginalDst;
        const other = again ? runtime.pick(host, hashOf(this.source, runtime)) : undefined;
        if (other === undefined || other === host) this.finish({ error: result.error });
        else this.dial(runtime, other);
        return;
      }
      // Of opaque bytes nothing more is known of how the endpoint does, as in Envoy's TCP proxy.
      host.outlier?.report(CONNECTED);
      const nowMs = this.deps.clock.nowMs();
      host.latency?.observe(nowMs, nowMs - startMs, false);
      let released = false;
      const release = (): void => {
        if (released) return;
        released = true;
        undo();
        fault?.end();
      };
      const { fault } = this;
      this.undo = undefined;
      const { transport } = result;
      const extra = fault === undefined ? {} : { fault };
      this.finish({ transport, endpoint: host.endpoint, cluster: name, service, release, ...extra });
    });
  }

  private finish(result: TcpConnected | { readonly error: ProxyError }): void {
    if (this.cancelled) return;
    this.cancelled = true;
    if ('error' in result) this.fault?.end();
    this.done(result);
  }
}
