import type { ResponseFlag } from '../../http/errors.ts';
import type { RequestHead, ResponseHead } from '../../http/exchange.ts';
import { isGrpc } from '../../http/grpc-content-type.ts';
import { codeOfHttpStatus, GrpcCode, grpcStatusOf } from '../../http/grpc-status.ts';
import type { Headers } from '../../http/headers.ts';
import { formatGrpcTimeout, parseGrpcTimeout } from './deadline.ts';
import { MessageCounter } from './message-counter.ts';

const TIMEOUT_HEADER = 'grpc-timeout';
/** Below this the client's value is passed on as it is: it did not count its own way to here either. */
const ELAPSED_MS_MIN = 1;

/** Where the outcome of a call is told. */
interface Outcome {
  readonly status: number;
  readonly flag: ResponseFlag | '';
  grpcStatus: number;
}

/** What a gRPC call has beyond a request; made only for gRPC. */
export class GrpcCall {
  readonly requests = new MessageCounter();
  readonly responses = new MessageCounter();
  /** On the clock of the chain; Infinity: the client set none. */
  deadlineMs: number;
  /** The deadline is no longer the client's but the route's, which is earlier. */
  bounded = false;
  /** The client's value cannot be read. */
  readonly malformedTimeout: boolean;
  /** As the upstream sent it or as we did; -1: none so far. */
  status = -1;
  private readonly startMs: number;
  /** The response is gRPC and may end in trailers. */
  private streaming = false;

  /**
   * A `grpc-timeout` that cannot be read bounds nothing here and is passed on as it is: servers answer it differently
   * (INTERNAL, OUT_OF_RANGE, or as if there was none), and the application is to decide, as it does without a mesh.
   */
  constructor(head: RequestHead, startMs: number) {
    this.startMs = startMs;
    const text = head.headers.get(TIMEOUT_HEADER);
    const timeoutMs = text === undefined ? Number.POSITIVE_INFINITY : parseGrpcTimeout(text);
    this.malformedTimeout = timeoutMs === undefined;
    this.deadlineMs = startMs + (timeoutMs ?? Number.POSITIVE_INFINITY);
  }

  get hasDeadline(): boolean {
    return this.deadlineMs !== Number.POSITIVE_INFINITY;
  }

  /** A status in trailers reaches the client: there is a response to end, and no message of it is cut short. */
  get takesStatus(): boolean {
    return this.streaming && this.responses.atBoundary && !this.responses.malformed;
  }

  /** False: the deadline is earlier already. */
  bound(deadlineMs: number): boolean {
    if (deadlineMs >= this.deadlineMs) return false;
    this.deadlineMs = deadlineMs;
    this.bounded = true;
    return true;
  }

  /** Tells an upstream how much time is left. */
  passDeadline(head: RequestHead, nowMs: number): void {
    if (!this.hasDeadline || (!this.bounded && nowMs - this.startMs < ELAPSED_MS_MIN)) return;
    head.headers.set(TIMEOUT_HEADER, formatGrpcTimeout(this.deadlineMs - nowMs));
  }

  onHead(head: ResponseHead, end: boolean): void {
    this.status = grpcStatusOf(head.headers);
    this.streaming = !end && head.contentLength < 0 && isGrpc(head.headers.get('content-type'));
  }

  onTrailers(trailers: Headers): void {
    const code = grpcStatusOf(trailers);
    if (code >= 0) this.status = code;
  }

  /** A call without a status has one for its client all the same. */
  finish(outcome: Outcome): void {
    if (outcome.grpcStatus >= 0) return;
    if (this.status >= 0) outcome.grpcStatus = this.status;
    else if (outcome.flag === 'DC') outcome.grpcStatus = GrpcCode.cancelled;
    else if (outcome.status !== 0) outcome.grpcStatus = codeOfHttpStatus(outcome.status);
  }
}
