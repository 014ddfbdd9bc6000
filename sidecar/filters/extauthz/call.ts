import type { Clock } from '@weft/policies/kit/clock';
import type { Host } from '../../cluster/host.ts';
import type { ClusterManager, ClusterWaiter } from '../../cluster/manager.ts';
import { TIMED_OUT } from '../../cluster/outlier/monitor.ts';
import type { HttpPool, LeaseWaiter } from '../../cluster/pool.ts';
import type { ClusterRuntime } from '../../cluster/runtime.ts';
import type { ProxyError } from '../../http/errors.ts';
import type { RequestHead, ResponseHead, ResponseReceiver, Upstream, UpstreamConnection } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import { type Deadlines, deadlinesOf, type Timed } from '../../net/deadlines.ts';

/** Of an answer, for a body or a message of gRPC. */
export const ANSWER_BYTES_MAX = 262_144;

const ATTEMPTS_MAX = 2;

export interface AuthorizerAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  readonly trailers: Headers | undefined;
}

/** Why there was no whole answer. */
export type CallFailure = 'unreachable' | 'reset' | 'timeout' | 'oversize' | 'overflow';

/** Who asks; exactly one of these is called, possibly before `start` returns, unless the call is cancelled. */
export interface CallOwner {
  onAnswer(answer: AuthorizerAnswer): void;
  onFailure(failure: CallFailure, detail: string): void;
}

const givenUp: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'nobody waits for the answer of the authorizer any more',
};

interface CallDeps {
  readonly clusters: ClusterManager;
  readonly clock: Clock;
}

/**
 * One question to an authorizer, through its cluster as any request goes: its balancing, its mTLS, its limits. It is
 * sent once more, elsewhere if there is an elsewhere, when nothing of it can have come to anything.
 */
export class AuthorizerCall implements ClusterWaiter, LeaseWaiter, ResponseReceiver, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly deps: CallDeps;
  private readonly owner: CallOwner;
  private readonly head: RequestHead;
  private readonly body: Buffer;
  private readonly deadlines: Deadlines;
  private runtime: ClusterRuntime | undefined = undefined;
  private host: Host | undefined = undefined;
  private pool: HttpPool | undefined = undefined;
  private upstream: Upstream | undefined = undefined;
  private answerHead: ResponseHead | undefined = undefined;
  private chunks: Buffer[] = [];
  private answerBytes = 0;
  private attempts = 0;
  private reused = false;
  private over = false;

  constructor(deps: CallDeps, head: RequestHead, body: Buffer, owner: CallOwner) {
    this.deps = deps;
    this.head = head;
    this.body = body;
    this.owner = owner;
    this.deadlines = deadlinesOf(deps.clock);
  }

  start(cluster: string, timeoutMs: number): void {
    const deadlineMs = this.deps.clock.nowMs() + timeoutMs;
    this.deadlines.add(this);
    this.deadlines.set(this, deadlineMs);
    this.deps.clusters.acquire(cluster, deadlineMs, this);
  }

  /** Nobody wants the answer any more. */
  cancel(): void {
    this.finish();
  }

  onCluster(runtime: ClusterRuntime): void {
    if (this.over) return;
    if (runtime.isOriginalDst || !runtime.limits.beginRequest()) {
      this.fail('overflow', `too many requests to cluster ${runtime.cluster.name}`);
      return;
    }
    this.runtime = runtime;
    this.attempt(undefined, false);
  }

  onClusterError(error: ProxyError): void {
    this.fail('unreachable', error.detail);
  }

  onLease(connection: UpstreamConnection): void {
    this.pool = undefined;
    this.reused = connection.requests > 0;
    const attempt = this.attempts;
    const bodiless = this.body.length === 0;
    const upstream = connection.open(this.head, bodiless, this, this.runtime?.versionFor(this.head.version));
    // It has failed before it was opened, and another attempt may be under way.
    if (this.over || this.attempts !== attempt) return;
    this.upstream = upstream;
    if (!bodiless) upstream.write(this.body, true);
  }

  onLeaseError(error: ProxyError): void {
    this.pool = undefined;
    if (!this.repeat(true)) this.fail('unreachable', error.detail);
  }

  onEndpointGone(): void {
    this.pool = undefined;
    if (!this.repeat(false)) this.fail('unreachable', 'the endpoint went away');
  }

  onInterim(): void {}

  onHead(head: ResponseHead, end: boolean): void {
    if (this.over) return;
    this.answerHead = head;
    this.host?.report(head.status);
    if (end) this.answer(undefined);
  }

  onData(chunk: Buffer, end: boolean): void {
    if (this.over) return;
    this.answerBytes += chunk.length;
    if (this.answerBytes > ANSWER_BYTES_MAX) {
      this.fail('oversize', `the answer is larger than ${ANSWER_BYTES_MAX} bytes`);
      return;
    }
    this.chunks.push(chunk);
    if (end) this.answer(undefined);
    else this.upstream?.consumed(chunk.length);
  }

  onTrailers(trailers: Headers): void {
    if (!this.over) this.answer(trailers);
  }

  onReset(error: ProxyError): void {
    if (this.over) return;
    this.upstream = undefined;
    const unanswered = this.answerHead === undefined;
    if (unanswered && (error.retry === 'yes' || (error.retry === 'reusedOnly' && this.reused)) && this.repeat(false)) {
      return;
    }
    this.fail('reset', error.detail);
  }

  onWritable(): void {}

  onDeadline(): void {
    if (this.over) return;
    this.host?.report(TIMED_OUT);
    this.fail('timeout', 'no answer in time');
  }

  private attempt(exclude: Host | undefined, fresh: boolean): void {
    const { runtime } = this;
    if (runtime === undefined) return;
    const host = runtime.pick(exclude);
    if (host === undefined) {
      this.fail('unreachable', runtime.noneUsable.detail);
      return;
    }
    this.attempts++;
    this.host = host;
    host.active++;
    this.pool = runtime.poolOf(host, runtime.versionFor(this.head.version));
    this.pool.lease(this, fresh);
  }

  /** False: it was sent twice already. */
  private repeat(elsewhere: boolean): boolean {
    const { host } = this;
    if (this.attempts >= ATTEMPTS_MAX || this.over || host === undefined) return false;
    this.host = undefined;
    host.active--;
    this.attempt(elsewhere ? host : undefined, true);
    return true;
  }

  private answer(trailers: Headers | undefined): void {
    const head = this.answerHead;
    if (head === undefined) return;
    const [only] = this.chunks;
    const body = this.chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.chunks);
    this.upstream = undefined;
    this.finish();
    this.owner.onAnswer({ status: head.status, headers: head.headers, body, trailers });
  }

  private fail(failure: CallFailure, detail: string): void {
    if (this.over) return;
    this.finish();
    this.owner.onFailure(failure, detail);
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.deadlines.remove(this);
    this.chunks = [];
    const { upstream, pool, runtime, host } = this;
    this.upstream = undefined;
    if (host !== undefined) host.active--;
    if (pool !== undefined) pool.cancel(this);
    else upstream?.reset(givenUp);
    runtime?.limits.endRequest();
  }
}
