import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestRecorder } from '../http/h1/testing.ts';
import { LimitState } from './limits.ts';

test('whatever happens in whatever order, no bound is exceeded and every refusal is counted', () => {
  const operation = fc.constantFrom('begin', 'end', 'retry', 'endRetry');
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 400 }),
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 1, max: 50 }),
      (operations, percent, concurrencyMin, requestsMax) => {
        const recorder = new TestRecorder();
        const limits = new LimitState(
          {
            connectionsMax: 1,
            pendingRequestsMax: 1,
            requestsMax,
            retriesMax: 0,
            retryBudget: { percent, concurrencyMin },
          },
          recorder,
        );
        let refusals = 0;
        for (const next of operations) {
          if (next === 'begin' && !limits.beginRequest()) refusals++;
          if (next === 'end' && limits.requests > 0) limits.endRequest();
          if (next === 'endRetry' && limits.retries > 0) limits.endRetry();
          if (next === 'retry') {
            const allowed = Math.max(concurrencyMin, Math.floor((percent * limits.requests) / 100));
            const before = limits.retries;
            const admitted = limits.beginRetry();
            assert.equal(admitted, before < allowed);
            if (!admitted) refusals++;
            else assert.ok(limits.retries <= allowed);
          }
          assert.ok(limits.requests <= requestsMax);
        }
        assert.equal(recorder.events.length, refusals);
      },
    ),
  );
});

test('an endpoint without a connection may have one beyond the limit', () => {
  const limits = new LimitState(
    { connectionsMax: 1, pendingRequestsMax: 1, requestsMax: 1, retriesMax: 1, retryBudget: undefined },
    new TestRecorder(),
  );
  assert.equal(limits.beginConnection(false), true);
  assert.equal(limits.beginConnection(false), false);
  assert.equal(limits.beginConnection(true), true);
  assert.equal(limits.beginRetry(), true);
  assert.equal(limits.beginRetry(), false);
});
