import type { Clock } from '@weft/policies/kit/clock';
import type { Mirror } from '@weft/policies/model/mirror';
import type { Host } from '../../cluster/host.ts';
import type { ClusterManager, ClusterWaiter } from '../../cluster/manager.ts';
import type { HttpPool, LeaseWaiter } from '../../cluster/pool.ts';
import type { ClusterRuntime } from '../../cluster/runtime.ts';
import type { ProxyError } from '../../http/errors.ts';
import type { RequestHead, ResponseHead, ResponseReceiver, Upstream, UpstreamConnection } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import { type Deadlines, deadlinesOf, type Timed } from '../../net/deadlines.ts';
import type { AnswerDigest } from './digest.ts';

/** Body that waits for the copy's upstream; beyond it the copy is given up, since the request itself waits for nothing. */
export const MIRROR_HELD_BYTES_MAX = 65_536;

const givenUp: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'the copy of the request was given up',
};

export interface MirrorDeps {
  readonly clusters: ClusterManager;
  readonly clock: Clock;
  /** Without anything to send or to read for so long it is given up. */
  readonly timeoutMs: number;
  /** Of the wait for configuration. */
  readonly configurationDeadlineMs: number;
}

/** Why there was no whole answer. */
export type MirrorOutcome = 'answered' | 'failed' | 'timeout' | 'overflow' | 'abandoned';

/** Called once. */
type MirrorDone = (request: MirrorRequest, outcome: MirrorOutcome) => void;

/** A copy of a request on its way. Whatever happens to it happens to nothing else; it is never sent again. */
export class MirrorRequest implements ClusterWaiter, LeaseWaiter, ResponseReceiver, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  readonly mirror: Mirror;
  readonly digest: AnswerDigest | undefined;
  status = 0;
  private readonly head: RequestHead;
  private readonly deps: MirrorDeps;
  private readonly done: MirrorDone;
  private readonly deadlines: Deadlines;
  private readonly held: Buffer[] = [];
  private heldBytes = 0;
  private requestEnded: boolean;
  private heldTrailers: Headers | undefined = undefined;
  private runtime: ClusterRuntime | undefined = undefined;
  private host: Host | undefined = undefined;
  private pool: HttpPool | undefined = undefined;
  private upstream: Upstream | undefined = undefined;
  private blocked = false;
  private over = false;

  constructor(
    mirror: Mirror,
    head: RequestHead,
    endOfRequest: boolean,
    digest: AnswerDigest | undefined,
    deps: MirrorDeps,
    done: MirrorDone,
  ) {
    this.mirror = mirror;
    this.head = head;
    this.requestEnded = endOfRequest;
    this.digest = digest;
    this.deps = deps;
    this.done = done;
    this.deadlines = deadlinesOf(deps.clock);
  }

  start(): void {
    this.deadlines.add(this);
    this.touch();
    this.deps.clusters.acquire(this.mirror.cluster, this.deps.configurationDeadlineMs, this);
  }

  onCluster(runtime: ClusterRuntime): void {
    if (this.over) return;
    if (runtime.isOriginalDst || !runtime.limits.beginRequest()) {
      this.finish('overflow');
      return;
    }
    this.runtime = runtime;
    const host = runtime.pick(undefined);
    if (host === undefined) {
      this.finish('failed');
      return;
    }
    this.host = host;
    host.active++;
    this.pool = runtime.poolOf(host, runtime.versionFor(this.head.version));
    this.pool.lease(this, false);
  }

  onClusterError(): void {
    this.finish('failed');
  }

  onLease(connection: UpstreamConnection): void {
    this.pool = undefined;
    const { head, runtime } = this;
    const bodiless = this.requestEnded && this.held.length === 0 && this.heldTrailers === undefined;
    const upstream = connection.open(head, bodiless, this, runtime?.versionFor(head.version));
    if (this.over) return;
    this.upstream = upstream;
    if (!bodiless) this.flush();
  }

  onLeaseError(): void {
    this.pool = undefined;
    this.finish('failed');
  }

  onEndpointGone(): void {
    this.pool = undefined;
    this.finish('failed');
  }

  /** A piece of the body. */
  push(chunk: Buffer, end: boolean): void {
    if (this.over) return;
    this.touch();
    if (end) this.requestEnded = true;
    if (this.upstream !== undefined && !this.blocked) {
      this.blocked = !this.upstream.write(chunk, end);
      return;
    }
    this.held.push(chunk);
    this.heldBytes += chunk.length;
    if (this.heldBytes > MIRROR_HELD_BYTES_MAX) this.finish('overflow');
  }

  pushTrailers(trailers: Headers): void {
    if (this.over) return;
    this.requestEnded = true;
    if (this.upstream !== undefined && this.held.length === 0) this.upstream.trailers(trailers);
    else this.heldTrailers = trailers;
  }

  /** The request itself is over; a copy that does not have all of it will never be whole. */
  requestOver(): void {
    if (!this.requestEnded) this.finish('abandoned');
  }

  onInterim(): void {}

  onHead(head: ResponseHead, end: boolean): void {
    if (this.over) return;
    this.touch();
    this.status = head.status;
    this.host?.report(head.status);
    this.digest?.onHead(head, end);
    if (end) this.finish('answered');
  }

  onData(chunk: Buffer, end: boolean): void {
    if (this.over) return;
    this.touch();
    this.digest?.onData(chunk, end);
    if (end) this.finish('answered');
    else this.upstream?.consumed(chunk.length);
  }

  onTrailers(trailers: Headers): void {
    if (this.over) return;
    this.digest?.onTrailers(trailers);
    this.finish('answered');
  }

  onReset(): void {
    this.upstream = undefined;
    this.finish('failed');
  }

  onWritable(): void {
    this.blocked = false;
    if (!this.over) this.flush();
  }

  onDeadline(): void {
    this.finish('timeout');
  }

  private flush(): void {
    const { upstream, held } = this;
    if (upstream === undefined) return;
    for (let chunk = held.shift(); chunk !== undefined; chunk = held.shift()) {
      this.heldBytes -= chunk.length;
      const last = held.length === 0 && this.requestEnded && this.heldTrailers === undefined;
      this.blocked = !upstream.write(chunk, last);
      if (this.over || (this.blocked && held.length > 0)) return;
    }
    const { heldTrailers } = this;
    this.heldTrailers = undefined;
    if (heldTrailers !== undefined) upstream.trailers(heldTrailers);
  }

  private touch(): void {
    this.deadlines.set(this, this.deps.clock.nowMs() + this.deps.timeoutMs);
  }

  private finish(outcome: MirrorOutcome): void {
    if (this.over) return;
    this.over = true;
    this.deadlines.remove(this);
    const whole = this.requestEnded && this.held.length === 0 && this.heldTrailers === undefined;
    this.held.length = 0;
    this.heldTrailers = undefined;
    const { upstream, pool, runtime, host } = this;
    this.upstream = undefined;
    if (host !== undefined) host.active--;
    if (pool !== undefined) pool.cancel(this);
    else if (outcome !== 'answered' || !whole) upstream?.reset(givenUp);
    runtime?.limits.endRequest();
    this.done(this, outcome);
  }
}
