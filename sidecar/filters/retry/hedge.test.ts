import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultClusterLimits } from '@weft/policies/model/cluster';
import type { HedgePolicy, RetryPolicy } from '@weft/policies/model/retry';
import type { ForwardAction } from '@weft/policies/model/route';
import { ActiveCalls } from '../hop/calls.ts';
import { HOP_FIELD } from '../hop/header.ts';
import {
  type Answer,
  forwardTo,
  type Handler,
  routes,
  type TestServer,
  testCluster,
  testEndpoint,
  testHcm,
  World,
} from '../testing.ts';
import { meshConnection } from '../testing-chain.ts';

const after = (delayMs: number, attemptsMax = 2): HedgePolicy => ({
  onPerTryTimeout: false,
  delayed: { delay: { kind: 'fixed', delayMs }, attemptsMax },
});

const retry: RetryPolicy = {
  on: ['5xx', 'reset'],
  retriesMax: 1,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 1,
  backoffMaxMs: 1,
  nonIdempotent: false,
};

interface Shop {
  readonly world: World;
  readonly send: (method?: string, body?: readonly string[]) => ReturnType<World['send']>;
  /** In the order in which they were asked. */
  readonly asked: TestServer[];
}

/** Three endpoints; the nth request of all gets the nth answer, and the last one again from then on. */
function shop(
  answers: readonly (Answer | 'reset' | 'hang')[],
  action: Partial<ForwardAction>,
  limits = defaultClusterLimits,
): Shop {
  const world = new World();
  const asked: TestServer[] = [];
  world.source.cluster(testCluster('shop', { limits }));
  const ips = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
  world.source.assignment(
    'shop',
    ips.map((ip) => testEndpoint(ip, 80)),
  );
  for (const ip of ips) {
    const handler: Handler = () => {
      asked.push(server);
      return answers[Math.min(asked.length, answers.length) - 1] ?? 'hang';
    };
    const server = world.server(ip, 80, handler);
  }
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', action)) }));
  return { world, asked, send: (method = 'GET', body = undefined) => world.send(dispatch, { method }, body) };
}

/** Nothing is left under way. */
function settled({ world }: Shop): void {
  const runtime = world.clusters.get('shop');
  assert.deepEqual([runtime?.limits.requests, runtime?.limits.retries, runtime?.limits.pending], [0, 0, 0]);
  assert.deepEqual(
    runtime?.endpoints.map((host) => host.active),
    [0, 0, 0],
  );
}

describe('a slow attempt', () => {
  test("gets another one beside it, elsewhere, and the first answer is the client's", () => {
    const it = shop(
      [
        { status: 200, body: 'slow', afterMs: 500 },
        { status: 200, body: 'fast', afterMs: 10 },
      ],
      { hedge: after(50) },
    );
    const exchange = it.send();
    it.world.clock.advance(49);
    assert.equal(it.asked.length, 1);
    it.world.clock.advance(20);
    assert.equal(exchange.body, 'fast');
    assert.notEqual(it.asked[0], it.asked[1]);
    it.world.clock.advance(1_000);
    assert.equal(exchange.body, 'fast');
    assert.deepEqual(
      ['hedge.sent', 'hedge.won', 'hedge.lost'].map((event) => it.world.count(event)),
      [1, 1, 1],
    );
    const [record] = it.world.recorder.records;
    assert.equal(record?.attempts, 2);
    assert.equal(record?.flag, '');
    settled(it);
  });

  test('may be the first to answer all the same', () => {
    const it = shop(
      [
        { status: 200, body: 'first', afterMs: 60 },
        { status: 200, body: 'second', afterMs: 500 },
      ],
      { hedge: after(50) },
    );
    const exchange = it.send();
    it.world.clock.advance(1_000);
    assert.equal(exchange.body, 'first');
    assert.deepEqual([it.world.count('hedge.won'), it.world.count('hedge.lost')], [0, 1]);
    settled(it);
  });

  test('has as many beside it as the policy says, and no more', () => {
    const it = shop(['hang'], { hedge: after(50, 3), timeoutMs: 1_000 });
    const exchange = it.send();
    it.world.clock.advance(900);
    assert.equal(it.asked.length, 3);
    it.world.clock.advance(200);
    assert.equal(exchange.status, 504);
    settled(it);
  });

  test('of a method that is not idempotent stays alone, unless somebody said that it may be repeated', () => {
    const alone = shop([{ status: 200, body: 'a', afterMs: 200 }], { hedge: after(50) });
    alone.send('POST', ['x']);
    alone.world.clock.advance(1_000);
    assert.equal(alone.asked.length, 1);
    const asked = shop([{ status: 200, body: 'a', afterMs: 200 }], {
      hedge: after(50),
      retry: { ...retry, nonIdempotent: true },
    });
    asked.send('POST', ['x']);
    asked.world.clock.advance(1_000);
    assert.equal(asked.asked.length, 2);
    assert.deepEqual(
      asked.asked.map((server) => server.requests[0]?.body),
      ['x', 'x'],
    );
  });

  test('waits with the second until the request is there as a whole', () => {
    const it = shop(['hang', { status: 200, body: 'b' }], { hedge: after(50) });
    const exchange = it.send('PUT', []);
    it.world.clock.advance(200);
    exchange.receiver?.onData(Buffer.from('half '), false);
    it.world.clock.advance(200);
    exchange.receiver?.onData(Buffer.from('whole'), true);
    it.world.clock.advance(49);
    assert.equal(it.asked.length, 1);
    it.world.clock.advance(10);
    assert.equal(exchange.body, 'b');
    assert.deepEqual(
      it.asked.map((server) => server.requests[0]?.body),
      ['half whole', 'half whole'],
    );
    settled(it);
  });

  test('gets none beyond the budget of the cluster', () => {
    const limits = { ...defaultClusterLimits, retryBudget: { percent: 0, concurrencyMin: 1 } };
    const it = shop([{ status: 200, body: 'a', afterMs: 200 }], { hedge: after(50) }, limits);
    it.send();
    it.send();
    it.world.clock.advance(1_000);
    assert.equal(it.asked.length, 3);
    assert.equal(it.world.count('hedge.budget-exceeded'), 1);
    settled(it);
  });

  test('is not hedged once the client has gone', () => {
    const it = shop(['hang'], { hedge: after(50) });
    const exchange = it.send();
    it.world.clock.advance(10);
    exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
    exchange.receiver?.onDone();
    it.world.clock.advance(1_000);
    assert.equal(it.asked.length, 1);
    settled(it);
  });
});

describe('answers of a race', () => {
  test('a bad one is passed over while another may come', () => {
    const it = shop(
      [
        { status: 200, body: 'good', afterMs: 300 },
        { status: 503, afterMs: 10 },
      ],
      { hedge: after(50), retry },
    );
    const exchange = it.send();
    it.world.clock.advance(1_000);
    assert.equal(exchange.body, 'good');
    assert.equal(it.world.count('retry.attempt'), 0);
    settled(it);
  });

  test('the last bad one is retried as ever, and then goes to the client', () => {
    const it = shop([{ status: 503, afterMs: 60 }], { hedge: after(50), retry });
    const exchange = it.send();
    it.world.clock.advance(1_000);
    assert.equal(exchange.status, 503);
    assert.equal(it.world.count('retry.attempt'), 1);
    assert.equal(it.world.recorder.records[0]?.flag, 'URX');
    settled(it);
  });

  test('a broken attempt is no end while another is under way', () => {
    const it = shop([{ status: 200, body: 'good', afterMs: 300 }, 'reset'], { hedge: after(50) });
    const exchange = it.send();
    it.world.clock.advance(1_000);
    assert.equal(exchange.body, 'good');
    settled(it);
  });
});

describe('hedging after the time that one try may take', () => {
  const slow: HedgePolicy = { onPerTryTimeout: true, delayed: undefined };
  const perTry = { ...retry, on: ['5xx'] as const, perTryTimeoutMs: 50, retriesMax: 2 };

  test('the slow one goes on beside the next', () => {
    const it = shop([{ status: 200, body: 'slow', afterMs: 80 }, 'hang'], { hedge: slow, retry: perTry });
    const exchange = it.send();
    it.world.clock.advance(70);
    assert.equal(it.asked.length, 2);
    it.world.clock.advance(500);
    assert.equal(exchange.body, 'slow');
    settled(it);
  });

  test('when no retry is left they all go on until one answers', () => {
    const it = shop(['hang', 'hang', { status: 200, body: 'late', afterMs: 400 }], { hedge: slow, retry: perTry });
    const exchange = it.send();
    it.world.clock.advance(400);
    assert.equal(it.asked.length, 3);
    it.world.clock.advance(400);
    assert.equal(exchange.body, 'late');
    settled(it);
  });

  test('a bad answer of the slow one is dropped, since the next is on its way', () => {
    const it = shop(
      [
        { status: 500, afterMs: 60 },
        { status: 200, body: 'good', afterMs: 30 },
      ],
      { hedge: slow, retry: perTry },
    );
    const exchange = it.send();
    it.world.clock.advance(1_000);
    assert.equal(exchange.body, 'good');
    assert.equal(it.world.count('retry.attempt'), 1);
    settled(it);
  });
});

test('by percentile: nothing before enough is known, then the slowest few', () => {
  const hedge: HedgePolicy = {
    onPerTryTimeout: false,
    delayed: { delay: { kind: 'percentile', percentile: 95, delayMsMin: 1 }, attemptsMax: 2 },
  };
  const limits = { ...defaultClusterLimits, retryBudget: { percent: 20, concurrencyMin: 3 } };
  const it = shop([], { hedge }, limits);
  let served = 0;
  for (const server of it.world.servers.values()) {
    server.handler = () => ({ status: 200, body: 'ok', afterMs: ++served % 50 === 0 ? 1_000 : 10 });
  }
  for (let i = 0; i < 99; i++) {
    it.send();
    it.world.clock.advance(11);
  }
  assert.equal(it.world.count('hedge.sent'), 0);
  for (let i = 0; i < 2_000; i++) {
    it.send();
    it.world.clock.advance(11);
  }
  it.world.clock.advance(2_000);
  const sent = it.world.count('hedge.sent');
  assert.ok(sent > 20 && sent < 100, `${sent}`);
  const slow = it.world.recorder.records.slice(200).filter((record) => record.durationMs > 100).length;
  assert.ok(slow <= 2, `${slow} were slow all the same`);
  settled(it);
});

test('attempts that get their connections in another order tell each its own sidecar, and nobody else', () => {
  const ips = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
  const { spiffeId } = meshConnection.peer;
  for (let seed = 1; seed <= 20; seed++) {
    const world = new World(seed);
    world.source.cluster(testCluster('shop'));
    world.source.assignment(
      'shop',
      ips.map((ip, i) => testEndpoint(ip, 80, i < 2 ? { mtls: true, spiffeId } : {})),
    );
    let asked = 0;
    for (const ip of ips) {
      const server = world.server(ip, 80, ({ head }) => {
        asked++;
        assert.equal(head.headers.getAll(HOP_FIELD).length, ip === '10.0.0.3' ? 0 : 1, ip);
        return 'hang';
      });
      server.connectMs = 100;
    }
    const action = { hedge: after(50), timeoutMs: 1_000 };
    const hcm = testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', action)) });
    world.send(world.dispatch(hcm, 'outbound', { calls: new ActiveCalls() }));
    for (const server of world.servers.values()) server.connectMs = 0;
    world.clock.advance(200);
    assert.equal(asked, 2);
  }
});
