import fc from 'fast-check';
import {
  BODY_REPLAY_BYTES_MAX,
  type HedgePolicy,
  type ResetHeader,
  type RetryCondition,
  type RetryPolicy,
} from '../model/retry.ts';
import { headerMatch, ms, positiveMs } from './arbitrary-values.testing.ts';

const conditions: readonly RetryCondition[] = [
  '5xx',
  'gateway-error',
  'reset',
  'retriable-status-codes',
  'retriable-headers',
  'unavailable',
];
const yes = fc.constant(true as const);
const headers = fc.array(headerMatch, { minLength: 1, maxLength: 2 });
const resetHeader: fc.Arbitrary<ResetHeader> = fc.record({
  name: fc.constantFrom('retry-after', 'x-ratelimit-reset'),
  format: fc.constantFrom('seconds' as const, 'unix' as const),
});

export const retryPolicy: fc.Arbitrary<RetryPolicy> = fc
  .record(
    {
      on: fc.uniqueArray(fc.constantFrom(...conditions)),
      retriesMax: fc.integer({ min: 0, max: 10 }),
      perTryTimeoutMs: ms,
      statusCodes: fc.array(fc.integer({ min: 100, max: 599 }), { maxLength: 3 }),
      backoffBaseMs: positiveMs,
      backoffMaxMs: ms,
      nonIdempotent: fc.boolean(),
      responseHeaders: headers,
      requestHeaders: headers,
      retryAfter: fc.record({
        headers: fc.array(resetHeader, { minLength: 1, maxLength: 2 }),
        maxMs: positiveMs,
        beyond: fc.constantFrom('give-up' as const, 'ignore' as const),
      }),
      idempotencyKey: yes,
      bodyBytesMax: fc.integer({ min: 0, max: BODY_REPLAY_BYTES_MAX }),
      nested: yes,
    },
    {
      requiredKeys: [
        'on',
        'retriesMax',
        'perTryTimeoutMs',
        'statusCodes',
        'backoffBaseMs',
        'backoffMaxMs',
        'nonIdempotent',
      ],
    },
  )
  .map((retry) => ({ ...retry, backoffMaxMs: retry.backoffBaseMs + retry.backoffMaxMs }));

const delayed: fc.Arbitrary<NonNullable<HedgePolicy['delayed']>> = fc.record({
  delay: fc.oneof(
    fc.record({ kind: fc.constant('fixed' as const), delayMs: ms }),
    fc.record({
      kind: fc.constant('percentile' as const),
      percentile: fc.constantFrom(50, 95, 99.9),
      delayMsMin: fc.nat({ max: 1_000 }),
    }),
  ),
  attemptsMax: fc.integer({ min: 2, max: 5 }),
});

/** One that says nothing is none. */
export const hedgePolicy: fc.Arbitrary<HedgePolicy> = fc.oneof(
  fc.record({ onPerTryTimeout: fc.boolean(), delayed }),
  fc.record({ onPerTryTimeout: yes, delayed: fc.constant(undefined) }),
);
