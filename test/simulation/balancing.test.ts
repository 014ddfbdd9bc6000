import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leastRequest, peakEwma, roundRobin } from '@weft/policies/model/balancer';
import { HOSTS, simulate } from './balancing.testing.ts';

test('with one slow endpoint peak EWMA waits no longer than least request, and half as long as round robin at most', () => {
  for (const seed of [1, 2, 3]) {
    const ewma = simulate(peakEwma, seed);
    const least = simulate(leastRequest, seed);
    const robin = simulate(roundRobin, seed);
    const said = JSON.stringify([ewma, least, robin].map(({ p99Ms, slowShare }) => ({ p99Ms, slowShare })));
    assert.ok(ewma.p99Ms <= least.p99Ms, said);
    assert.ok(ewma.p99Ms <= robin.p99Ms / 2, said);
    assert.ok(ewma.slowShare < 0.01, said);
  }
});

test('an endpoint that fails fast does not draw the traffic to itself', () => {
  for (const seed of [1, 2, 3]) {
    const ewma = simulate(peakEwma, seed, true);
    const least = simulate(leastRequest, seed, true);
    assert.ok(ewma.lateSlowShare < 0.01, `${ewma.lateSlowShare}`);
    // What least request does to it.
    assert.ok(least.lateSlowShare > 1 / HOSTS, `${least.lateSlowShare}`);
  }
});

test('the same seed gives the same run', () => {
  assert.deepEqual(simulate(peakEwma, 7), simulate(peakEwma, 7));
});
