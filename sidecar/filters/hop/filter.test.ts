import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RetryPolicy } from '@weft/policies/model/retry';
import { testConnection } from '../../http/h1/testing.ts';
import { Headers } from '../../http/headers.ts';
import { requestHead, TestDownstream } from '../testing.ts';
import { chainOf, type HopOptions, type Pod } from '../testing-chain.ts';
import { HOP_FIELD } from './header.ts';

const retry: RetryPolicy = {
  on: ['5xx'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 1,
  backoffMaxMs: 1,
  nonIdempotent: false,
};

/** Retries are not to run into their budget here. */
const limits = {
  connectionsMax: 100,
  pendingRequestsMax: 100,
  requestsMax: 100,
  retriesMax: 100,
  retryBudget: undefined,
};
const hop = (action: HopOptions['action'], more: Partial<HopOptions> = {}): HopOptions => ({
  action,
  cluster: { limits },
  ...more,
});
const retrying = hop({ retry });
const pass = hop({ retry: undefined });

/** What the sidecar of that pod told the next one with each attempt. */
const told = (pod: Pod | undefined): (string | undefined)[] =>
  (pod?.world.servers.get('10.0.0.2 80')?.requests ?? []).map(({ head }) => head.headers.get(HOP_FIELD));
const served = (pod: Pod | undefined): number => pod?.app.requests.length ?? 0;
const end = (pods: readonly Pod[]): Pod => pods.at(-1) ?? assert.fail('no pods');
const start = (pods: readonly Pod[]): Pod => pods[0] ?? assert.fail('no pods');

describe('a deadline', () => {
  test('goes with the request, less what was used of it, and never to an application', () => {
    const pods = chainOf([hop({ timeoutMs: 500 }), pass, pass]);
    const [first, second, last] = pods;
    if (second !== undefined) second.workMs = 200;
    const exchange = start(pods).call();
    start(pods).world.clock.advance(499);
    assert.equal(exchange.status, 200);
    assert.deepEqual(told(first), ['left=500, attempt=1']);
    assert.deepEqual(told(second), ['left=300, attempt=1']);
    assert.equal(last?.app.requests[0]?.head.headers.has(HOP_FIELD), false);
    assert.equal(second?.app.requests[0]?.head.headers.has(HOP_FIELD), false);
  });

  test('ends what an application begins when it has passed', () => {
    const pods = chainOf([hop({ timeoutMs: 500 }), pass, pass]);
    const [, second, last] = pods;
    if (second !== undefined) second.workMs = 600;
    const exchange = start(pods).call();
    start(pods).world.clock.advance(2_000);
    assert.equal(exchange.status, 504);
    assert.equal(served(last), 0);
    assert.equal(second?.world.count('deadline.refused'), 1);
    const record = second?.world.recorder.records.find((one) => one.flag === 'DT');
    assert.equal(record?.status, 504);
  });

  test('of the route holds where it is earlier', () => {
    const pods = chainOf([hop({ timeoutMs: 500 }), hop({ timeoutMs: 100 }), pass]);
    end(pods).answers = () => 'hang';
    start(pods).call();
    start(pods).world.clock.advance(99);
    assert.deepEqual(told(pods[1]), ['left=100, attempt=1']);
    start(pods).world.clock.advance(10);
    assert.equal(pods[1]?.world.recorder.records.find((one) => one.flag === 'UT')?.status, 504);
  });

  test('of the caller ends a request that has no time of its own', () => {
    const pods = chainOf([pass, pass]);
    end(pods).answers = () => 'hang';
    const exchange = start(pods).receive(Headers.from([HOP_FIELD, 'left=300, attempt=1']));
    start(pods).world.clock.advance(299);
    assert.equal(exchange.ended, false);
    start(pods).world.clock.advance(2);
    assert.equal(exchange.status, 504);
    assert.deepEqual(
      start(pods)
        .world.recorder.records.map((record) => record.flag)
        .filter((flag) => flag === 'UT').length,
      2,
    );
  });

  test('of one try is all that the next hop may take', () => {
    const pods = chainOf([
      hop({ timeoutMs: 500, retry: { ...retry, on: ['connect-failure'], perTryTimeoutMs: 80 } }),
      pass,
    ]);
    start(pods).call();
    start(pods).world.clock.advance(10);
    assert.deepEqual(told(pods[0]), ['left=80, attempt=1']);
  });

  test('is heard of by grpc-timeout too', () => {
    const pods = chainOf([pass, pass, pass]);
    const [first, second] = pods;
    const headers = Headers.from(['content-type', 'application/grpc', 'grpc-timeout', '400m']);
    first?.receive(headers, 'POST');
    start(pods).world.clock.advance(10);
    assert.deepEqual(told(first), ['left=399, attempt=1']);
    assert.deepEqual(told(second), ['left=398, attempt=1']);
  });
});

describe('who may say it', () => {
  test('not a client outside of the mesh', () => {
    const pods = chainOf([pass, pass]);
    const first = start(pods);
    const headers = Headers.from([HOP_FIELD, 'left=1, attempt=9, retried']);
    const exchange = new TestDownstream(requestHead({ headers }), true, testConnection);
    first.receiveFrom(exchange);
    first.world.clock.advance(100);
    assert.equal(exchange.status, 200);
    assert.equal(first.app.requests[0]?.head.headers.has(HOP_FIELD), false);
    assert.deepEqual(told(first), [undefined]);
  });

  test('not an application', () => {
    const pods = chainOf([pass, pass]);
    start(pods).call(Headers.from([HOP_FIELD, 'left=1, attempt=9']));
    start(pods).world.clock.advance(100);
    assert.deepEqual(told(pods[0]), [undefined]);
  });

  test('what cannot be read says nothing, and is counted', () => {
    const pods = chainOf([pass, pass]);
    const exchange = start(pods).receive(Headers.from([HOP_FIELD, 'left=soon']));
    start(pods).world.clock.advance(100);
    assert.equal(exchange.status, 200);
    assert.equal(start(pods).world.count('deadline.malformed'), 1);
  });
});

describe('who repeats', () => {
  const failing = (hops: readonly HopOptions[]): Pod[] => {
    const pods = chainOf(hops);
    end(pods).answers = () => ({ status: 503 });
    start(pods).call();
    start(pods).world.clock.advance(5_000);
    return pods;
  };

  test('the first layer alone, where all would', () => {
    const pods = failing([retrying, retrying, retrying, pass]);
    assert.equal(served(end(pods)), 3);
    assert.deepEqual(told(pods[0]), [
      'left=none, attempt=1, retried',
      'left=none, attempt=2, retried',
      'left=none, attempt=3, retried',
    ]);
    assert.equal(pods[1]?.world.count('retry.left-to-caller'), 3);
  });

  test('the first layer whose policy is about answers, not the one that only connects again', () => {
    const connecting = hop({ retry: { ...retry, on: ['connect-failure', 'refused-stream', 'reset'] } });
    assert.equal(served(end(failing([connecting, retrying, retrying, pass]))), 3);
  });

  test('every layer whose policy insists', () => {
    const insisting = hop({ retry: { ...retry, nested: true } });
    assert.equal(served(end(failing([insisting, insisting, pass]))), 9);
  });

  test('every layer, where applications hand nothing on', () => {
    const deaf = hop({ retry }, { propagates: [] });
    assert.equal(served(end(failing([deaf, deaf, pass]))), 9);
  });

  test('a trace is as good as a request id', () => {
    const traced = hop({ retry }, { propagates: ['traceparent'] });
    const pods = chainOf([traced, traced, pass]);
    end(pods).answers = () => ({ status: 503 });
    start(pods).call(Headers.from(['traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`]));
    start(pods).world.clock.advance(5_000);
    assert.equal(served(end(pods)), 3);
  });

  test('who cannot connect tries again on every layer: no application has seen the request', () => {
    const connecting = hop({ retry: { ...retry, on: ['5xx', 'connect-failure'] } });
    const pods = chainOf([retrying, connecting, pass]);
    const server = pods[1]?.world.servers.get('10.0.0.2 80');
    if (server !== undefined) server.accepts = false;
    start(pods).call();
    start(pods).world.clock.advance(5_000);
    assert.equal(pods[1]?.world.count('retry.of.connect-failure'), 6);
  });
});
