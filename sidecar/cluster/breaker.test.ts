import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestRecorder } from '../http/h1/testing.ts';
import { Breaker } from './breaker.ts';

const policy = { thresholdPercent: 50, volumeMin: 10, windowMs: 1_000, openMs: 40 };

/** Waits for a state: opossum runs on the real clock. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, 'state not reached in time');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function report(breaker: Breaker, outcome: 'success' | 'failure' | 'abandoned', times: number): void {
  for (let i = 0; i < times; i++) {
    const ticket = breaker.begin();
    assert.ok(ticket);
    breaker.settle(ticket, outcome);
  }
}

test('opens above the threshold, probes with one attempt, closes when that succeeds', async (t) => {
  const recorder = new TestRecorder();
  const breaker = new Breaker(policy, recorder);
  t.after(() => breaker.close());
  report(breaker, 'success', 6);
  report(breaker, 'failure', 5);
  report(breaker, 'abandoned', 20);
  assert.equal(breaker.state, 'closed');
  report(breaker, 'failure', 2);
  assert.equal(breaker.state, 'open');
  assert.equal(breaker.begin(), undefined);
  assert.equal(breaker.admits, false);

  await until(() => breaker.state === 'half-open');
  const probe = breaker.begin();
  assert.ok(probe);
  assert.equal(breaker.begin(), undefined);
  breaker.settle(probe, 'failure');
  await until(() => breaker.state === 'open');

  await until(() => breaker.state === 'half-open');
  const second = breaker.begin();
  assert.ok(second);
  breaker.settle(second, 'success');
  assert.equal(breaker.state, 'closed');
  assert.ok(breaker.begin());
  assert.equal(recorder.events.filter((event) => event === 'breaker.open').length, 2);
  assert.equal(recorder.events.filter((event) => event === 'breaker.close').length, 1);
  assert.equal(recorder.events.filter((event) => event === 'breaker.refused').length, 2);
});

test('too few attempts decide nothing; a threshold of 100 % opens when all fail', async (t) => {
  const breaker = new Breaker({ ...policy, thresholdPercent: 100 }, new TestRecorder());
  t.after(() => breaker.close());
  report(breaker, 'failure', 9);
  assert.equal(breaker.state, 'closed');
  report(breaker, 'failure', 1);
  assert.equal(breaker.state, 'open');
  await until(() => breaker.state === 'half-open');
  // A probe of which nothing was learned must not leave the breaker half open for ever.
  const probe = breaker.begin();
  assert.ok(probe);
  breaker.settle(probe, 'abandoned');
  await until(() => breaker.state === 'open');
});
