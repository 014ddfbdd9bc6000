import type { Prng } from '@weft/policies/kit/prng';
import type { RetryPolicy } from '@weft/policies/model/route';
import type { ClusterRuntime } from '../../cluster/runtime.ts';
import type { ProxyError } from '../../http/errors.ts';
import type { ResponseHead } from '../../http/exchange.ts';
import { grpcStatusOf } from '../../http/grpc-status.ts';
import type { Recorder } from '../../telemetry/record.ts';
import { backoffMs } from './backoff.ts';
import type { RequestBody } from './body.ts';
import { isIdempotent, wantsRetryOfCode, wantsRetryOfError, wantsRetryOfStatus } from './policy.ts';

/** A connection that goes stale while idle is replaced once without asking a policy. */
const FREE_RETRIES_MAX = 1;

/** The retries of one request: what its policy asks for, within what the cluster allows. */
export class Retries {
  policy: RetryPolicy | undefined = undefined;
  made = 0;
  /** Which bound kept a retry from being made that the policy asked for (flag URX); empty: none. */
  refused = '';
  private free = 0;
  /** The cluster among whose retries a place is taken. */
  private place: ClusterRuntime | undefined = undefined;
  private readonly method: string;
  private readonly grpc: boolean;
  private readonly body: RequestBody;
  private readonly recorder: Recorder;
  private readonly prng: Prng;

  constructor(
    method: string,
    grpc: boolean,
    body: RequestBody,
    deps: { readonly recorder: Recorder; readonly prng: Prng },
  ) {
    this.method = method;
    this.grpc = grpc;
    this.body = body;
    this.recorder = deps.recorder;
    this.prng = deps.prng;
  }

  /**
   * A connection that had been used before broke before anything of a response came. The request may have been carried
   * out all the same, so that a proxy must not repeat it unless its method is idempotent (RFC 9112 section 9.3.1).
   */
  isFree(error: ProxyError, reused: boolean): boolean {
    if (!isIdempotent(this.method)) return false;
    if (error.retry !== 'reusedOnly' || !reused || this.free >= FREE_RETRIES_MAX || !this.body.replayable) return false;
    this.free++;
    this.recorder.count('retry.stale-connection');
    return true;
  }

  /** Milliseconds to wait before the next attempt, or -1: no retry of such a response. */
  afterResponse(head: ResponseHead, runtime: ClusterRuntime): number {
    const { policy } = this;
    this.release();
    return policy !== undefined && this.wantsAfter(head, policy) ? this.admit(policy, runtime) : -1;
  }

  afterError(error: ProxyError, runtime: ClusterRuntime): number {
    const { policy } = this;
    this.release();
    return policy !== undefined && wantsRetryOfError(policy, this.method, error, this.grpc)
      ? this.admit(policy, runtime)
      : -1;
  }

  /** The retry under way is over. */
  release(): void {
    this.place?.limits.endRetry();
    this.place = undefined;
  }

  /** A gRPC status in a head is all of the response (gRPC over HTTP/2, Trailers-Only). */
  private wantsAfter(head: ResponseHead, policy: RetryPolicy): boolean {
    if (wantsRetryOfStatus(policy, this.method, head.status)) return true;
    return this.grpc && wantsRetryOfCode(policy, grpcStatusOf(head.headers));
  }

  private admit(policy: RetryPolicy, runtime: ClusterRuntime): number {
    if (policy.retriesMax === 0) return -1;
    if (!this.body.replayable) {
      this.recorder.count('retry.body-not-held');
      return -1;
    }
    if (runtime.breaker?.admits === false) {
      // The answer at hand says more than that the breaker is open.
      this.recorder.count('retry.breaker-open');
      return -1;
    }
    if (this.made >= policy.retriesMax) return this.refuse('retry.exhausted', 'retries exhausted');
    if (!runtime.limits.beginRetry()) return this.refuse('retry.budget-exceeded', 'retry budget exhausted');
    this.place = runtime;
    this.recorder.count('retry.attempt');
    const delayMs = backoffMs(this.made, policy.backoffBaseMs, policy.backoffMaxMs, this.prng);
    this.made++;
    return delayMs;
  }

  private refuse(event: string, reason: string): -1 {
    this.recorder.count(event);
    this.refused = reason;
    return -1;
  }
}
