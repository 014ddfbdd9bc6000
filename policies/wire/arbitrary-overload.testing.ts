import fc from 'fast-check';
import type { TokenBucketSettings } from '../kit/token-bucket.ts';
import type { Fraction } from '../model/fraction.ts';
import type { HttpFilter } from '../model/listener.ts';
import type { LocalRateLimit, RequestMatch } from '../model/overload.ts';
import { ms, mutation, name, optional, positiveMs, rbac } from './arbitrary-values.testing.ts';

const positive = fc.integer({ min: 1, max: 100_000 });
const percent = fc.integer({ min: 0, max: 100 });
const bucket: fc.Arbitrary<TokenBucketSettings> = fc.record({
  tokensMax: positive,
  tokensPerFill: positive,
  fillIntervalMs: fc.integer({ min: 50, max: 1_000_000 }),
});
const headers = mutation.map((all) => ({ ...all, remove: [] }));
const share: fc.Arbitrary<Fraction> = fc.record({
  numerator: positive,
  denominator: fc.constantFrom(100 as const, 1_000_000 as const),
});
export const localRateLimit: fc.Arbitrary<LocalRateLimit> = fc.record({
  statPrefix: name,
  bucket,
  enabled: share,
  enforced: share,
  status: fc.constantFrom(429, 503),
  responseHeaders: headers,
  requestHeaders: headers,
  rateLimitHeaders: fc.boolean(),
});
const matches: fc.Arbitrary<RequestMatch[]> = rbac.map(({ policies }) =>
  policies.map(({ permissions, principals }) => ({ permissions, principals })),
);
const status = fc.integer({ min: 400, max: 599 });

export const overloadFilter: fc.Arbitrary<HttpFilter> = fc.oneof(
  fc.record({
    kind: fc.constant('localRateLimit' as const),
    name,
    limit: fc.tuple(localRateLimit, fc.boolean()).map(([all, has]) => (has ? all : { ...all, bucket: undefined })),
  }),
  fc.record({
    kind: fc.constant('rateLimits' as const),
    name,
    limits: fc.array(
      fc.record({
        name,
        matches,
        bucket,
        key: optional(
          fc.oneof(
            fc.record({ kind: fc.constant('header' as const), name }),
            fc.record({ kind: fc.constantFrom('path' as const, 'identity' as const) }),
          ),
        ),
        keysMax: fc.integer({ min: 1, max: 65_536 }),
        global: fc.boolean(),
        status,
        rateLimitHeaders: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
  }),
  fc.record({
    kind: fc.constant('adaptiveConcurrency' as const),
    name,
    gradient: fc.record({
      limitMax: positive,
      updateIntervalMs: positiveMs,
      percentile: percent,
      minRttIntervalMs: positiveMs,
      minRttSamples: positive,
      minRttJitterPercent: percent,
      limitMin: positive,
      bufferPercent: percent,
      status: fc.constantFrom(503, 429),
    }),
  }),
  fc.record({
    kind: fc.constant('admission' as const),
    name,
    admission: fc.record({
      name,
      fixedLimit: optional(positive),
      classes: fc
        .tuple(fc.array(fc.record({ name, matches, weight: positive }), { maxLength: 2 }), name, positive)
        .map(([classes, last, weight]) => [...classes, { name: last, matches: [], weight }]),
      queue: fc.record({ lengthMax: fc.nat(10_000), waitMsMax: ms, targetMs: ms, intervalMs: ms }),
    }),
  }),
);
