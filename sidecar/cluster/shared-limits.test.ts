import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { ClusterLimits } from '@weft/policies/model/cluster';
import fc from 'fast-check';
import { TestRecorder } from '../http/h1/testing.ts';
import { SharedLimitState } from './shared-limits.ts';
import { clearLine, createBlock, SLOTS, SlotShare } from './shared-slots.ts';

const THREADS = 3;

function make(limits: Partial<ClusterLimits>) {
  const block = createBlock(THREADS);
  const all = {
    connectionsMax: 2,
    pendingRequestsMax: 2,
    requestsMax: 2,
    retriesMax: 1,
    retryBudget: undefined,
    ...limits,
  };
  const recorder = new TestRecorder();
  const states = Array.from(
    { length: THREADS },
    (_, thread) => new SharedLimitState(all, recorder, new SlotShare(block, thread)),
  );
  const of = (thread: number): SharedLimitState => states[thread] ?? assert.fail();
  return { block, recorder, of };
}

describe('limits over threads', () => {
  test('whatever thread does what, the sum is never above the limit, and what is free is given', () => {
    const operations = fc.array(fc.tuple(fc.nat({ max: THREADS - 1 }), fc.boolean()), { maxLength: 200 });
    fc.assert(
      fc.property(operations, fc.integer({ min: 1, max: 6 }), (steps, requestsMax) => {
        const { of } = make({ requestsMax });
        let total = 0;
        for (const [thread, begin] of steps) {
          const limits = of(thread);
          if (begin) {
            const admitted = limits.beginRequest();
            assert.equal(admitted, total < requestsMax);
            if (admitted) total++;
          } else if (limits.requests > 0) {
            limits.endRequest();
            total--;
          }
        }
      }),
    );
  });

  test('an endpoint without a connection may have one, and it counts for the others', () => {
    const { of } = make({ connectionsMax: 1 });
    assert.equal(of(0).beginConnection(false), true);
    assert.equal(of(1).beginConnection(false), false);
    assert.equal(of(1).beginConnection(true), true);
    assert.equal(of(2).connectionsFull, true);
    of(0).endConnection();
    assert.equal(of(2).beginConnection(false), false);
    of(1).endConnection();
    assert.equal(of(2).beginConnection(false), true);
  });

  test('a retry budget is a share of the requests of all threads', () => {
    const { of } = make({ requestsMax: 100, retryBudget: { percent: 50, concurrencyMin: 0 } });
    for (let i = 0; i < 4; i++) assert.equal(of(0).beginRequest(), true);
    assert.equal(of(1).beginRetry(), true);
    assert.equal(of(2).beginRetry(), true);
    assert.equal(of(0).beginRetry(), false);
    of(1).endRetry();
    assert.equal(of(0).beginRetry(), true);
  });

  test('what a dead thread had is free again, and refusals are counted', () => {
    const { block, recorder, of } = make({ requestsMax: 2, pendingRequestsMax: 1 });
    of(0).beginRequest();
    of(0).beginRequest();
    of(0).beginPending();
    assert.equal(of(1).beginRequest(), false);
    assert.equal(of(1).beginPending(), false);
    clearLine(block, 0);
    assert.equal(of(1).beginRequest(), true);
    assert.equal(of(1).beginPending(), true);
    assert.deepEqual(recorder.events, ['cluster.requests.overflow', 'cluster.pending.overflow']);
  });
});

/** Takes and gives back places as fast as it can, and reports the highest sum that it saw while it held one. */
const racer = `
const { parentPort, workerData } = require('node:worker_threads');
const counters = new Int32Array(workerData.block);
const own = workerData.thread * 16;
const sum = () => { let s = 0; for (let at = 2; at < counters.length; at += 16) s += Atomics.load(counters, at); return s; };
let admitted = 0;
const holders = new Int32Array(workerData.holders);
let highest = 0;
for (let i = 0; i < 200000; i++) {
  Atomics.store(counters, own + 2, 1);
  if (sum() <= workerData.max) {
    admitted++;
    highest = Math.max(highest, Atomics.add(holders, 0, 1) + 1);
    Atomics.sub(holders, 0, 1);
  }
  Atomics.store(counters, own + 2, 0);
}
parentPort.postMessage({ admitted, highest });
`;

test('real threads that race for one place never hold it together', async () => {
  const block = createBlock(2);
  const holders = new SharedArrayBuffer(4);
  const results = await Promise.all(
    [0, 1].map(
      (thread) =>
        new Promise<{ readonly admitted: number; readonly highest: number }>((resolve, reject) => {
          const worker = new Worker(racer, { eval: true, workerData: { block, holders, thread, max: 1 } });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  for (const { admitted, highest } of results) assert.equal(highest, Math.min(admitted, 1));
  // One that is stopped by the scheduler while it holds the place keeps the other out for as long.
  assert.ok(results.some(({ admitted }) => admitted > 0));
  assert.equal(new SlotShare(block, 0).total(SLOTS.requests), 0);
});
