import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { RetryAfter } from '@weft/policies/model/retry';
import fc from 'fast-check';
import { Headers } from '../../http/headers.ts';
import { forbidsRetry, pushbackMs, type ReturnTime, returnTime } from './retry-after.ts';

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0);
const policy: RetryAfter = {
  headers: [
    { name: 'retry-after', format: 'seconds' },
    { name: 'x-ratelimit-reset', format: 'unix' },
  ],
  maxMs: 10_000,
  beyond: 'give-up',
};

const ask = (fields: readonly string[], overrides: Partial<RetryAfter> = {}, leftMs = 60_000): ReturnTime =>
  returnTime(Headers.from(fields), { ...policy, ...overrides }, NOW, leftMs, new SeededPrng(1));

const waits = (time: ReturnTime, minMs: number, maxMs: number): void => {
  assert.ok(time.kind === 'wait' && time.delayMs >= minMs && time.delayMs <= maxMs, JSON.stringify(time));
};

describe('when to come back', () => {
  test('in seconds, and up to half as long again', () => {
    waits(ask(['Retry-After', '4']), 4_000, 6_000);
    waits(ask(['Retry-After', ' 0 ']), 0, 0);
    waits(ask(['Retry-After', '9']), 9_000, 10_000);
  });

  test('as a date in each of the forms that HTTP has had', () => {
    for (const date of [
      'Sat, 21 Nov 2026 12:00:05 GMT',
      'Saturday, 21-Nov-26 12:00:05 GMT',
      'Sat Nov 21 12:00:05 2026',
    ]) {
      waits(ask(['Retry-After', date]), 5_000, 7_500);
    }
    waits(ask(['Retry-After', 'Sat, 21 Nov 2026 11:00:00 GMT']), 0, 0);
  });

  test('as a time of the clock where the policy says that', () => {
    waits(ask(['X-RateLimit-Reset', String(NOW / 1_000 + 3)]), 3_000, 4_500);
  });

  test('the first that can be read counts', () => {
    waits(ask(['Retry-After', 'soon', 'X-RateLimit-Reset', String(NOW / 1_000 + 2)]), 2_000, 3_000);
    assert.deepEqual(ask(['Retry-After', 'soon']), { kind: 'none' });
    assert.deepEqual(ask(['Retry-After', '-1']), { kind: 'none' });
    assert.deepEqual(ask(['Retry-After', '2026-11-21']), { kind: 'none' });
    assert.deepEqual(ask([]), { kind: 'none' });
  });

  test('who asks for more than is allowed, or than the client waits, is not asked again', () => {
    assert.deepEqual(ask(['Retry-After', '11']), { kind: 'beyond' });
    assert.deepEqual(ask(['Retry-After', '4'], {}, 4_000), { kind: 'beyond' });
    assert.deepEqual(ask(['Retry-After', 'Sat, 21 Nov 2026 13:00:00 GMT']), { kind: 'beyond' });
  });

  test('as Envoy, what is too long or past is passed over', () => {
    assert.deepEqual(ask(['Retry-After', '11'], { beyond: 'ignore' }), { kind: 'none' });
    assert.deepEqual(ask(['Retry-After', '0'], { beyond: 'ignore' }), { kind: 'none' });
    const fields = ['Retry-After', '11', 'X-RateLimit-Reset', String(NOW / 1_000 + 3)];
    waits(ask(fields, { beyond: 'ignore' }), 3_000, 4_500);
  });

  test('whatever is written there, no wait is longer than the policy says', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.nat().map(String),
          fc.date({ noInvalidDate: true }).map((d) => d.toUTCString()),
        ),
        (text) => {
          const time = ask(['Retry-After', text]);
          assert.ok(time.kind !== 'wait' || (time.delayMs >= 0 && time.delayMs <= policy.maxMs));
        },
      ),
    );
  });
});

test('a server may forbid a retry', () => {
  assert.equal(forbidsRetry(Headers.from([])), false);
  assert.equal(forbidsRetry(Headers.from(['weft-no-retry', '1'])), true);
  assert.equal(forbidsRetry(Headers.from(['grpc-retry-pushback-ms', '-1'])), true);
  assert.equal(forbidsRetry(Headers.from(['grpc-retry-pushback-ms', 'x'])), true);
  assert.equal(forbidsRetry(Headers.from(['grpc-retry-pushback-ms', '20'])), false);
  assert.equal(pushbackMs(Headers.from(['grpc-retry-pushback-ms', '20'])), 20);
  assert.equal(pushbackMs(Headers.from([])), -1);
});
