import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KeyedBuckets } from './keyed-buckets.ts';
import { TokenBucket } from './token-bucket.ts';

const settings = { tokensMax: 5, tokensPerFill: 10, fillIntervalMs: 1_000 };

describe('a token bucket', () => {
  test('gives what it holds at once, then one each tenth of a second', () => {
    const bucket = new TokenBucket(settings, 0);
    for (let i = 0; i < 5; i++) assert.equal(bucket.take(0), true);
    assert.equal(bucket.take(0), false);
    assert.equal(bucket.waitMs(0), 100);
    assert.equal(bucket.take(99.9), false);
    assert.equal(bucket.take(100), true);
    assert.equal(bucket.take(100), false);
  });

  test('holds no more after a long pause', () => {
    const bucket = new TokenBucket(settings, 0);
    assert.equal(bucket.remaining(3_600_000), 5);
  });

  test('a clock that goes back gives nothing', () => {
    const bucket = new TokenBucket(settings, 1_000);
    for (let i = 0; i < 5; i++) bucket.take(1_000);
    assert.equal(bucket.take(500), false);
    assert.equal(bucket.take(1_100), true);
  });

  test('in no stretch of time are there more than burst and rate allow, and never fewer', () => {
    const pauses = fc.array(fc.double({ min: 0, max: 400, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(
        pauses,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 50 }),
        (gaps, tokensMax, perFill) => {
          const bucket = new TokenBucket({ tokensMax, tokensPerFill: perFill, fillIntervalMs: 1_000 }, 0);
          const admittedMs: number[] = [];
          let nowMs = 0;
          for (const gap of gaps) {
            nowMs += gap;
            const mayGo = bucket.remaining(nowMs) >= 1;
            assert.equal(bucket.take(nowMs), mayGo);
            if (mayGo) admittedMs.push(nowMs);
            else assert.ok(bucket.waitMs(nowMs) > 0);
          }
          for (const [i, fromMs] of admittedMs.entries()) {
            for (const [n, toMs] of admittedMs.slice(i).entries()) {
              assert.ok(n + 1 <= tokensMax + ((toMs - fromMs) * perFill) / 1_000 + 1e-6);
            }
          }
        },
      ),
    );
  });

  test('of a share each part gives its part of burst and rate', () => {
    const half = new TokenBucket({ tokensMax: 10, tokensPerFill: 10, fillIntervalMs: 1_000 }, 0, 0.5);
    assert.equal(half.remaining(0), 5);
    for (let i = 0; i < 5; i++) half.take(0);
    assert.equal(half.remaining(1_000), 5);
    assert.equal(half.limit, 10);
  });
});

describe('buckets by key', () => {
  test('each key has its own', () => {
    const buckets = new KeyedBuckets({ ...settings, tokensMax: 1 }, 10, 1, () => undefined);
    assert.equal(buckets.of('a', 0).take(0), true);
    assert.equal(buckets.of('a', 0).take(0), false);
    assert.equal(buckets.of('b', 0).take(0), true);
  });

  test('beyond the bound the one that was used longest ago goes, and is counted', () => {
    let full = 0;
    const buckets = new KeyedBuckets({ ...settings, tokensMax: 1 }, 2, 1, () => full++);
    buckets.of('a', 0).take(0);
    buckets.of('b', 0).take(0);
    buckets.of('a', 1);
    buckets.of('c', 2);
    assert.deepEqual([buckets.size, full], [2, 1]);
    assert.equal(buckets.of('a', 3).take(3), false, 'it was used lately');
    assert.equal(buckets.of('b', 3).take(3), true, 'it begins anew');
  });

  test('long keys are told apart, and no more than a hash of them is kept', () => {
    const buckets = new KeyedBuckets({ ...settings, tokensMax: 1 }, 10, 1, () => undefined);
    const long = 'x'.repeat(5_000);
    assert.equal(buckets.of(`${long}a`, 0).take(0), true);
    assert.equal(buckets.of(`${long}b`, 0).take(0), true);
    assert.equal(buckets.of(`${long}a`, 0).take(0), false);
  });
});
