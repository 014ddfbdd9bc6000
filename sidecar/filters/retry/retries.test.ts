import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ClusterLimits, defaultClusterLimits } from '@weft/policies/model/cluster';
import type { RetryPolicy } from '@weft/policies/model/retry';
import type { RequestHead } from '../../http/exchange.ts';
import { Headers } from '../../http/headers.ts';
import { type Answer, forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

const base: RetryPolicy = {
  on: ['5xx'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 1,
  backoffMaxMs: 1,
  nonIdempotent: false,
};

/** One endpoint that gives each answer in turn, the last one for ever. */
function shop(
  policy: Partial<RetryPolicy>,
  answers: readonly (Answer | 'reset')[],
  limits: Partial<ClusterLimits> = {},
) {
  const world = new World();
  world.source.cluster(testCluster('shop', { limits: { ...defaultClusterLimits, ...limits } }));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const server = world.server(
    '10.0.0.1',
    80,
    () => answers[Math.min(server.requests.length, answers.length) - 1] ?? 'reset',
  );
  const config = routes('r', forwardTo('shop', { retry: { ...base, ...policy }, timeoutMs: 20_000 }));
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config }));
  const send = (head: Partial<RequestHead> = {}, body?: readonly string[]) => {
    const exchange = world.send(dispatch, head, body);
    world.clock.advance(30_000);
    return exchange;
  };
  return { world, server, send };
}

const good: Answer = { status: 200, body: 'good' };
const asks = (...fields: string[]): Answer => ({ status: 503, headers: Headers.from(fields) });

describe('what is repeated', () => {
  test('an answer that has the field which the policy names', () => {
    const policy = {
      on: ['retriable-headers'] as const,
      responseHeaders: [{ name: 'x-again', value: { kind: 'present' as const }, invert: false }],
    };
    const again = shop(policy, [{ status: 200, headers: Headers.from(['X-Again', '1']) }, good]);
    assert.equal(again.send().body, 'good');
    assert.equal(again.world.count('retry.of.header'), 1);
    assert.equal(shop(policy, [{ status: 500 }, good]).send().status, 500);
    assert.equal(
      shop({ ...policy, on: ['5xx'] }, [{ status: 200, headers: Headers.from(['X-Again', '1']) }]).send().status,
      200,
    );
  });

  test('only requests that the policy is for', () => {
    const requestHeaders = [
      { name: ':path', value: { kind: 'prefix' as const, value: '/safe', ignoreCase: false }, invert: false },
    ];
    assert.equal(shop({ requestHeaders }, [{ status: 500 }, good]).send({ path: '/other' }).status, 500);
    assert.equal(shop({ requestHeaders }, [{ status: 500 }, good]).send({ path: '/safe/a' }).status, 200);
  });

  test('POST with a key by which the server knows it again, where the policy says so', () => {
    const head = () => ({ method: 'POST', headers: Headers.from(['Idempotency-Key', '"k"']) });
    assert.equal(shop({ idempotencyKey: true }, [{ status: 500 }, good]).send(head(), ['x']).status, 200);
    assert.equal(shop({ idempotencyKey: true }, [{ status: 500 }, good]).send({ method: 'POST' }, ['x']).status, 500);
    assert.equal(shop({}, [{ status: 500 }, good]).send(head(), ['x']).status, 500);
  });

  test('bodies up to what the policy says', () => {
    const chunk = 'x'.repeat(40_000);
    const send = (policy: Partial<RetryPolicy>) =>
      shop(policy, [{ status: 500 }, good]).send({ method: 'PUT' }, [chunk, chunk]);
    assert.equal(send({}).status, 500);
    assert.equal(send({ bodyBytesMax: 80_000 }).status, 200);
    assert.equal(send({ bodyBytesMax: 79_999 }).status, 500);
    assert.equal(shop({ bodyBytesMax: 0 }, [{ status: 500 }, good]).send().status, 200);
  });
});

describe('when', () => {
  const retryAfter = {
    headers: [{ name: 'retry-after', format: 'seconds' as const }],
    maxMs: 5_000,
    beyond: 'give-up' as const,
  };

  test('not before the server wants it', () => {
    const { world, server, send } = shop({ retryAfter }, [asks('Retry-After', '3'), good]);
    assert.equal(send().body, 'good');
    assert.equal(server.requests.length, 2);
    const [record] = world.recorder.records;
    assert.ok(record !== undefined && record.durationMs >= 3_000 && record.durationMs < 4_600, `${record?.durationMs}`);
  });

  test('never, where that is later than the policy or the time of the request allows', () => {
    for (const seconds of ['6', '4000']) {
      const { world, server, send } = shop({ retryAfter }, [asks('Retry-After', seconds), good]);
      assert.equal(send().status, 503);
      assert.equal(server.requests.length, 1);
      assert.equal(world.count('retry.later-than-allowed'), 1);
    }
    const long = { ...retryAfter, maxMs: 60_000 };
    assert.equal(shop({ retryAfter: long }, [asks('Retry-After', '20'), good]).send().status, 503);
  });
});

test('retries over time are bounded however few are in flight', () => {
  const retryBudget = { percent: 20, concurrencyMin: 100, rate: { intervalMs: 10_000, perSecondMin: 0 } };
  const world = new World();
  world.source.cluster(testCluster('shop', { limits: { ...defaultClusterLimits, retryBudget } }));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const server = world.server('10.0.0.1', 80, () => ({ status: 500 }));
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', { retry: base })) }));
  for (let i = 0; i < 2_000; i++) {
    world.send(dispatch);
    world.clock.advance(5);
  }
  world.clock.advance(1_000);
  assert.ok(server.requests.length <= 2_400 && server.requests.length > 2_350, `${server.requests.length}`);
  assert.ok(world.recorder.records.some((record) => record.flag === 'URX'));
});
