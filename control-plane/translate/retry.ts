/** Timeouts and retries of a route: what the rule says itself, then what its policies say, then the mesh's defaults. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { RetryPolicy } from '@weft/policies/model/route';
import type { RouteRule } from './attachment.ts';
import type { MergedPolicy } from './policy.ts';

/** Without being asked only what is safe: no request has arrived, or repeating it has no further effect. */
const defaultRetry: RetryPolicy = {
  on: ['connect-failure', 'refused-stream', 'reset'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  nonIdempotent: false,
};

const none: RetryPolicy = { ...defaultRetry, on: [], retriesMax: 0 };

export interface RequestTimes {
  readonly timeoutMs: number;
  readonly retry: RetryPolicy | undefined;
  /** Methods that `retry` is for; undefined: all. Others get `retryOtherwise`. */
  readonly methods: readonly string[] | undefined;
  readonly retryOtherwise: RetryPolicy | undefined;
}

export function requestTimes(rule: RouteRule | undefined, policy: MergedPolicy): RequestTimes {
  const request = rule?.timeouts?.request ?? policy.timeouts?.request;
  const perTry = rule?.timeouts?.backendRequest ?? policy.retries?.perTryTimeout ?? policy.timeouts?.backendRequest;
  const perTryTimeoutMs = perTry === undefined ? 0 : acceptedDurationMs(perTry);
  const retry = rule?.retry === undefined ? policyRetry(policy) : ruleRetry(rule.retry);
  const methods = rule?.retry === undefined ? policy.retries?.methods : undefined;
  return {
    timeoutMs: request === undefined ? 0 : acceptedDurationMs(request),
    retry: timed(retry, perTryTimeoutMs),
    methods,
    retryOtherwise: timed(none, perTryTimeoutMs),
  };
}

/** A retry policy without retries is only worth sending for the time that it gives the one try. */
function timed(retry: RetryPolicy, perTryTimeoutMs: number): RetryPolicy | undefined {
  if (retry.retriesMax === 0 && perTryTimeoutMs === 0) return undefined;
  return { ...retry, perTryTimeoutMs };
}

function policyRetry(policy: MergedPolicy): RetryPolicy {
  const { retries } = policy;
  if (retries === undefined) return defaultRetry;
  if (retries.attempts === 0) return none;
  return {
    on: retries.retryOn,
    retriesMax: retries.attempts,
    perTryTimeoutMs: 0,
    statusCodes: [],
    backoffBaseMs: acceptedDurationMs(retries.backoff.baseInterval),
    backoffMaxMs: acceptedDurationMs(retries.backoff.maxInterval),
    nonIdempotent: retries.retryNonIdempotent,
  };
}

/** GEP-1731: connection failures are retried, and the statuses that are named. */
function ruleRetry(retry: NonNullable<RouteRule['retry']>): RetryPolicy {
  const codes = retry.codes ?? [];
  const baseMs = retry.backoff === undefined ? defaultRetry.backoffBaseMs : acceptedDurationMs(retry.backoff);
  return {
    on: [
      'connect-failure',
      'refused-stream',
      'reset',
      ...(codes.length > 0 ? (['retriable-status-codes'] as const) : []),
    ],
    retriesMax: retry.attempts ?? 1,
    perTryTimeoutMs: 0,
    statusCodes: codes,
    backoffBaseMs: baseMs,
    backoffMaxMs: Math.max(baseMs * 10, defaultRetry.backoffMaxMs),
    nonIdempotent: false,
  };
}
