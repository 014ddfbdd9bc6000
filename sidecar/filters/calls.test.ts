import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RetryPolicy } from '@weft/policies/model/route';
import { Headers } from '../http/headers.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from './testing.ts';

const policy: RetryPolicy = {
  on: ['unavailable'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 10,
  backoffMaxMs: 20,
  nonIdempotent: false,
};

const message = '\0\0\0\0\x02hi';

function shop(overrides: Parameters<typeof forwardTo>[1] = {}) {
  const world = new World();
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', overrides)) }));
  const server = world.server('10.0.0.1', 80, () => answer(0));
  const call = (more: readonly string[] = []) => {
    const headers = Headers.from(['content-type', 'application/grpc+proto', 'te', 'trailers', ...more]);
    return world.send(dispatch, { method: 'POST', path: '/shop.Cart/Add', version: 20, headers }, [message]);
  };
  return { world, call, server };
}

/** A status without a message (gRPC over HTTP/2, Trailers-Only). */
const answer = (code: number, status = 200) => ({
  status,
  headers: Headers.from(['content-type', 'application/grpc', 'grpc-status', String(code)]),
});

describe('deadlines', () => {
  test('when the time is over the client gets DEADLINE_EXCEEDED and the upstream a reset', () => {
    const { world, call, server } = shop();
    server.handler = () => 'hang';
    const exchange = call(['grpc-timeout', '997m']);
    world.clock.advance(996);
    assert.equal(exchange.ended, false);
    world.clock.advance(2);
    assert.equal(exchange.status, 200);
    assert.equal(exchange.response?.headers.get('grpc-status'), '4');
    assert.match(exchange.response?.headers.get('grpc-message') ?? '', /grpc-timeout/);
    assert.equal(server.connections.size, 0);
    const record = world.recorder.records[0];
    assert.equal(record?.flag, 'UT');
    assert.equal(record?.grpcStatus, 4);
    assert.equal(record?.requestMessages, 1);
  });

  test('a route bounds what a client may ask for, and ends it sooner by an offset', () => {
    const endsAfterMs = (asked: string, overrides: Parameters<typeof shop>[0]): number => {
      const { world, call, server } = shop(overrides);
      server.handler = () => 'hang';
      const exchange = call(['grpc-timeout', asked]);
      let ms = 0;
      for (; ms < 2_000 && !exchange.ended; ms += 10) world.clock.advance(10);
      return ms;
    };
    const close = (ms: number, wanted: number): void => assert.ok(Math.abs(ms - wanted) <= 20, `${ms}, not ${wanted}`);
    close(endsAfterMs('800m', { grpcTimeoutMsMax: 500 }), 500);
    close(endsAfterMs('300m', { grpcTimeoutMsMax: 500 }), 300);
    close(endsAfterMs('800m', { grpcTimeoutMsMax: 500, grpcTimeoutOffsetMs: 100 }), 400);
    close(endsAfterMs('800m', { grpcTimeoutMsMax: 0, grpcTimeoutOffsetMs: 100 }), 700);
    close(endsAfterMs('300m', { grpcTimeoutMsMax: 500, grpcTimeoutOffsetMs: 400 }), 0);
  });

  test('or says the time of calls in the place of its own', () => {
    const { world, call, server } = shop({ timeoutMs: 100, grpcTimeoutInsteadMs: 500 });
    server.handler = () => 'hang';
    const exchange = call([]);
    world.clock.advance(400);
    assert.equal(exchange.ended, false);
    assert.equal(server.requests[0]?.head.headers.get('grpc-timeout'), '500000u');
    world.clock.advance(101);
    assert.equal(exchange.response?.headers.get('grpc-status'), '4');
  });

  test('the upstream is told what remains', () => {
    const { world, call, server } = shop();
    server.connectMs = 300;
    call(['grpc-timeout', '1S']);
    world.clock.advance(301);
    assert.equal(server.requests[0]?.head.headers.get('grpc-timeout'), '700000u');
    server.connectMs = 0;
    call(['grpc-timeout', '1S']);
    world.clock.advance(1);
    assert.equal(server.requests[1]?.head.headers.get('grpc-timeout'), '1S');
  });

  test('a retry does not get more time than the client gave', () => {
    const { world, call, server } = shop({
      retry: { ...policy, retriesMax: 10, backoffBaseMs: 200, backoffMaxMs: 200 },
    });
    server.handler = () => ({ ...answer(14), afterMs: 100 });
    const exchange = call(['grpc-timeout', '500m']);
    world.clock.advance(501);
    assert.equal(exchange.response?.headers.get('grpc-status'), '4');
    assert.ok(server.requests.length >= 2);
    const left = server.requests.map(({ head }) => Number.parseInt(head.headers.get('grpc-timeout') ?? '', 10));
    assert.deepEqual(
      left.slice(1),
      left.slice(1).toSorted((a, b) => b - a),
    );
    assert.ok((left[1] ?? 0) <= 400_000);
  });

  test('the earlier of deadline and route timeout', () => {
    for (const [routeMs, timeout, expectedMs] of [
      [100, '10S', 100],
      [10_000, '100m', 100],
    ] as const) {
      const { world, call, server } = shop({ timeoutMs: routeMs });
      server.handler = () => 'hang';
      const exchange = call(['grpc-timeout', timeout]);
      world.clock.advance(expectedMs - 1);
      assert.equal(exchange.ended, false);
      world.clock.advance(2);
      assert.equal(exchange.response?.headers.get('grpc-status'), '4');
    }
  });

  test('a server that resets the call when the deadline comes is no reason of its own', () => {
    const { world, call, server } = shop({ retry: { ...policy, on: ['unavailable', 'reset'] } });
    server.connectMs = 199.5;
    server.handler = () => 'reset';
    const exchange = call(['grpc-timeout', '200m']);
    world.clock.advance(199.8);
    assert.equal(exchange.response?.headers.get('grpc-status'), '4');
    assert.equal(world.recorder.records[0]?.attempts, 1);
    assert.equal(world.recorder.records[0]?.flag, 'UT');
  });

  test('none left is refused at once; one that cannot be read is left to the application', () => {
    const { world, call, server } = shop();
    assert.equal(call(['grpc-timeout', '0m']).response?.headers.get('grpc-status'), '4');
    assert.equal(server.requests.length, 0);
    const exchange = call(['grpc-timeout', 'soon']);
    world.clock.advance(1);
    assert.equal(exchange.response?.headers.get('grpc-status'), '0');
    assert.equal(server.requests[0]?.head.headers.get('grpc-timeout'), 'soon');
    assert.equal(world.count('grpc.timeout-malformed'), 1);
  });

  test('requests that are not gRPC have no such deadline', () => {
    const { world, server } = shop();
    server.handler = () => 'hang';
    const config = routes('r', forwardTo('shop'));
    const dispatch = world.dispatch(testHcm({ kind: 'inline', config }));
    const headers = Headers.from(['content-type', 'application/grpc-web+proto', 'grpc-timeout', '10m']);
    const exchange = world.send(dispatch, { method: 'POST', headers }, [message]);
    world.clock.advance(1_000);
    assert.equal(exchange.ended, false);
  });
});

describe('errors of our own', () => {
  test('have the code, the message, and in the details the flag', () => {
    const world = new World();
    world.source.cluster(testCluster('shop'));
    world.source.assignment('shop', []);
    const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) }));
    const headers = Headers.from(['content-type', 'application/grpc']);
    const exchange = world.send(dispatch, { method: 'POST', headers }, [message]);
    const got = exchange.response?.headers;
    assert.equal(exchange.status, 200);
    assert.equal(got?.get('content-type'), 'application/grpc');
    assert.equal(got?.get('grpc-status'), '14');
    assert.doesNotMatch(got?.get('grpc-message') ?? '', /%0A/);
    const details = Buffer.from(got?.get('grpc-status-details-bin') ?? '', 'base64').toString('latin1');
    assert.match(details, /google\.rpc\.ErrorInfo[\s\S]*NO_HEALTHY_UPSTREAM[\s\S]*weft\.dev[\s\S]*flag[\s\S]*UH/);
    assert.equal(world.recorder.records[0]?.grpcStatus, 14);
  });

  test('an answer that is not gRPC passes as it is', () => {
    const { world, call, server } = shop();
    server.handler = () => ({ status: 502, body: 'bad gateway' });
    const exchange = call();
    world.clock.advance(1);
    assert.equal(exchange.status, 502);
    assert.equal(exchange.body, 'bad gateway');
    assert.equal(world.recorder.records[0]?.grpcStatus, 14);
  });
});

describe('retries by status', () => {
  test('a status that the policy names is asked for again, though calls are POST', () => {
    const { world, call, server } = shop({ retry: policy });
    server.handler = () => answer(server.requests.length < 3 ? 14 : 0);
    const exchange = call();
    world.clock.advance(200);
    assert.equal(exchange.response?.headers.get('grpc-status'), '0');
    assert.equal(server.requests.length, 3);
    assert.deepEqual(new Set(server.requests.map(({ body }) => body)), new Set([message]));
  });

  test('another status is not, nor success, nor any by conditions of HTTP', () => {
    for (const [on, code] of [
      ['unavailable', 13],
      ['internal', 14],
      ['cancelled', 0],
      ['5xx', 14],
    ] as const) {
      const { world, call, server } = shop({ retry: { ...policy, on: [on] } });
      server.handler = () => answer(code);
      call();
      world.clock.advance(200);
      assert.equal(server.requests.length, 1, `${on} ${code}`);
    }
  });

  test('each condition names its own status', () => {
    const codes = {
      cancelled: 1,
      'deadline-exceeded': 4,
      'resource-exhausted': 8,
      internal: 13,
      unavailable: 14,
    } as const;
    for (const [condition, code] of Object.entries(codes)) {
      const on = Object.keys(codes).filter((name): name is keyof typeof codes => name === condition);
      const { world, call, server } = shop({ retry: { ...policy, on } });
      server.handler = () => answer(code);
      call();
      world.clock.advance(200);
      assert.equal(server.requests.length, 3, condition);
    }
  });

  test('an attempt without an answer counts as the status that it would be', () => {
    const { world, call, server } = shop({ retry: policy });
    server.handler = () => (server.requests.length < 2 ? 'reset' : answer(0));
    const exchange = call();
    world.clock.advance(200);
    assert.equal(exchange.response?.headers.get('grpc-status'), '0');
    const other = shop({ retry: { ...policy, on: ['reset'] } });
    other.server.handler = () => 'reset';
    other.call();
    other.world.clock.advance(200);
    assert.equal(other.server.requests.length, 1, 'a POST that may have arrived');
  });

  test('a request that is not gRPC is not retried for a status of gRPC', () => {
    const { world, server } = shop();
    server.handler = () => answer(14);
    const dispatch = world.dispatch(
      testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', { retry: policy })) }),
    );
    world.send(dispatch);
    world.clock.advance(200);
    assert.equal(server.requests.length, 1);
  });
});
