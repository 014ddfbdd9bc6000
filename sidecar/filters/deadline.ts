import type { ForwardAction } from '@weft/policies/model/route';
import type { ProxyError } from '../http/errors.ts';
import type { Chain } from './chain.ts';
import type { GrpcCall } from './grpc/call.ts';
import { stepMs } from './grpc/deadline.ts';
import { deadlineExceeded, requestTimedOut } from './timeout/errors.ts';
import type { TimeoutEntry } from './timeout/queue.ts';

/** Starts what a gRPC call has of its own; an error if its time is over before it began. */
export function beginCall(chain: Chain, call: GrpcCall, timeout: TimeoutEntry): ProxyError | undefined {
  if (call.malformedTimeout) chain.deps.recorder.count('grpc.timeout-malformed');
  return call.hasDeadline ? awaitDeadline(chain, call, timeout) : undefined;
}

/**
 * A time that ran out, or, when it is a step towards the deadline of a call, undefined and the next step. To be called
 * whenever the timeout fires.
 */
export function awaitDeadline(chain: Chain, call: GrpcCall | undefined, timeout: TimeoutEntry): ProxyError | undefined {
  if (call?.hasDeadline !== true) return requestTimedOut;
  const leftMs = call.deadlineMs - chain.deps.clock.nowMs();
  if (leftMs <= 0) return call.bounded ? requestTimedOut : deadlineExceeded;
  chain.timeouts.arm(timeout, stepMs(leftMs));
  return undefined;
}

/** A route's timeout, beside the deadline of the client if it set one. */
export function limitTime(chain: Chain, call: GrpcCall | undefined, timeout: TimeoutEntry, timeoutMs: number): void {
  if (call?.hasDeadline !== true) chain.timeouts.arm(timeout, timeoutMs);
  else if (call.bound(chain.deps.clock.nowMs() + timeoutMs)) chain.timeouts.arm(timeout, stepMs(timeoutMs));
}

/** Clocks of two processes and timers of one agree no better. */
const OVERDUE_SLACK_MS = 1;

/**
 * Why an attempt failed. A server whose deadline is that of the client resets the call when it has passed, perhaps
 * before the timeout here fires: the deadline was the cause, as clients of gRPC conclude too.
 */
export function overdue(chain: Chain, call: GrpcCall, error: ProxyError): ProxyError {
  const passed = chain.deps.clock.nowMs() >= call.deadlineMs - OVERDUE_SLACK_MS;
  if (!passed || error.source !== 'upstream') return error;
  return call.bounded ? requestTimedOut : deadlineExceeded;
}

/** What a client may ask for at most by `grpc-timeout`, and how much sooner it is given up here. */
export function capDeadline(
  chain: Chain,
  call: GrpcCall | undefined,
  timeout: TimeoutEntry,
  { grpcTimeoutMsMax: maxMs = 0, grpcTimeoutOffsetMs: offsetMs = 0 }: ForwardAction,
): void {
  if ((maxMs === 0 && offsetMs === 0) || call?.hasDeadline !== true) return;
  const nowMs = chain.deps.clock.nowMs();
  let leftMs = call.deadlineMs - nowMs;
  if (maxMs > 0 && maxMs < leftMs) leftMs = maxMs;
  leftMs = Math.max(0, leftMs - offsetMs);
  if (call.bound(nowMs + leftMs)) chain.timeouts.arm(timeout, stepMs(leftMs));
}
