import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import fc from 'fast-check';
import { LatencyDigest } from './latency-digest.ts';

test('a percentile is right to a tenth, whatever was seen', () => {
  const times = fc.array(fc.double({ min: 0.2, max: 60_000, noNaN: true }), { minLength: 200, maxLength: 400 });
  fc.assert(
    fc.property(times, fc.constantFrom(50, 90, 95, 99), (all, percentile) => {
      const digest = new LatencyDigest(new ManualClock());
      for (const ms of all) digest.observe(ms);
      const exact = all.toSorted((a, b) => a - b)[Math.ceil((percentile / 100) * all.length) - 1] ?? 0;
      const told = digest.percentile(percentile) ?? 0;
      assert.ok(told >= exact * 0.999 && told <= exact * 1.1, `${told} for ${exact}`);
    }),
  );
});

test('nothing is said of fewer than a hundred', () => {
  const digest = new LatencyDigest(new ManualClock());
  for (let i = 0; i < 99; i++) digest.observe(5);
  assert.equal(digest.percentile(95), undefined);
  digest.observe(5);
  assert.ok((digest.percentile(95) ?? 0) >= 5);
});

test('what is long ago counts no more', () => {
  const clock = new ManualClock();
  const digest = new LatencyDigest(clock);
  for (let i = 0; i < 1_000; i++) digest.observe(500);
  clock.advance(300_000);
  for (let i = 0; i < 1_000; i++) digest.observe(5);
  assert.ok((digest.percentile(99) ?? 0) < 6);
});

test('times beyond the last counter are in it', () => {
  const digest = new LatencyDigest(new ManualClock());
  for (let i = 0; i < 100; i++) digest.observe(1e9);
  assert.ok((digest.percentile(50) ?? 0) > 100_000);
});

test('what is not known is not taken for fast', () => {
  const digest = new LatencyDigest(new ManualClock());
  for (let i = 0; i < 100; i++) digest.observe(500);
  for (let i = 0; i < 1_000; i++) digest.observe(-1);
  assert.ok((digest.percentile(50) ?? 0) >= 500);
});
