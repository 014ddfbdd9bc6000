import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { GradientSettings } from '@weft/policies/model/overload';
import { GradientLimit } from './gradient.ts';
import { Latencies } from './latencies.ts';

const settings: GradientSettings = {
  limitMax: 200,
  limitMin: 3,
  updateIntervalMs: 100,
  percentile: 50,
  minRttIntervalMs: 10_000,
  minRttSamples: 20,
  minRttJitterPercent: 10,
  bufferPercent: 25,
  status: 503,
};

/** An application that does ten things at once in 10 ms each, always asked for as much as the limit allows. */
function busy(limit: GradientLimit, forMs: number, fromMs = 0, latencyOf = (n: number) => 10 * Math.max(1, n / 10)) {
  const limits: number[] = [];
  for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs += 5) {
    const running = limit.current;
    limit.observe(running, nowMs);
    limit.sample(nowMs, nowMs + latencyOf(running));
    limits.push(limit.current);
  }
  return limits;
}

describe('the gradient limit', () => {
  test('begins at its lowest, and finds the knee', () => {
    const limit = new GradientLimit(settings, new SeededPrng(1), 0);
    assert.equal(limit.current, 3);
    const limits = busy(limit, 9_000);
    assert.equal(limit.usualMs, 10);
    for (const one of limits.slice(-400)) assert.ok(one >= 10 && one <= 25, `${one}`);
  });

  test('a new measurement halves it, and not more where that is enough', () => {
    const limit = new GradientLimit(settings, new SeededPrng(1), 0);
    busy(limit, 9_000);
    const before = limit.current;
    const limits = busy(limit, 4_000, 9_000);
    const lowest = Math.min(...limits);
    assert.ok(lowest < before * 0.6, 'it was measured');
    assert.ok(lowest >= Math.floor(before / 4), `${lowest} of ${before}`);
    assert.ok((limits.at(-1) ?? 0) >= before * 0.8, 'and goes back to what it was');
  });

  test('an application that became slower for good keeps its limit', () => {
    const limit = new GradientLimit(settings, new SeededPrng(1), 0);
    busy(limit, 9_000);
    const slower = (n: number) => 30 * Math.max(1, n / 10);
    const at = busy(limit, 30_000, 9_000, slower);
    assert.equal(limit.usualMs, 30);
    assert.ok((at.at(-1) ?? 0) >= 10, `${at.at(-1)}`);
  });

  test('a limit that nobody comes near stays', () => {
    const limit = new GradientLimit(settings, new SeededPrng(1), 0);
    busy(limit, 5_000);
    const before = limit.current;
    for (let nowMs = 5_000; nowMs < 9_000; nowMs += 50) {
      limit.observe(1, nowMs);
      limit.sample(nowMs, nowMs + 10);
    }
    assert.ok(limit.current <= before + 5, `${limit.current} after ${before}`);
  });

  test('never leaves its bounds', () => {
    const fast = new GradientLimit({ ...settings, limitMax: 7 }, new SeededPrng(1), 0);
    for (const one of busy(fast, 9_000)) assert.ok(one <= 7);
    const slow = new GradientLimit(settings, new SeededPrng(1), 0);
    busy(slow, 5_000);
    for (const one of busy(slow, 4_000, 5_000, () => 10_000)) assert.ok(one >= 3);
  });

  test('a measurement without enough requests ends with what it has', () => {
    const limit = new GradientLimit(settings, new SeededPrng(1), 0);
    limit.sample(0, 12);
    limit.observe(1, 6_000);
    assert.equal(limit.usualMs, 12);
  });
});

test('of more latencies than fit an even sample is kept', () => {
  const latencies = new Latencies(100);
  const dice = new SeededPrng(2);
  for (let i = 0; i < 10_000; i++) latencies.add(i, dice.next());
  assert.equal(latencies.count, 10_000);
  const middle = latencies.percentile(50);
  assert.ok(middle > 3_000 && middle < 7_000, `${middle}`);
  assert.ok(latencies.percentile(90) > middle);
});
