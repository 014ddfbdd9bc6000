/** Ten endpoints of which one is ten times slower, on a seeded clock: who waits how long with which balancer. */
import assert from 'node:assert/strict';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { Balancer } from '@weft/policies/model/balancer';
import { createPicker } from '../../sidecar/cluster/picker/picker.ts';
import { FakeHost } from '../../sidecar/cluster/picker/testing.ts';

export const HOSTS = 10;
const REQUESTS = 20_000;
const BETWEEN_MS = 2;

export interface Outcome {
  /** Of all requests, in order of size. */
  readonly tookMs: readonly number[];
  readonly p99Ms: number;
  readonly slowShare: number;
  /** Of the last quarter, when everything is known. */
  readonly lateSlowShare: number;
}

export function simulate(balancer: Balancer, seed: number, failing = false): Outcome {
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
    tookMs: took,
    p99Ms: took[Math.floor(took.length * 0.99)] ?? 0,
    slowShare: (slow?.picks ?? 0) / REQUESTS,
    lateSlowShare: lateSlow / (REQUESTS / 4),
  };
}
