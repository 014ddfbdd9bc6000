import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpFault } from '@weft/policies/model/fault';
import { always } from '@weft/policies/model/fraction';
import type { HttpConnectionManager } from '@weft/policies/model/listener';
import { FAULT_FILTER } from '@weft/policies/model/route-filter';
import { Headers } from '../../http/headers.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

const none: HttpFault = { headers: [] };
const half = { numerator: 50, denominator: 100 } as const;
const header = 'header' as const;

function shop(onRoute: HttpFault | undefined, onFilter: HttpFault = none) {
  const world = new World(7);
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const server = world.server('10.0.0.1', 80);
  const route = forwardTo('shop');
  const filters = onRoute && [{ kind: 'fault' as const, name: FAULT_FILTER, fault: onRoute }];
  const hcm: HttpConnectionManager = testHcm(
    { kind: 'inline', config: routes('r', filters === undefined ? route : { ...route, filters }) },
    { filters: [{ kind: 'fault', name: FAULT_FILTER, fault: onFilter }, { kind: 'router' }] },
  );
  const dispatch = world.dispatch(hcm);
  return {
    world,
    server,
    send: (...args: Parameters<World['send']> extends [unknown, ...infer R] ? R : never) =>
      world.send(dispatch, ...args),
  };
}

describe('faults', () => {
  test('a delay holds the request as long as it says, and shows as DI', () => {
    const { world, send, server } = shop({ ...none, delay: { delayMs: 2_000, share: always } });
    const exchange = send();
    world.clock.advance(1_999);
    assert.equal(server.requests.length, 0);
    world.clock.advance(2);
    assert.equal(exchange.status, 200);
    assert.equal(world.recorder.records[0]?.flag, 'DI');
    assert.equal(world.count('fault.delay'), 1);
  });

  test('a client that goes away ends the delay, and no request goes out', () => {
    const { world, send, server } = shop({ ...none, activeMax: 1, delay: { delayMs: 2_000, share: always } });
    const exchange = send();
    exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
    exchange.receiver?.onDone();
    world.clock.advance(5_000);
    assert.equal(server.requests.length, 0);
    // Its place is free again.
    send();
    world.clock.advance(1_000);
    assert.equal(world.count('fault.overflow'), 0);
    world.clock.advance(2_000);
    assert.equal(server.requests.length, 1);
  });

  test('an abort answers in the place of the upstream, with FI', () => {
    const { world, send, server } = shop({ ...none, abort: { status: { kind: 'http', code: 503 }, share: always } });
    const exchange = send();
    assert.equal(exchange.status, 503);
    assert.equal(exchange.body, 'fault filter abort');
    assert.equal(server.requests.length, 0);
    assert.equal(world.recorder.records[0]?.flag, 'FI');
  });

  test('an abort by a status of gRPC', () => {
    const { world, send } = shop({ ...none, abort: { status: { kind: 'grpc', code: 14 }, share: always } });
    const headers = Headers.from(['content-type', 'application/grpc']);
    const exchange = send({ method: 'POST', version: 20, headers });
    assert.equal(exchange.status, 200);
    assert.equal(exchange.response?.headers.get('grpc-status'), '14');
    assert.equal(exchange.body, '');
    assert.equal(world.recorder.records[0]?.grpcStatus, 14);
    assert.equal(send().status, 200, 'what is no call gets HTTP alone');
  });

  test('a reset breaks the stream off, with FI', () => {
    const { world, send, server } = shop({ ...none, reset: { share: always } });
    const exchange = send();
    assert.equal(exchange.resetWith?.flag, 'FI');
    assert.equal(server.requests.length, 0);
    assert.equal(world.recorder.records[0]?.flag, 'FI');
  });

  test('delayed first, then aborted', () => {
    const { world, send } = shop({
      ...none,
      delay: { delayMs: 100, share: always },
      abort: { status: { kind: 'http', code: 418 }, share: always },
    });
    const exchange = send();
    assert.equal(exchange.ended, false);
    world.clock.advance(101);
    assert.equal(exchange.status, 418);
  });

  test('a share of the requests, the same with the same seed', () => {
    const aborted = (): number => {
      const { send } = shop({ ...none, abort: { status: { kind: 'http', code: 500 }, share: half } });
      let count = 0;
      for (let i = 0; i < 1_000; i++) if (send().status === 500) count++;
      return count;
    };
    const first = aborted();
    assert.ok(first > 450 && first < 550, `${first}`);
    assert.equal(aborted(), first);
  });

  test('only requests that match', () => {
    const matched = {
      name: 'x-fault',
      value: { kind: 'exact', value: 'yes', ignoreCase: false },
      invert: false,
    } as const;
    const method = {
      name: ':method',
      value: { kind: 'exact', value: 'GET', ignoreCase: false },
      invert: false,
    } as const;
    const { world, send } = shop({
      headers: [matched, method],
      abort: { status: { kind: 'http', code: 500 }, share: always },
    });
    const exchange = send();
    world.clock.advance(1);
    assert.equal(exchange.status, 200);
    assert.equal(send({ headers: Headers.from(['X-Fault', 'yes']) }).status, 500);
  });

  test('no more requests under a fault than the bound', () => {
    const { world, send } = shop({ ...none, activeMax: 2, delay: { delayMs: 1_000, share: always } });
    const exchanges = [send(), send(), send()];
    world.clock.advance(1);
    assert.deepEqual(
      exchanges.map((one) => one.status),
      [0, 0, 200],
    );
    assert.equal(world.count('fault.overflow'), 1);
  });

  test('a route takes the place of the filter’s own fault', () => {
    const own: HttpFault = { ...none, abort: { status: { kind: 'http', code: 500 }, share: always } };
    assert.equal(shop(undefined, own).send().status, 500);
    const { world, send } = shop(none, own);
    const exchange = send();
    world.clock.advance(1);
    assert.equal(exchange.status, 200);
  });
});

describe('faults that the request asks for', () => {
  test('delay and abort, and no more than the share', () => {
    const { world, send } = shop({
      ...none,
      delay: { delayMs: header, share: always },
      abort: { status: { kind: header }, share: always },
    });
    const exchange = send({
      headers: Headers.from(['x-envoy-fault-delay-request', '50', 'x-envoy-fault-abort-request', '429']),
    });
    world.clock.advance(49);
    assert.equal(exchange.ended, false);
    world.clock.advance(2);
    assert.equal(exchange.status, 429);
    const never = send({
      headers: Headers.from(['x-envoy-fault-abort-request', '429', 'x-envoy-fault-abort-request-percentage', '0']),
    });
    world.clock.advance(1);
    assert.equal(never.status, 200);
    const grpc = send({ headers: Headers.from(['x-envoy-fault-abort-grpc-request', '3']) });
    assert.equal(grpc.body, 'fault filter abort');
  });
});

describe('bandwidth', () => {
  test('a response goes at its rate', () => {
    const { world, send, server } = shop({ ...none, responseRate: { kibPerSecond: 10, share: always } });
    server.handler = () => ({ status: 200, body: 'x'.repeat(20 * 1024) });
    const exchange = send();
    world.clock.advance(1_000);
    assert.ok(exchange.body.length > 9 * 1024 && exchange.body.length < 12 * 1024, `${exchange.body.length}`);
    world.clock.advance(1_100);
    assert.equal(exchange.body.length, 20 * 1024);
    assert.ok(exchange.ended);
  });

  test('a request goes at its rate', () => {
    const { world, send, server } = shop({ ...none, requestRate: { kibPerSecond: 10, share: always } });
    const exchange = send({ method: 'POST' }, ['y'.repeat(5 * 1024), 'z'.repeat(5 * 1024)]);
    world.clock.advance(900);
    assert.equal(server.requests.length, 0);
    world.clock.advance(200);
    assert.equal(server.requests[0]?.body.length, 10 * 1024);
    assert.equal(exchange.credited, 10 * 1024);
    assert.equal(exchange.status, 200);
  });

  test('a client that goes away is sent nothing more', () => {
    const { world, send, server } = shop({ ...none, responseRate: { kibPerSecond: 1, share: always } });
    server.handler = () => ({ status: 200, body: 'x'.repeat(2 * 1024) });
    const exchange = send();
    world.clock.advance(500);
    exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
    exchange.receiver?.onDone();
    const before = exchange.body.length;
    world.clock.advance(5_000);
    assert.equal(exchange.body.length, before);
    assert.equal(world.recorder.records.length, 1);
  });
});
