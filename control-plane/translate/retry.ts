/** Timeouts and retries of a route: what the rule says itself, then what its policies say, then the mesh's defaults. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { Mesh } from '@weft/policies/crds/kinds';
import { TIMER_MS_MAX } from '@weft/policies/kit/timer';
import type { RetryBudget } from '@weft/policies/model/cluster';
import {
  BODY_REPLAY_BYTES_DEFAULT,
  defaultRetry,
  type HedgePolicy,
  type RetryPolicy,
} from '@weft/policies/model/retry';
import { timerMs } from './durations.ts';
import type { MergedPolicy } from './policy.ts';
import type { HttpRule } from './rules.ts';

type RuleTimes = Pick<HttpRule, 'timeouts' | 'retry'>;

const none: RetryPolicy = { ...defaultRetry, on: [], retriesMax: 0 };

type Budget = Mesh['spec']['retryBudget'];

export const retryBudgetOf = (budget: Budget): RetryBudget => ({
  percent: budget.percent,
  concurrencyMin: budget.minConcurrency,
  rate: { intervalMs: acceptedDurationMs(budget.interval), perSecondMin: budget.minRetryRate },
});

export interface RequestTimes {
  readonly timeoutMs: number;
  /** 0: that of the listener. */
  readonly idleTimeoutMs: number;
  /** 0: none; undefined: that of the listener. */
  readonly streamDurationMsMax: number | undefined;
  readonly hedge: HedgePolicy | undefined;
  readonly retry: RetryPolicy | undefined;
  /** Methods that `retry` is for; undefined: all. Others get `retryOtherwise`. */
  readonly methods: readonly string[] | undefined;
  readonly retryOtherwise: RetryPolicy | undefined;
}

export function requestTimes(rule: RuleTimes | undefined, policy: MergedPolicy): RequestTimes {
  const request = rule?.timeouts?.request ?? policy.timeouts?.request;
  const perTry = rule?.timeouts?.backendRequest ?? policy.retries?.perTryTimeout ?? policy.timeouts?.backendRequest;
  const perTryTimeoutMs = perTry === undefined ? 0 : timerMs(perTry);
  const retry = rule?.retry === undefined ? policyRetry(policy) : ruleRetry(rule.retry);
  const methods = rule?.retry === undefined ? policy.retries?.methods : undefined;
  return {
    timeoutMs: request === undefined ? 0 : timerMs(request),
    idleTimeoutMs: policy.timeouts?.streamIdle === undefined ? 0 : timerMs(policy.timeouts.streamIdle),
    streamDurationMsMax: policy.timeouts?.stream === undefined ? undefined : timerMs(policy.timeouts.stream),
    hedge: policy.hedging && hedge(policy.hedging),
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
  const { statusCodes = [], responseHeaders, retryAfter } = retries;
  return {
    on: [
      ...retries.retryOn,
      ...(statusCodes.length > 0 ? (['retriable-status-codes'] as const) : []),
      ...(responseHeaders === undefined ? [] : (['retriable-headers'] as const)),
    ],
    retriesMax: retries.attempts,
    perTryTimeoutMs: 0,
    statusCodes,
    ...(responseHeaders === undefined
      ? {}
      : {
          responseHeaders: responseHeaders.map(({ name, value }) => ({
            name: name.toLowerCase(),
            value:
              value === undefined
                ? ({ kind: 'present' } as const)
                : ({ kind: 'exact', value, ignoreCase: false } as const),
            invert: false,
          })),
        }),
    backoffBaseMs: acceptedDurationMs(retries.backoff.baseInterval),
    backoffMaxMs: acceptedDurationMs(retries.backoff.maxInterval),
    retryAfter: {
      headers: retryAfter.headers.map(({ name, format }) => ({
        name: name.toLowerCase(),
        format: format === 'UnixTime' ? 'unix' : 'seconds',
      })),
      maxMs: acceptedDurationMs(retryAfter.max),
      beyond: 'give-up',
    },
    nonIdempotent: retries.retryNonIdempotent,
    ...(retries.idempotencyKey ? { idempotencyKey: true } : {}),
    ...(retries.maxBodyBytes === BODY_REPLAY_BYTES_DEFAULT ? {} : { bodyBytesMax: retries.maxBodyBytes }),
    ...(retries.nested === 'Retry' ? { nested: true } : {}),
  };
}

function hedge({ delay, percentile, minDelay, maxAttempts }: NonNullable<MergedPolicy['hedging']>): HedgePolicy {
  return {
    onPerTryTimeout: false,
    delayed: {
      attemptsMax: maxAttempts,
      delay:
        percentile === undefined
          ? { kind: 'fixed', delayMs: acceptedDurationMs(delay ?? minDelay) }
          : { kind: 'percentile', percentile, delayMsMin: acceptedDurationMs(minDelay) },
    },
  };
}

/** GEP-1731: connection failures are retried, and the statuses that are named. */
function ruleRetry(retry: NonNullable<HttpRule['retry']>): RetryPolicy {
  const codes = retry.codes ?? [];
  const baseMs = retry.backoff === undefined ? defaultRetry.backoffBaseMs : timerMs(retry.backoff);
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
    backoffMaxMs: Math.min(Math.max(baseMs * 10, defaultRetry.backoffMaxMs), TIMER_MS_MAX),
    nonIdempotent: false,
  };
}
