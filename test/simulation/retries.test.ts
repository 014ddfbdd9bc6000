import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import { defaultClusterLimits, type RetryBudget } from '@weft/policies/model/cluster';
import type { RetryPolicy } from '@weft/policies/model/route';
import {
  forwardTo,
  routes,
  type TestDownstream,
  testCluster,
  testEndpoint,
  testHcm,
  World,
} from '@weft/sidecar/filters/testing';

const retry: RetryPolicy = {
  on: ['5xx', 'reset'],
  retriesMax: 4,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 5,
  backoffMaxMs: 50,
  nonIdempotent: false,
};

const REQUESTS = 4_000;
const FAILING_SHARE = 0.3;

interface Outcome {
  readonly successShare: number;
  /** Attempts besides the first, for each request. */
  readonly retriesPerRequest: number;
  readonly budgetExceeded: number;
  readonly flaggedFailures: number;
}

/** A service of three endpoints that fails 30 % of its requests, under a steady load of about 20 at a time. */
function run(seed: number, retryBudget: RetryBudget, policy: RetryPolicy | undefined): Outcome {
  const world = new World(seed);
  const failures = new SeededPrng(seed + 1);
  world.source.cluster(testCluster('shop', { limits: { ...defaultClusterLimits, retryBudget } }));
  const ips = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
  world.source.assignment(
    'shop',
    ips.map((ip) => testEndpoint(ip, 80)),
  );
  for (const ip of ips) {
    world.server(ip, 80, () => ({
      status: failures.next() < FAILING_SHARE ? 503 : 200,
      body: 'answer',
      afterMs: 10 + failures.next() * 20,
    }));
  }
  const config = routes('r', forwardTo('shop', { retry: policy }));
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config }));
  const exchanges: TestDownstream[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    exchanges.push(world.send(dispatch));
    world.clock.advance(1);
  }
  world.clock.advance(10_000);
  const { records } = world.recorder;
  assert.equal(records.length, REQUESTS);
  const limits = world.clusters.get('shop')?.limits;
  assert.deepEqual([limits?.requests, limits?.retries, limits?.pending], [0, 0, 0]);
  const attempts = records.reduce((sum, record) => sum + record.attempts, 0);
  return {
    successShare: exchanges.filter((exchange) => exchange.status === 200).length / REQUESTS,
    retriesPerRequest: attempts / REQUESTS - 1,
    budgetExceeded: world.count('retry.budget-exceeded'),
    flaggedFailures: records.filter((record) => record.status === 503 && record.flag === 'URX').length,
  };
}

test('without retries 70 % succeed', () => {
  const { successShare, retriesPerRequest } = run(1, { percent: 100, concurrencyMin: 3 }, undefined);
  assert.ok(Math.abs(successShare - 0.7) < 0.03, `${successShare}`);
  assert.equal(retriesPerRequest, 0);
});

test('five attempts and a budget of 100 % lift that to 99.5 % or more', () => {
  for (const seed of [1, 2, 3]) {
    const { successShare, budgetExceeded } = run(seed, { percent: 100, concurrencyMin: 3 }, retry);
    assert.ok(successShare >= 0.995, `${successShare}`);
    assert.equal(budgetExceeded, 0);
  }
});

test('the default budget of 20 % bites: retries stay few, and what they cannot save fails with URX', () => {
  for (const seed of [1, 2, 3]) {
    const outcome = run(seed, { percent: 20, concurrencyMin: 3 }, retry);
    assert.ok(outcome.budgetExceeded > 0);
    assert.ok(outcome.successShare > 0.75 && outcome.successShare < 0.99, `${outcome.successShare}`);
    assert.ok(outcome.retriesPerRequest < 0.35, `${outcome.retriesPerRequest}`);
    assert.equal(outcome.flaggedFailures, Math.round((1 - outcome.successShare) * REQUESTS));
  }
});

test('the same seed gives the same run', () => {
  const budget = { percent: 20, concurrencyMin: 3 };
  assert.deepEqual(run(9, budget, retry), run(9, budget, retry));
});
