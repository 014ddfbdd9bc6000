import type { Breaker, BreakerTicket } from '../cluster/breaker.ts';
import { IMMEDIATE_FAIL_HEADER } from '../cluster/health/host-health.ts';
import type { Host } from '../cluster/host.ts';
import { CONNECT_FAILED, RESET, TIMED_OUT } from '../cluster/outlier/monitor.ts';
import type { HttpPool, LeaseWaiter } from '../cluster/pool.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import type { ProxyError } from '../http/errors.ts';
import {
  type HttpVersion,
  type ResponseHead,
  type ResponseReceiver,
  type Upstream,
  type UpstreamConnection,
  WINDOW_BYTES,
} from '../http/exchange.ts';
import { grpcStatusOf, httpStatusOfFailure, isServerFailure } from '../http/grpc-status.ts';
import type { Headers } from '../http/headers.ts';
import { keepShapes } from './kept-shapes.ts';
import { believeNoRetry } from './no-retry.ts';
import type { RequestStream } from './stream.ts';
import { attemptDurationReached, attemptTimedOut } from './timeout/errors.ts';
import { TimeoutEntry, type TimeoutKind, type TimeoutTarget } from './timeout/queue.ts';

/** How long the rest of a response that nobody wants may take before its connection is given up. */
const DISCARD_MS = 5_000;

const answeredEarly: ProxyError = {
  source: 'upstream',
  flag: 'UR',
  status: 502,
  retry: 'no',
  detail: 'the upstream answered before it had the whole request',
};

/**
 * `waiting` for a connection; `open` with the stream listening; `discarding` the rest of a response that is not
 * forwarded, which saves the connection; `closed`.
 */
type State = 'waiting' | 'open' | 'discarding' | 'closed';

/** One attempt at one endpoint, from the pick to the end of its response. */
export class Attempt implements LeaseWaiter, ResponseReceiver, TimeoutTarget {
  readonly host: Host;
  /** The how manieth at the request it is. */
  readonly number: number;
  /** The connection had carried requests before. */
  reused = false;
  upstream: Upstream | undefined = undefined;
  private readonly stream: RequestStream;
  private readonly pool: HttpPool;
  private readonly version: HttpVersion;
  private readonly durationMsMax: number;
  private readonly breaker: Breaker | undefined;
  private readonly ticket: BreakerTicket | undefined;
  /** Made beside one that is slow; it holds a place among the retries of the cluster. */
  readonly hedged: boolean;
  private readonly runtime: ClusterRuntime;
  private readonly timeout: TimeoutEntry;
  /** Only where the cluster limits attempts as a whole. */
  private duration: TimeoutEntry | undefined = undefined;
  private state: State = 'waiting';
  private settled = false;
  private responseEnded = false;
  private discardedBytes = 0;
  /** Only where somebody compares how long endpoints take; 0: not. */
  private openedMs = 0;
  private connection: UpstreamConnection | undefined = undefined;

  constructor(
    stream: RequestStream,
    runtime: ClusterRuntime,
    host: Host,
    breaker: Breaker | undefined,
    ticket: BreakerTicket | undefined,
    hedged: boolean,
  ) {
    this.stream = stream;
    this.runtime = runtime;
    this.host = host;
    this.hedged = hedged;
    this.number = stream.context.attempts;
    this.version = runtime.versionFor(stream.context.head.version);
    this.pool = runtime.poolOf(host, this.version);
    this.breaker = breaker;
    this.ticket = ticket;
    this.timeout = new TimeoutEntry(this, 'attempt');
    this.durationMsMax = runtime.cluster.connections?.streamDurationMsMax ?? 0;
    host.active++;
  }

  start(fresh: boolean, timeoutMs: number): void {
    if (timeoutMs > 0) this.stream.timeouts.arm(this.timeout, timeoutMs);
    this.pool.lease(this, fresh);
  }

  onLease(connection: UpstreamConnection): void {
    this.state = 'open';
    this.reused = connection.requests > 0;
    this.connection = connection;
    this.tellStats();
    if (this.durationMsMax > 0) {
      this.duration = new TimeoutEntry(this, 'duration');
      this.stream.timeouts.arm(this.duration, this.durationMsMax);
    }
    const { exchange, head, call } = this.stream.context;
    if (call !== undefined) call.passDeadline(head, this.stream.chain.deps.clock.nowMs());
    this.stream.describe(this);
    const upstream = connection.open(head, exchange.endOfRequest, this, this.version);
    this.upstream = upstream;
    keepShapes(this, this.stream.chain.deps.direction);
    if (this.stream.attempts.areTimed || this.host.isTimed) this.openedMs = this.stream.chain.deps.clock.nowMs();
    // It may have been reset before it returned.
    if (this.state === 'open' && !exchange.endOfRequest) this.stream.body.attach(upstream);
  }

  onLeaseError(error: ProxyError): void {
    this.settle(error.source === 'upstream' ? 'failure' : 'abandoned', CONNECT_FAILED);
    this.close();
    this.stream.attempts.onFailed(this, error);
  }

  onEndpointGone(): void {
    this.settle('abandoned');
    this.close();
    this.stream.attempts.onEndpointGone(this);
  }

  onInterim(head: ResponseHead): void {
    if (this.state === 'open') this.stream.onInterim(head);
  }

  onHead(head: ResponseHead, end: boolean): void {
    if (this.host.reportedLoad !== undefined) this.readLoad(head.headers);
    if (this.state !== 'open') {
      if (end) this.close();
      return;
    }
    this.timeout.disarm();
    believeNoRetry(head.headers, this.host.security);
    if (this.host.health !== undefined && head.headers.has(IMMEDIATE_FAIL_HEADER)) this.host.health.refuse();
    if (head.status >= 500) this.settle('failure', head.status);
    else if (this.stream.context.grpc) this.settleByStatus(head.headers, end);
    else this.settle('success');
    this.stream.onResponse(this, head, end);
    if (end) this.endResponse();
  }

  onData(chunk: Buffer, end: boolean): void {
    if (this.state === 'discarding') {
      this.discardedBytes += chunk.length;
      if (end) this.close();
      else if (this.discardedBytes > WINDOW_BYTES) this.abandon(attemptTimedOut);
      else this.upstream?.consumed(chunk.length);
    } else if (this.state === 'open') {
      if (!this.settled) this.settle('success');
      this.stream.onResponseData(this, chunk, end);
      if (end) this.endResponse();
    }
  }

  onTrailers(trailers: Headers): void {
    if (this.host.reportedLoad !== undefined) this.readLoad(trailers);
    if (!this.settled) this.settleByStatus(trailers, true);
    if (this.state === 'open') this.stream.onResponseTrailers(trailers);
    this.endResponse();
  }

  onReset(error: ProxyError): void {
    const listening = this.state === 'open';
    this.settle(error.source === 'downstream' ? 'abandoned' : 'failure', RESET);
    this.close();
    if (listening) this.stream.attempts.onFailed(this, error);
  }

  onWritable(): void {
    if (this.state === 'open') this.stream.onUpstreamWritable();
  }

  onTimeout(kind: TimeoutKind): void {
    if (kind === 'duration') {
      const error = attemptDurationReached(this.stream.body.ended);
      this.stream.chain.deps.recorder.count('timeout.upstream_duration');
      const listening = this.state === 'open';
      this.settle('failure', TIMED_OUT);
      this.abandon(error);
      if (listening) this.stream.attempts.onFailed(this, error);
      return;
    }
    if (kind === 'attempt' && this.state !== 'discarding') {
      this.settle('failure', TIMED_OUT);
      if (this.stream.attempts.keepsSlow()) return;
      this.abandon(attemptTimedOut);
      this.stream.attempts.onFailed(this, attemptTimedOut);
    } else {
      this.abandon(attemptTimedOut);
    }
  }

  /** Until it is given up; Infinity: it has no time of its own. */
  leftMs(): number {
    return this.timeout.leftMs(this.stream.chain.deps.clock);
  }

  /** What is logged of the connection is of this one. */
  tellStats(): void {
    if (this.connection !== undefined) this.stream.chain.stats.leased(this.stream.context, this.connection);
  }

  /** All of the request has come in. */
  requestEnded(): void {
    if (this.responseEnded) this.close();
  }

  /** The response is not wanted; a short rest of it is read, so that the connection can be used again. */
  discard(contentLength: number): void {
    if (this.state === 'closed') return;
    if (contentLength > WINDOW_BYTES || !this.stream.body.ended) {
      this.abandon(attemptTimedOut);
      return;
    }
    this.state = 'discarding';
    this.stream.timeouts.arm(this.timeout, DISCARD_MS);
  }

  /** Gives the attempt up. `error` says why to the connection. */
  abandon(error: ProxyError): void {
    if (this.state === 'closed') return;
    const { state, upstream } = this;
    // The whole time of the request ran out while this endpoint had it.
    if (error.flag === 'UT' && state === 'open' && !this.settled) this.reportTimeout();
    this.settle('abandoned');
    this.close();
    if (state === 'waiting') this.pool.cancel(this);
    else upstream?.reset(error);
  }

  /** A tunnel may stay half open; elsewhere an upstream that has answered need not take the rest of the request. */
  private endResponse(): void {
    if (this.state === 'closed') return;
    this.responseEnded = true;
    if (this.state === 'discarding' || this.stream.body.ended) this.close();
    else if (!this.stream.tunnel) this.abandon(answeredEarly);
  }

  /** Of a gRPC response: by its status, which comes last, unless it has begun to answer before. */
  private settleByStatus(headers: Headers, last: boolean): void {
    const code = grpcStatusOf(headers);
    if (code < 0 && !last) return;
    if (code < 0) this.settle('failure', 500);
    else this.settle(isServerFailure(code) ? 'failure' : 'success', httpStatusOfFailure(code));
  }

  /** Told once, at the first thing that is known of the outcome. `code`: a status, or what there was instead. */
  private settle(outcome: 'success' | 'failure' | 'abandoned', code = 200): void {
    if (this.settled) return;
    this.settled = true;
    if (outcome !== 'abandoned') {
      this.host.report(code, code === RESET ? -1 : this.tookMs());
      this.host.latency?.observe(this.stream.chain.deps.clock.nowMs(), this.tookMs(), outcome === 'failure');
    }
    if (this.ticket !== undefined) this.breaker?.settle(this.ticket, outcome);
  }

  /** What the endpoint says of its load. */
  private readLoad(fields: Headers): void {
    const { clock, recorder } = this.stream.chain.deps;
    if (this.host.reportedLoad?.read(fields, clock.nowMs()) === false) recorder.count('load-report.malformed');
  }

  private reportTimeout(): void {
    this.host.report(TIMED_OUT, this.tookMs());
    this.host.latency?.observe(this.stream.chain.deps.clock.nowMs(), this.tookMs(), true);
  }

  /** Negative: not known. */
  tookMs(): number {
    return this.openedMs === 0 ? -1 : this.stream.chain.deps.clock.nowMs() - this.openedMs;
  }

  private close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.timeout.disarm();
    this.duration?.disarm();
    this.host.active--;
    if (this.hedged) this.runtime.limits.endRetry();
  }
}
