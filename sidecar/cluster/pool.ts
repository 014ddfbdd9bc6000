import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import type { ProxyError } from '../http/errors.ts';
import type { UpstreamConnection } from '../http/exchange.ts';
import type { CertificateSource } from '../identity/source.ts';
import type { Dial, UpstreamTransport } from '../net/connection.ts';
import { rememberSocket } from '../net/upstream-sockets.ts';
import type { Recorder } from '../telemetry/record.ts';
import type { Host } from './host.ts';
import { type LimitState, overflow } from './limits.ts';
import { Pooled } from './pooled.ts';

/** What the connections of a pool speak. `negotiated`: HTTP/2 between sidecars, HTTP/1 with one that knows no other. */
export type PoolWire = 'http1' | 'http2' | 'negotiated';

/** Makes an HTTP connection of an established transport. */
type ConnectHttp = (transport: UpstreamTransport, cluster: Cluster, wire: PoolWire) => UpstreamConnection;

/** So many exchanges share a connection before another is opened beside it: one that is lost takes fewer with it. */
const STREAMS_PER_CONNECTION = 128;
const SHARED_CONNECTIONS_MAX = 4;
/** One connection may be held off for reasons of its own; when another is as well, further ones would be no better. */
const HELD_OFF_MAX = 2;
/** Of the age that a connection may reach: those that were opened together do not end together. */
const AGE_JITTER = 0.1;
/** After a failure to open one more, which no request waited for. */
const SPARE_DIAL_PAUSE_MS = 1_000;

export interface PoolDeps {
  readonly dial: Dial;
  readonly connectHttp: ConnectHttp;
  readonly identity: CertificateSource;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly prng: Prng;
}

/** Who waits for a connection. Exactly one of these is called for each lease, unless it is cancelled before. */
export interface LeaseWaiter {
  /** Opens its exchange before it returns. */
  onLease(connection: UpstreamConnection): void;
  onLeaseError(error: ProxyError): void;
  /** The endpoint was taken away before there was a connection: pick another. */
  onEndpointGone(): void;
}

/**
 * The HTTP connections to one endpoint with one kind of security. The one used last is used first, so that what a
 * burst left over goes idle and is closed. Connections that carry several exchanges stay ready while they take more.
 */
export class HttpPool {
  private readonly deps: PoolDeps;
  private readonly host: Host;
  private readonly limits: LimitState;
  private readonly wire: PoolWire;
  private cluster: Cluster;
  /** Connections carry several exchanges at once, as far as is known. */
  private multiplexes: boolean;
  private spareAfterMs = 0;
  private readonly connections = new Set<Pooled>();
  private readonly ready: Pooled[] = [];
  private readonly waiters = new Set<LeaseWaiter>();
  private dialing = 0;
  private draining = false;
  private cancelIdleTimer: Cancel | undefined = undefined;
  /** Requests wait for a peer that takes none for now. */
  private cancelHold: Cancel | undefined = undefined;

  constructor(deps: PoolDeps, host: Host, cluster: Cluster, limits: LimitState, wire: PoolWire) {
    this.deps = deps;
    this.host = host;
    this.cluster = cluster;
    this.limits = limits;
    this.wire = wire;
    this.multiplexes = wire !== 'http1';
  }

  get empty(): boolean {
    return this.connections.size === 0 && this.dialing === 0 && this.waiters.size === 0;
  }

  get size(): number {
    return this.connections.size;
  }

  update(cluster: Cluster): void {
    this.cluster = cluster;
  }

  /** `fresh`: not an idle connection, since one has just turned out to be stale. May call back before it returns. */
  lease(waiter: LeaseWaiter, fresh: boolean): void {
    if (!fresh) {
      const pooled = this.takeReady();
      if (pooled !== undefined) {
        this.hand(pooled, waiter);
        return;
      }
    }
    if (!this.limits.beginPending()) {
      waiter.onLeaseError(overflow(`too many requests wait for a connection to ${this.cluster.name}`));
      return;
    }
    this.waiters.add(waiter);
    if (fresh && this.limits.connectionsFull) this.makeRoom();
    this.dialForWaiters();
  }

  cancel(waiter: LeaseWaiter): void {
    if (this.waiters.delete(waiter)) this.limits.endPending();
  }

  /** The endpoint is gone: exchanges under way are finished, waiting ones go elsewhere. */
  drain(): void {
    this.draining = true;
    this.stopTimers();
    this.ready.length = 0;
    for (const pooled of [...this.connections]) this.retire(pooled);
    for (const waiter of [...this.waiters]) {
      this.cancel(waiter);
      waiter.onEndpointGone();
    }
  }

  /** After a rotation nothing new goes out under the old certificate. */
  retireOlderThan(generation: number): void {
    const { security } = this.host;
    if (security.kind === 'plaintext') return;
    if (security.kind === 'mesh') this.endDistrusted();
    let retired = false;
    for (const pooled of [...this.connections]) {
      if (pooled.generation === generation || pooled.retired) continue;
      this.retire(pooled);
      retired = true;
    }
    if (retired) this.prewarm();
  }

  /** A peer that is not believed any more gets not even the rest of what is under way. */
  private endDistrusted(): void {
    const trust = this.deps.identity.own()?.trust;
    if (trust === undefined) return;
    for (const { peer, connection } of [...this.connections]) {
      if (peer === undefined || trust.refusal(peer) === undefined) continue;
      this.deps.recorder.count('cluster.connection.ended_by_trust');
      connection.destroy();
    }
  }

  /** Opens a connection before a request waits for one, unless there is one. */
  prewarm(): void {
    if (this.draining || this.dialing > 0) return;
    for (const pooled of this.connections) if (!pooled.retired) return;
    if (!this.limits.beginConnection(false)) return;
    this.dialing++;
    this.dialOne();
  }

  destroy(): void {
    this.stopTimers();
    this.draining = true;
    for (const pooled of [...this.connections]) pooled.connection.destroy();
  }

  private takeReady(): Pooled | undefined {
    for (;;) {
      if (this.multiplexes && this.ready.length > 1) this.leastLoadedLast();
      const pooled = this.ready.pop();
      if (pooled === undefined) return undefined;
      pooled.inReady = false;
      if (!pooled.connection.closed && pooled.connection.available > 0) return pooled;
    }
  }

  private leastLoadedLast(): void {
    const ready = this.ready;
    const last = ready.length - 1;
    let best = last;
    for (let i = 0; i < last; i++) {
      if ((ready[i]?.connection.available ?? 0) > (ready[best]?.connection.available ?? 0)) best = i;
    }
    const [a, b] = [ready[best], ready[last]];
    if (best === last || a === undefined || b === undefined) return;
    ready[best] = b;
    ready[last] = a;
  }

  /** Connections that many share grow in number before they are full, without any request waiting for it. */
  private dialSpare(busiest: Pooled): void {
    const active = busiest.availableMax - busiest.connection.available;
    if (active < STREAMS_PER_CONNECTION || this.dialing > 0 || this.draining) return;
    if (this.connections.size >= SHARED_CONNECTIONS_MAX || this.deps.clock.nowMs() < this.spareAfterMs) return;
    if (!this.limits.beginConnection(false)) return;
    this.spareAfterMs = this.deps.clock.nowMs() + SPARE_DIAL_PAUSE_MS;
    this.dialing++;
    this.dialOne();
  }

  private hand(pooled: Pooled, waiter: LeaseWaiter): void {
    const { connection } = pooled;
    waiter.onLease(connection);
    const requestsMax = this.cluster.requestsPerConnectionMax;
    if (requestsMax > 0 && connection.requests >= requestsMax) this.retire(pooled);
    else if (connection.available > 0) this.offer(pooled);
    if (this.multiplexes) this.dialSpare(pooled);
  }

  /** Takes the connection out of use; it closes when what is open on it has ended. */
  private retire(pooled: Pooled): void {
    if (pooled.inReady) {
      pooled.inReady = false;
      const at = this.ready.indexOf(pooled);
      if (at !== -1) this.ready.splice(at, 1);
    }
    pooled.retired = true;
    pooled.connection.drain();
    if (pooled.connection.closed) this.forget(pooled);
  }

  private offer(pooled: Pooled): void {
    if (pooled.retired || this.draining) return;
    pooled.idleSinceMs = this.deps.clock.nowMs();
    if (pooled.inReady) return;
    pooled.inReady = true;
    this.ready.push(pooled);
    if (this.cancelIdleTimer === undefined && this.cluster.idleTimeoutMs > 0)
      this.armIdleTimer(this.cluster.idleTimeoutMs);
  }

  private changed(pooled: Pooled): void {
    if (pooled.connection.closed) {
      this.forget(pooled);
      this.dialForWaiters();
      return;
    }
    const { available } = pooled.connection;
    if (available <= 0 || pooled.retired || pooled.forgotten) return;
    if (available > pooled.availableMax) pooled.availableMax = available;
    while (pooled.connection.available > 0 && !pooled.retired) {
      const waiter = this.nextWaiter();
      if (waiter === undefined) {
        this.offer(pooled);
        return;
      }
      this.hand(pooled, waiter);
    }
  }

  private forget(pooled: Pooled): void {
    if (!this.connections.delete(pooled)) return;
    pooled.forgotten = true;
    pooled.cancelAge?.();
    this.limits.endConnection();
    if (!pooled.inReady) return;
    pooled.inReady = false;
    const at = this.ready.indexOf(pooled);
    if (at !== -1) this.ready.splice(at, 1);
  }

  private nextWaiter(): LeaseWaiter | undefined {
    if (this.waiters.size === 0) return undefined;
    for (const waiter of this.waiters) {
      this.cancel(waiter);
      return waiter;
    }
    return undefined;
  }

  /** One connection for each waiting request; with HTTP/2 one at a time, since it will take many. */
  private dialForWaiters(): void {
    if (this.draining) return;
    if (this.multiplexes && this.waiters.size > 0 && this.isHeldOff()) {
      this.cancelHold ??= this.deps.clock.after(this.cluster.connectTimeoutMs, () => this.holdOver());
      return;
    }
    while (this.dialing < this.wantedDials()) {
      if (!this.limits.beginConnection(this.connections.size === 0 && this.dialing === 0)) return;
      this.dialing++;
      this.dialOne();
    }
  }

  private isHeldOff(): boolean {
    let held = 0;
    for (const { connection, retired } of this.connections) {
      if (!retired && !connection.closed && connection.takesNone === true) held++;
    }
    return held >= HELD_OFF_MAX;
  }

  /** A server may take no requests for a short time only; those that still wait then are not kept longer. */
  private holdOver(): void {
    this.cancelHold = undefined;
    if (!this.isHeldOff()) {
      this.dialForWaiters();
      return;
    }
    this.deps.recorder.count('cluster.connection.takes_none');
    for (const waiter of [...this.waiters]) {
      this.cancel(waiter);
      waiter.onLeaseError(overflow(`${this.host.label} takes no requests (SETTINGS_MAX_CONCURRENT_STREAMS 0)`));
    }
  }

  private wantedDials(): number {
    return this.multiplexes ? Math.min(1, this.waiters.size) : this.waiters.size;
  }

  /** At the limit an idle connection makes way for a fresh one. */
  private makeRoom(): void {
    const oldest = this.ready[0];
    if (oldest !== undefined) this.retire(oldest);
  }

  private dialOne(): void {
    const generation = this.deps.identity.own()?.generation ?? 0;
    this.deps.dial(
      {
        endpoint: this.host.endpoint,
        security: this.host.security,
        timeoutMs: this.cluster.connectTimeoutMs,
        tcpKeepAlive: this.cluster.connections?.tcpKeepAlive,
        bufferBytesMax: this.cluster.bufferBytesMax,
      },
      (result) => {
        this.dialing--;
        if ('error' in result) {
          this.limits.endConnection();
          this.dialFailed(result.error);
        } else {
          this.established(result.transport, generation);
        }
      },
    );
  }

  private dialFailed(error: ProxyError): void {
    this.deps.recorder.count('cluster.connect.failed');
    // Each HTTP/1 waiter has its own dial under way; the waiters of HTTP/2 share one.
    let failing = this.multiplexes ? this.waiters.size : 1;
    for (; failing > 0; failing--) {
      const waiter = this.nextWaiter();
      if (waiter === undefined) break;
      waiter.onLeaseError(error);
    }
    this.dialForWaiters();
  }

  private established(transport: UpstreamTransport, generation: number): void {
    const pooled = new Pooled(this.deps.connectHttp(transport, this.cluster, this.wire), generation, transport.peer);
    this.connections.add(pooled);
    rememberSocket(pooled.connection, transport.socket);
    if (this.wire === 'negotiated') this.multiplexes = pooled.availableMax > 1;
    pooled.connection.onChange = () => this.changed(pooled);
    this.limitAge(pooled);
    if (this.draining) {
      this.retire(pooled);
      return;
    }
    this.changed(pooled);
    this.dialForWaiters();
  }

  private limitAge(pooled: Pooled): void {
    const maxMs = this.cluster.connections?.durationMsMax ?? 0;
    if (maxMs === 0) return;
    const durationMs = Math.max(1, maxMs * (1 - AGE_JITTER * this.deps.prng.next()));
    pooled.cancelAge = this.deps.clock.after(durationMs, () => {
      this.deps.recorder.count('cluster.connection.max_duration');
      this.retire(pooled);
    });
  }

  private stopTimers(): void {
    this.cancelIdleTimer?.();
    this.cancelIdleTimer = undefined;
    this.cancelHold?.();
    this.cancelHold = undefined;
  }

  private armIdleTimer(delayMs: number): void {
    this.cancelIdleTimer = this.deps.clock.after(delayMs, () => this.closeIdle());
  }

  private closeIdle(): void {
    this.cancelIdleTimer = undefined;
    const { idleTimeoutMs } = this.cluster;
    const nowMs = this.deps.clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const pooled of [...this.ready]) {
      const inUse = pooled.connection.available < pooled.availableMax;
      const leftMs = inUse ? idleTimeoutMs : pooled.idleSinceMs + idleTimeoutMs - nowMs;
      if (leftMs <= 0) this.retire(pooled);
      else nextMs = Math.min(nextMs, leftMs);
    }
    if (nextMs !== Number.POSITIVE_INFINITY && idleTimeoutMs > 0) this.armIdleTimer(nextMs);
  }
}
