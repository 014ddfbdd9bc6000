import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpFilter } from '@weft/policies/model/listener';
import type { Admission, PriorityClass } from '@weft/policies/model/overload';
import type { RequestHead } from '../../http/exchange.ts';
import { Headers } from '../../http/headers.ts';
import { Protection } from '../protection.ts';
import { type Answer, forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

const noQueue = { lengthMax: 0, waitMsMax: 0, targetMs: 0, intervalMs: 0 };
const queue = { lengthMax: 100, waitMsMax: 1_000, targetMs: 20, intervalMs: 100 };
const admission: Admission = {
  name: 'shop/cart',
  fixedLimit: 1,
  classes: [{ name: 'default', matches: [], weight: 1 }],
  queue: noQueue,
};
const peer = {
  spiffeId: 'spiffe://cluster.local/ns/shop/sa/web',
  subjectAltNames: [],
  fingerprint: 'AB',
  notAfterUnixMs: 0,
  notBeforeUnixMs: 0,
  serialHex: '',
};

function shop(settings: Partial<Admission> = {}, answer: Answer = { status: 200, body: 'ok', afterMs: 100 }) {
  const world = new World(3);
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const server = world.server('10.0.0.1', 80, () => answer);
  const protection = new Protection({ clock: world.clock, prng: world.prng, recorder: world.recorder, threads: 1 });
  const dispatch = (changed: Partial<Admission> = {}) => {
    const filter: HttpFilter = { kind: 'admission', name: 'a', admission: { ...admission, ...settings, ...changed } };
    const config = { kind: 'inline' as const, config: routes('r', forwardTo('shop')) };
    return world.dispatch(testHcm(config, { filters: [filter, { kind: 'router' }] }), 'inbound', { protection });
  };
  const first = dispatch();
  const send = (head: Partial<RequestHead> = {}, connection = {}, chain = first) =>
    world.send(chain, head, undefined, connection);
  const [entry] = [...protection.admissions.all()];
  assert.ok(entry !== undefined);
  const { controller } = entry[1];
  return { world, server, send, dispatch, protection, controller };
}

const classOf = (name: string, weight: number, path?: string): PriorityClass => ({
  name,
  weight,
  matches:
    path === undefined
      ? []
      : [
          {
            permissions: [{ kind: 'path', match: { kind: 'exact', value: path, ignoreCase: false } }],
            principals: [{ kind: 'any' }],
          },
        ],
});

describe('places of an application', () => {
  test('without a queue what is too much is shed, and clients are told not to try again', () => {
    const { send, world, controller } = shop();
    const first = send();
    const second = send();
    assert.equal(second.status, 503);
    assert.equal(second.response?.headers.get('retry-after'), '1');
    assert.equal(second.response?.headers.get('weft-no-retry'), undefined, 'no peer of the mesh');
    assert.equal(world.recorder.records[0]?.flag, 'OM');
    world.clock.advance(101);
    assert.equal(first.status, 200);
    assert.equal(controller.running, 0);
    assert.equal(send({}, { peer }).status, 0);
    assert.equal(send({}, { peer }).response?.headers.get('weft-no-retry'), '1');
  });

  test('a call is shed with RESOURCE_EXHAUSTED and a pushback that forbids to retry', () => {
    const { send } = shop();
    const call = { method: 'POST', version: 20 as const, headers: Headers.from(['content-type', 'application/grpc']) };
    send();
    const refused = send(call);
    assert.equal(refused.status, 200);
    assert.equal(refused.response?.headers.get('grpc-status'), '8');
    assert.equal(refused.response?.headers.get('grpc-retry-pushback-ms'), '-1');
  });

  test('with a queue they wait, and not for long once it has stood for an interval', () => {
    const { send, world, server, controller } = shop({ queue }, { status: 200, body: 'ok', afterMs: 150 });
    const all = ['/1', '/2', '/3'].map((path) => send({ path }));
    assert.deepEqual([controller.running, controller.queueLength], [1, 2]);
    world.clock.advance(50);
    assert.equal(server.requests.length, 1);
    world.clock.advance(300);
    assert.deepEqual(
      all.map(({ status }) => status),
      [200, 503, 503],
    );
    assert.equal(
      world.recorder.records.find(({ status }) => status === 503)?.detail,
      'the queue has stood for too long',
    );
  });

  test('a burst that ends within the interval is waited out', () => {
    const { send, world } = shop({ queue }, { status: 200, body: 'ok', afterMs: 20 });
    const all = [1, 2, 3, 4].map(() => send());
    world.clock.advance(100);
    assert.deepEqual(
      all.map(({ status }) => status),
      [200, 200, 200, 200],
    );
  });

  test('nobody waits longer than maxWait', () => {
    const { send, world } = shop({ queue: { ...queue, waitMsMax: 30, intervalMs: 10_000, targetMs: 30 } });
    send();
    const second = send();
    world.clock.advance(45);
    assert.equal(second.status, 503);
    assert.equal(world.recorder.records[0]?.detail, 'no place became free in time');
  });

  test('a full queue gives up the oldest of whoever waits most', () => {
    const { send, controller } = shop({ queue: { ...queue, lengthMax: 3 } });
    const greedy = { remoteIp: '192.0.2.1' };
    send();
    const [oldest, ...rest] = [send({}, greedy), send({}, greedy), send({}, greedy)];
    const modest = send({}, { remoteIp: '192.0.2.2' });
    assert.equal(oldest?.status, 503);
    assert.deepEqual(
      [...rest, modest].map(({ status }) => status),
      [0, 0, 0],
    );
    assert.equal(controller.queueLength, 3);
  });

  test('turns go round callers, and shares go by weight', () => {
    const classes = [classOf('high', 3, '/high'), classOf('low', 1)];
    const { send, world, server } = shop(
      { queue: { ...queue, intervalMs: 60_000, waitMsMax: 60_000 }, classes },
      { status: 200, body: 'ok', afterMs: 1 },
    );
    send({ path: '/first' });
    for (let i = 0; i < 8; i++) {
      send({ path: '/low' }, { remoteIp: i < 6 ? '192.0.2.1' : '192.0.2.2' });
      send({ path: '/high' });
    }
    world.clock.advance(40);
    const paths = server.requests.map(({ head }) => head.path).slice(1);
    assert.equal(paths.length, 16);
    assert.equal(paths.slice(0, 8).filter((path) => path === '/high').length, 6);
  });

  test('a client that goes away leaves the queue, and its place', () => {
    const { send, controller, world } = shop({ queue });
    const [running, waiting] = [send(), send()];
    for (const exchange of [waiting, running]) {
      exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
      exchange.receiver?.onDone();
    }
    assert.deepEqual([controller.running, controller.queueLength], [0, 0]);
    world.clock.advance(500);
    assert.equal(world.recorder.records.length, 2);
  });

  test('a response that goes on is a stream after a second, and needs no place', () => {
    const { send, world, controller } = shop({}, { status: 200, body: 'ok', afterMs: 10, endless: true });
    send();
    world.clock.advance(20);
    assert.equal(send().status, 503);
    world.clock.advance(1_000);
    assert.equal(send().status, 0, 'it was let in');
    assert.equal(controller.running, 1);
  });

  test('a new version of the listener takes over what is under way', () => {
    const { send, dispatch, controller } = shop();
    send();
    const next = dispatch({ fixedLimit: 2 });
    assert.equal(send({}, {}, next).status, 0);
    assert.equal(controller.running, 2);
    assert.equal(send({}, {}, next).status, 503);
  });

  test('metrics tell limit, places, queues and what was shed, by class', () => {
    const { send, protection } = shop();
    send();
    send();
    const text = protection.render();
    assert.match(text, /^weft_admission_limit\{workload="shop\/cart"\} 1$/m);
    assert.match(text, /^weft_admission_running\{workload="shop\/cart"\} 1$/m);
    const labels = 'workload="shop/cart",class="default"';
    assert.ok(text.includes(`weft_admission_requests_total{${labels},outcome="admitted",reason=""} 1\n`));
    assert.ok(text.includes(`weft_admission_requests_total{${labels},outcome="shed",reason="full"} 1\n`));
  });
});

test('names of classes that are gone are forgotten, and who waits in one still gets its turn', () => {
  const patient = { lengthMax: 100, waitMsMax: 1_000, targetMs: 1_000, intervalMs: 1_000 };
  const { world, send, dispatch, controller } = shop({ queue: patient });
  const old = dispatch({ classes: [classOf('old', 1)] });
  send();
  const waiting = send({}, {}, old);
  for (let i = 0; i < 200; i++) dispatch({ classes: [classOf(`c${i}`, 1)] });
  assert.ok([...controller.classes].length <= 64, `${[...controller.classes].length}`);
  const later = send({}, {}, old);
  world.clock.advance(350);
  assert.deepEqual([waiting.status, later.status], [200, 200]);
  assert.deepEqual([controller.running, controller.queueLength], [0, 0]);
});
