import type { ForwardAction } from '@weft/policies/model/route';
import type { ProxyError } from '../http/errors.ts';
import type { Chain } from './chain.ts';
import type { RequestContext } from './context.ts';
import { awaitDeadline, beginCall, capDeadline, limitTime } from './deadline.ts';
import type { GrpcCall } from './grpc/call.ts';
import { stepMs } from './grpc/deadline.ts';
import { callerOutOfTime } from './hop/filter.ts';
import { callerTimedOut, durationReached, requestIdle, streamIdle } from './timeout/errors.ts';
import { TimeoutEntry, type TimeoutKind, type TimeoutTarget } from './timeout/queue.ts';

/** The clocks of one request: its time as a whole, how long nothing may happen, and how long its stream may live. */
export class StreamTimeouts {
  private readonly chain: Chain;
  private readonly context: RequestContext;
  private readonly call: GrpcCall | undefined;
  private readonly target: TimeoutTarget;
  private readonly request: TimeoutEntry;
  private readonly idle: TimeoutEntry;
  private duration: TimeoutEntry | undefined = undefined;
  private idleTimeoutMs: number;
  /** When the caller further up gives up, unless something here ends sooner; Infinity: never. Calls of gRPC have their own. */
  private callerMs = Number.POSITIVE_INFINITY;

  constructor(chain: Chain, context: RequestContext, target: TimeoutTarget) {
    this.chain = chain;
    this.context = context;
    this.call = context.call;
    this.target = target;
    this.request = new TimeoutEntry(target, 'request');
    this.idle = new TimeoutEntry(target, 'idle');
    this.idleTimeoutMs = chain.deps.hcm.limits.streamIdleTimeoutMs;
  }

  start(): void {
    const { streamDurationMsMax } = this.chain.deps.hcm.limits;
    if (streamDurationMsMax > 0) this.limitDuration(streamDurationMsMax);
  }

  /** Heeds the deadline of a gRPC call, or of a caller further up; an error if it has passed already. */
  beginCall(): ProxyError | undefined {
    const late = this.call && beginCall(this.chain, this.call, this.request);
    const { hop } = this.context;
    return late ?? (hop === undefined ? undefined : this.heedCaller(hop.deadlineMs));
  }

  private heedCaller(deadlineMs: number): ProxyError | undefined {
    if (deadlineMs === Number.POSITIVE_INFINITY) return undefined;
    if (this.call === undefined) this.callerMs = deadlineMs;
    else if (!this.call.bound(deadlineMs)) return undefined;
    const { clock, recorder } = this.chain.deps;
    const leftMs = deadlineMs - clock.nowMs();
    if (leftMs <= 0) {
      recorder.count('deadline.refused');
      return callerOutOfTime;
    }
    this.chain.timeouts.arm(this.request, stepMs(leftMs));
    return undefined;
  }

  /** The times that a route gives; no deadline ends a tunnel. */
  follow(action: ForwardAction, isTunnel: boolean): void {
    if (this.call !== undefined && action.grpcTimeoutInsteadMs !== undefined) {
      this.limitCall(action.grpcTimeoutInsteadMs);
    } else if (action.timeoutMs > 0 && !isTunnel) this.limitRequest(action.timeoutMs);
    if (action.grpcTimeoutMsMax !== undefined) capDeadline(this.chain, this.call, this.request, action);
    if (action.streamDurationMsMax !== undefined) this.limitDuration(action.streamDurationMsMax);
    if (action.idleTimeoutMs > 0 || action.idleTimeoutOff === true) this.limitIdle(action.idleTimeoutMs);
  }

  private limitRequest(timeoutMs: number): void {
    if (this.callerMs !== Number.POSITIVE_INFINITY) {
      if (this.chain.deps.clock.nowMs() + timeoutMs >= this.callerMs) return;
      this.callerMs = Number.POSITIVE_INFINITY;
    }
    limitTime(this.chain, this.call, this.request, timeoutMs);
  }

  /** The time of a call of gRPC, of which the upstream is told; 0: it has as much as it likes. */
  private limitCall(maxMs: number): void {
    if (this.call === undefined || maxMs === 0) return;
    if (this.call.bound(this.chain.deps.clock.nowMs() + maxMs)) this.chain.timeouts.arm(this.request, stepMs(maxMs));
  }

  /** In the place of that of the listener; 0: none. */
  private limitIdle(timeoutMs: number): void {
    this.idleTimeoutMs = timeoutMs;
    this.context.exchange.idleTimeoutMs = timeoutMs;
    if (timeoutMs === 0) this.idle.disarm();
    else this.touch();
  }

  /** In the place of that of the listener; 0: none. */
  private limitDuration(durationMs: number): void {
    this.duration?.disarm();
    if (durationMs === 0) return;
    this.duration ??= new TimeoutEntry(this.target, 'duration');
    this.chain.timeouts.arm(this.duration, durationMs);
  }

  /** Something happened. */
  touch(): void {
    if (this.idleTimeoutMs > 0) this.chain.timeouts.arm(this.idle, this.idleTimeoutMs);
  }

  /** Why one of the clocks ends the request; undefined where it was a step towards a deadline that is further off. */
  expired(kind: TimeoutKind, requestEnded: boolean, responded: boolean): ProxyError | undefined {
    const { recorder } = this.chain.deps;
    if (kind === 'duration') {
      recorder.count('timeout.duration');
      return durationReached(requestEnded);
    }
    if (kind === 'request') {
      const error = this.requestExpired();
      if (error !== undefined) recorder.count('timeout.request');
      return error;
    }
    recorder.count('timeout.idle');
    return requestEnded || responded ? streamIdle : requestIdle;
  }

  private requestExpired(): ProxyError | undefined {
    if (this.callerMs === Number.POSITIVE_INFINITY) return awaitDeadline(this.chain, this.call, this.request);
    const leftMs = this.callerMs - this.chain.deps.clock.nowMs();
    if (leftMs <= 0) return callerTimedOut;
    this.chain.timeouts.arm(this.request, stepMs(leftMs));
    return undefined;
  }

  /** How long the client waits at most. */
  leftMs(): number {
    const { call, request, callerMs } = this;
    if (call?.hasDeadline === true) return call.deadlineMs - this.chain.deps.clock.nowMs();
    if (callerMs !== Number.POSITIVE_INFINITY) return callerMs - this.chain.deps.clock.nowMs();
    return request.leftMs(this.chain.deps.clock);
  }

  endRequest(): void {
    this.request.disarm();
  }

  endIdle(): void {
    this.idle.disarm();
  }

  stop(): void {
    this.request.disarm();
    this.idle.disarm();
    this.duration?.disarm();
  }
}
