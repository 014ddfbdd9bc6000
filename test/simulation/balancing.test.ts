/** Ten endpoints of which one is ten times slower, on a seeded clock: who waits how long with which balancer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { type Balancer, leastRequest, peakEwma, roundRobin } from '@weft/policies/model/balancer';
import { createPicker } from '../../sidecar/cluster/picker/picker.ts';
import { FakeHost } from '../../sidecar/cluster/picker/testing.ts';

const HOSTS = 10;
const REQUESTS = 20_000;
const BETWEEN_MS = 2;

interface Outcome {
  readonly p99Ms: number;
  readonly slowShare: number;
  /** Of the last quarter, when everything is known. */
  readonly lateSlowShare: number;
}

function simulate(balancer: Balancer, seed: number, failing = false): Outcome {
  const clock = new ManualClock();
  const prng = new SeededPrng(seed);
  const hosts = Array.from({ length: HOSTS }, (_, i) => new FakeHost(`10.0.0.${i}:80`, 1, balancer));
  const picker = createPicker<FakeHost>(balancer, { prng, clock });
  picker.update(hosts);
  const [slow] = hosts;
  const took: number[] = [];
  let lateSlow = 0;
  for (let i = 0; i < REQUESTS; i++) {
    clock.advance(-Math.log(1 - prng.next()) * BETWEEN_MS);
    const host = picker.pick(undefined, 0);
    assert.ok(host);
    host.picks++;
    if (host === slow && i >= REQUESTS * 0.75) lateSlow++;
    host.active++;
    const fails = failing && host === slow;
    const durationMs = fails ? 0.5 : (5 + prng.next() * 10) * (host === slow ? 10 : 1);
    clock.after(durationMs, () => {
      host.active--;
      host.latency?.observe(clock.nowMs(), durationMs, fails);
      took.push(durationMs);
    });
  }
  took.sort((a, b) => a - b);
  return {
    p99Ms: took[Math.floor(took.length * 0.99)] ?? 0,
    slowShare: (slow?.picks ?? 0) / REQUESTS,
    lateSlowShare: lateSlow / (REQUESTS / 4),
  };
}

test('with one slow endpoint peak EWMA waits no longer than least request, and half as long as round robin at most', () => {
  for (const seed of [1, 2, 3]) {
    const ewma = simulate(peakEwma, seed);
    const least = simulate(leastRequest, seed);
    const robin = simulate(roundRobin, seed);
    const said = JSON.stringify({ ewma, least, robin });
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
