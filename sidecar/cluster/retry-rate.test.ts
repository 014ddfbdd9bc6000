import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import fc from 'fast-check';
import { TestRecorder } from '../http/h1/testing.ts';
import { LimitState } from './limits.ts';
import { RetryMeter } from './retry-rate.ts';

const RATE = { intervalMs: 10_000, perSecondMin: 10 };
const BUDGET = { percent: 20, concurrencyMin: 3, rate: RATE };

/** Every request wants to be repeated; how many of them may, by second. */
function storm(perSecond: number, seconds: number, budget = BUDGET, parts = 1): number[] {
  const clock = new ManualClock();
  const meter = new RetryMeter(clock, budget, budget.rate, parts);
  return Array.from({ length: seconds }, () => {
    let retries = 0;
    for (let i = 0; i < perSecond; i++) {
      clock.advance(1_000 / perSecond);
      meter.request();
      if (meter.retry()) retries++;
    }
    return retries;
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('retries over time', () => {
  test('are a fifth of the requests where those are many', () => {
    const retries = sum(storm(1_000, 20));
    assert.ok(retries > 3_900 && retries <= 4_000 + 20, `${retries}`);
  });

  test('are ten a second where requests are few, and no more', () => {
    const retries = sum(storm(30, 20));
    assert.ok(retries >= 195 && retries <= 20 * 10 + 10, `${retries}`);
  });

  test('without a floor none is allowed before there were requests for it', () => {
    const budget = { percent: 20, concurrencyMin: 0, rate: { intervalMs: 1_000, perSecondMin: 0 } };
    assert.deepEqual(storm(4, 2, budget), [0, 0]);
    const retries = sum(storm(100, 5, budget));
    assert.ok(retries >= 95 && retries <= 100, `${retries}`);
  });

  test('threads divide the floor among them', () => {
    const retries = sum(storm(10, 20, BUDGET, 5));
    assert.ok(retries >= 20 * 2 && retries <= 20 * 2 + 4, `${retries}`);
  });

  test('what is older than the interval counts no more', () => {
    const clock = new ManualClock();
    const meter = new RetryMeter(clock, BUDGET, { intervalMs: 1_000, perSecondMin: 0 });
    for (let i = 0; i < 100; i++) meter.request();
    clock.advance(500);
    assert.equal(meter.retry(), true);
    clock.advance(5_000);
    assert.equal(meter.retry(), false);
  });

  test('in no second of a random load are there more than the share and the floor', () => {
    const arrivals = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 400 }), retries: fc.nat({ max: 3 }) }), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 0, max: 100 }), fc.nat({ max: 20 }), (all, percent, perSecondMin) => {
        const clock = new ManualClock();
        const meter = new RetryMeter(clock, { percent, concurrencyMin: 0 }, { intervalMs: 1_000, perSecondMin });
        let [requests, retries] = [0, 0];
        for (const one of all) {
          clock.advance(one.waitMs);
          meter.request();
          requests++;
          for (let i = 0; i < one.retries; i++) if (meter.retry()) retries++;
        }
        const floor = perSecondMin === 0 ? 0 : perSecondMin * (clock.nowMs() / 1_000) + perSecondMin + 1;
        assert.ok(retries <= (percent / 100) * requests + floor, `${retries} of ${requests}`);
      }),
    );
  });
});

test('a retry that the meter refuses takes no place', () => {
  const clock = new ManualClock();
  const recorder = new TestRecorder();
  const rate = { intervalMs: 1_000, perSecondMin: 1 };
  const limits = new LimitState(
    {
      connectionsMax: 1,
      pendingRequestsMax: 1,
      requestsMax: 10,
      retriesMax: 0,
      retryBudget: { percent: 0, concurrencyMin: 5, rate },
    },
    recorder,
    clock,
  );
  assert.equal(limits.beginRetry(), true);
  assert.equal(limits.beginRetry(), false);
  assert.equal(limits.retries, 1);
  assert.deepEqual(recorder.events, ['cluster.retries.rate']);
  clock.advance(1_000);
  assert.equal(limits.beginRetry(), true);
});
