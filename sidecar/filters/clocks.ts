import type { ProxyError } from '../http/errors.ts';
import type { Chain } from './chain.ts';
import { awaitDeadline, beginCall, capDeadline, limitTime } from './deadline.ts';
import type { GrpcCall } from './grpc/call.ts';
import { TimeoutEntry, type TimeoutTarget } from './timeout/queue.ts';

/** The clocks of one request: its time as a whole, how long nothing may happen, and how long its stream may live. */
export class StreamTimeouts {
  private readonly chain: Chain;
  private readonly call: GrpcCall | undefined;
  private readonly target: TimeoutTarget;
  private readonly request: TimeoutEntry;
  private readonly idle: TimeoutEntry;
  private duration: TimeoutEntry | undefined = undefined;
  private idleTimeoutMs: number;

  constructor(chain: Chain, call: GrpcCall | undefined, target: TimeoutTarget) {
    this.chain = chain;
    this.call = call;
    this.target = target;
    this.request = new TimeoutEntry(target, 'request');
    this.idle = new TimeoutEntry(target, 'idle');
    this.idleTimeoutMs = chain.deps.hcm.limits.streamIdleTimeoutMs;
  }

  start(): void {
    const { streamDurationMsMax } = this.chain.deps.hcm.limits;
    if (streamDurationMsMax > 0) this.limitDuration(streamDurationMsMax);
  }

  /** Heeds the deadline of a gRPC call; an error if it has passed already. */
  beginCall(): ProxyError | undefined {
    return this.call && beginCall(this.chain, this.call, this.request);
  }

  limitRequest(timeoutMs: number): void {
    limitTime(this.chain, this.call, this.request, timeoutMs);
  }

  /** What a client may ask for at most by `grpc-timeout`; 0: as long as it likes. */
  capDeadline(maxMs: number): void {
    capDeadline(this.chain, this.call, this.request, maxMs);
  }

  /** In the place of that of the listener. */
  limitIdle(timeoutMs: number): void {
    this.idleTimeoutMs = timeoutMs;
    this.touch();
  }

  /** In the place of that of the listener; 0: none. */
  limitDuration(durationMs: number): void {
    this.duration?.disarm();
    if (durationMs === 0) return;
    this.duration ??= new TimeoutEntry(this.target, 'duration');
    this.chain.timeouts.arm(this.duration, durationMs);
  }

  /** Something happened. */
  touch(): void {
    if (this.idleTimeoutMs > 0) this.chain.timeouts.arm(this.idle, this.idleTimeoutMs);
  }

  /** Why the request timeout ends the request; undefined where it was a step towards a deadline that is further off. */
  requestExpired(): ProxyError | undefined {
    return awaitDeadline(this.chain, this.call, this.request);
  }

  /** How long the client waits at most. */
  leftMs(): number {
    const { call, request } = this;
    const deadlineMs =
      call?.hasDeadline === true
        ? call.deadlineMs
        : request.queue === undefined
          ? Number.POSITIVE_INFINITY
          : request.deadlineMs;
    return deadlineMs - this.chain.deps.clock.nowMs();
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
