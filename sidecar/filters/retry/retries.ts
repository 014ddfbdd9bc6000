import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { RetryPolicy } from '@weft/policies/model/retry';
import type { ClusterRuntime } from '../../cluster/runtime.ts';
import type { ProxyError } from '../../http/errors.ts';
import type { RequestHead, ResponseHead } from '../../http/exchange.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import { backoffMs } from './backoff.ts';
import type { RequestBody } from './body.ts';
import { compiledRetry } from './compiled.ts';
import { isIdempotent, isMeant, isRepeatable, type RetryReason, reasonOfError, reasonOfResponse } from './policy.ts';
import { forbidsRetry, pushbackMs, returnTime } from './retry-after.ts';

/** A connection that goes stale while idle is replaced once without asking a policy. */
const FREE_RETRIES_MAX = 1;

/** Where no policy says how long a server may put a client off. */
const PUSHBACK_MS_MAX = 300_000;

const REASON_EVENTS: Readonly<Record<RetryReason, string>> = {
  status: 'retry.of.status',
  'grpc-status': 'retry.of.grpc-status',
  header: 'retry.of.header',
  'connect-failure': 'retry.of.connect-failure',
  refused: 'retry.of.refused',
  reset: 'retry.of.reset',
  timeout: 'retry.of.timeout',
};

/** The retries of one request: what its policy asks for, within what the cluster allows. */
export class Retries {
  policy: RetryPolicy | undefined = undefined;
  made = 0;
  /** Of those, the ones after which the application may have seen the request more than once. */
  repeats = 0;
  /** Which bound kept a retry from being made that the policy asked for (flag URX); empty: none. */
  refused = '';
  /** A caller further up repeats the request: here only what reached no application is. */
  private guarded = false;
  private free = 0;
  /** The cluster among whose retries a place is taken. */
  private place: ClusterRuntime | undefined = undefined;
  private readonly head: RequestHead;
  private readonly grpc: boolean;
  private readonly body: RequestBody;
  private readonly recorder: Recorder;
  private readonly prng: Prng;
  private readonly clock: Clock;

  constructor(
    head: RequestHead,
    grpc: boolean,
    body: RequestBody,
    deps: { readonly recorder: Recorder; readonly prng: Prng; readonly clock: Clock },
  ) {
    this.head = head;
    this.grpc = grpc;
    this.body = body;
    this.recorder = deps.recorder;
    this.prng = deps.prng;
    this.clock = deps.clock;
  }

  /** `retriedAbove`: a caller further up repeats the request, or has done so already. */
  use(policy: RetryPolicy | undefined, retriedAbove: boolean): void {
    this.policy = policy;
    if (policy === undefined) return;
    this.guarded = retriedAbove && policy.nested !== true;
    if (policy.bodyBytesMax !== undefined) this.body.replayBytesMax = policy.bodyBytesMax;
  }

  /** The policy would repeat this request for an answer of an application, so that nobody further down has to. */
  get coversAnswers(): boolean {
    const { policy, head } = this;
    if (policy === undefined || this.guarded || !compiledRetry(policy).retriesAnswers) return false;
    return head.contentLength <= this.body.replayBytesMax && isMeant(policy, head) && isRepeatable(policy, head);
  }

  /** Another attempt may be made beside one that is slow. */
  get mayHedge(): boolean {
    const { policy, head } = this;
    if (this.guarded) return false;
    return policy === undefined ? isIdempotent(head.method) : isRepeatable(policy, head);
  }

  /**
   * A connection that had been used before broke before anything of a response came. The request may have been carried
   * out all the same, so that a proxy must not repeat it unless its method is idempotent (RFC 9112 section 9.3.1).
   */
  isFree(error: ProxyError, reused: boolean, runtime: ClusterRuntime): boolean {
    if (!isIdempotent(this.head.method)) return false;
    if (error.retry !== 'reusedOnly' || !reused || this.free >= FREE_RETRIES_MAX || !this.body.replayable) return false;
    // An upstream that breaks every connection must not get twice the load either.
    if (!runtime.limits.meterRetry()) return false;
    this.free++;
    this.repeats++;
    this.recorder.count('retry.stale-connection');
    return true;
  }

  /** Milliseconds to wait before the next attempt, or -1: no retry of such a response. */
  afterResponse(head: ResponseHead, runtime: ClusterRuntime, time: { leftMs(): number }): number {
    const { policy } = this;
    this.release();
    if (policy === undefined || policy.retriesMax === 0) return -1;
    const reason = reasonOfResponse(policy, this.head, head, this.grpc);
    if (reason === undefined || !isMeant(policy, this.head)) return -1;
    if (this.guarded) return this.leave('retry.left-to-caller');
    if (forbidsRetry(head.headers)) return this.leave('retry.forbidden');
    let delayMs = pushbackMs(head.headers);
    if (delayMs > (policy.retryAfter?.maxMs ?? PUSHBACK_MS_MAX)) return this.leave('retry.later-than-allowed');
    if (policy.retryAfter !== undefined && delayMs < 0) {
      const asked = returnTime(head.headers, policy.retryAfter, this.clock.unixMs(), time.leftMs(), this.prng);
      if (asked.kind === 'beyond') return this.leave('retry.later-than-allowed');
      if (asked.kind === 'wait') delayMs = asked.delayMs;
    }
    return this.admit(policy, runtime, reason, delayMs);
  }

  /** A response that another attempt may do better than. */
  isBad(head: ResponseHead): boolean {
    const { policy } = this;
    if (policy === undefined || policy.retriesMax === 0) return head.status >= 500;
    return reasonOfResponse(policy, this.head, head, this.grpc) !== undefined;
  }

  afterError(error: ProxyError, runtime: ClusterRuntime): number {
    const { policy } = this;
    this.release();
    if (policy === undefined || policy.retriesMax === 0) return -1;
    const reason = reasonOfError(policy, this.head, error, this.grpc);
    if (reason === undefined || !isMeant(policy, this.head)) return -1;
    if (this.guarded && error.retry !== 'yes') return this.leave('retry.left-to-caller');
    return this.admit(policy, runtime, reason, -1);
  }

  /** An attempt has exceeded its own time and goes on: Envoy hedges whatever the conditions of the policy are. */
  besideSlow(runtime: ClusterRuntime): number {
    const { policy } = this;
    if (policy === undefined || this.guarded || !this.body.ended) return -1;
    if (!isMeant(policy, this.head) || !isRepeatable(policy, this.head)) return -1;
    this.release();
    return this.admit(policy, runtime, 'timeout', -1);
  }

  /** The retry under way is over. */
  release(): void {
    this.place?.limits.endRetry();
    this.place = undefined;
  }

  /** `delayMs`: as the server asked; negative: it did not. */
  private admit(policy: RetryPolicy, runtime: ClusterRuntime, reason: RetryReason, delayMs: number): number {
    if (policy.retriesMax === 0) return -1;
    if (!this.body.replayable) return this.leave('retry.body-not-held');
    // The answer at hand says more than that the breaker is open.
    if (runtime.breaker?.admits === false) return this.leave('retry.breaker-open');
    if (this.made >= policy.retriesMax) return this.refuse('retry.exhausted', 'retries exhausted');
    if (!runtime.limits.beginRetry()) return this.refuse('retry.budget-exceeded', 'retry budget exhausted');
    this.place = runtime;
    this.recorder.count('retry.attempt');
    this.recorder.count(REASON_EVENTS[reason]);
    const waitMs = delayMs >= 0 ? delayMs : backoffMs(this.made, policy.backoffBaseMs, policy.backoffMaxMs, this.prng);
    this.made++;
    if (reason !== 'connect-failure' && reason !== 'refused') this.repeats++;
    return waitMs;
  }

  /** Says in the record what kept the retry from being made. */
  explain(context: RequestContext): void {
    if (this.refused === '') return;
    context.flag = 'URX';
    context.detail = this.refused;
  }

  private leave(event: string): -1 {
    this.recorder.count(event);
    return -1;
  }

  private refuse(event: string, reason: string): -1 {
    this.recorder.count(event);
    this.refused = reason;
    return -1;
  }
}
