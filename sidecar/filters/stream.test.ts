import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import { type HeaderMutation, noMutation, type RetryPolicy } from '@weft/policies/model/route';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, testRoute, World } from './testing.ts';

const retry: RetryPolicy = {
  on: ['5xx', 'reset', 'connect-failure'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 10,
  backoffMaxMs: 20,
  nonIdempotent: false,
};

const added = (name: string, value: string): HeaderMutation => ({ ...noMutation, add: [{ name, value }] });

function shop(overrides: Parameters<typeof forwardTo>[1] = {}) {
  const world = new World();
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', overrides)) }));
  return { world, dispatch, server: world.server('10.0.0.1', 80) };
}

describe('forwarding', () => {
  test('a request reaches the endpoint, the response the client, and the record says so', () => {
    const { world, dispatch, server } = shop();
    const exchange = world.send(dispatch, { method: 'POST', path: '/a?b=c' }, ['hel', 'lo']);
    world.clock.advance(10);
    assert.equal(exchange.status, 200);
    assert.equal(exchange.body, 'ok');
    assert.equal(server.requests[0]?.body, 'hello');
    assert.equal(exchange.credited, 5);
    const record = world.recorder.records[0];
    assert.equal(record?.status, 200);
    assert.equal(record?.route, 'ns/route/rule-0');
    assert.equal(record?.cluster, 'shop');
    assert.equal(record?.upstream, '10.0.0.1:80');
    assert.equal(record?.attempts, 1);
    assert.equal(record?.path, '/a?b=c');
    assert.notEqual(record?.requestId, '');
    assert.equal(world.clusters.get('shop')?.limits.requests, 0);
  });

  test('a connection is reused, the last one first', () => {
    const { world, dispatch, server } = shop();
    for (let i = 0; i < 5; i++) {
      world.send(dispatch);
      world.clock.advance(1);
    }
    assert.equal(server.dials.length, 1);
    assert.equal(server.requests.length, 5);
  });

  test('an idle connection closes after its timeout', () => {
    const { world, dispatch, server } = shop();
    world.send(dispatch);
    world.clock.advance(59_000);
    assert.equal(server.connections.size, 1);
    world.clock.advance(2_000);
    assert.equal(server.connections.size, 0);
    assert.equal(world.clusters.get('shop')?.limits.connections, 0);
  });

  test('no route is 404 NR, no backend 500, no endpoint 503 UH', () => {
    const world = new World();
    world.source.cluster(testCluster('empty'));
    world.source.assignment('empty', []);
    const config = routes(
      'r',
      { ...forwardTo('empty'), match: { ...forwardTo('empty').match, path: { kind: 'exact', value: '/empty' } } },
      { ...forwardTo(''), match: { ...forwardTo('').match, path: { kind: 'exact', value: '/invalid' } } },
    );
    const dispatch = world.dispatch(testHcm({ kind: 'inline', config }));
    assert.equal(world.send(dispatch, { path: '/nothing' }).status, 404);
    assert.equal(world.send(dispatch, { path: '/invalid' }).status, 500);
    assert.equal(world.send(dispatch, { path: '/empty' }).status, 503);
    assert.deepEqual(
      world.recorder.records.map((record) => record.flag),
      ['NR', 'NC', 'UH'],
    );
  });

  test('redirects and direct responses answer without an upstream', () => {
    const world = new World();
    const config = routes(
      'r',
      testRoute({ kind: 'redirect', status: 302, scheme: 'https', host: undefined, port: undefined, path: undefined }),
    );
    const exchange = world.send(world.dispatch(testHcm({ kind: 'inline', config })), { path: '/x?y' });
    assert.equal(exchange.status, 302);
    assert.equal(exchange.response?.headers.get('location'), 'https://shop.example/x?y');
  });

  test('redirects and direct responses carry the header changes of their route', () => {
    const responseHeaders = { set: [{ name: 'X-Set', value: '1' }], add: [], remove: [] };
    const direct = { ...testRoute({ kind: 'direct', status: 410, body: 'gone' }), responseHeaders };
    const world = new World();
    const exchange = world.send(world.dispatch(testHcm({ kind: 'inline', config: routes('r', direct) })), {
      path: '/',
    });
    assert.equal(exchange.status, 410);
    assert.equal(exchange.response?.headers.get('x-set'), '1');
  });

  test('a gRPC client gets errors as gRPC statuses', () => {
    const world = new World();
    const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r') }));
    const exchange = world.send(dispatch);
    assert.equal(exchange.status, 404);
    const head = { method: 'POST', headers: exchange.head.headers.clone() };
    head.headers.set('content-type', 'application/grpc');
    const grpc = world.send(dispatch, head);
    assert.equal(grpc.status, 200);
    assert.equal(grpc.response?.headers.get('grpc-status'), '12');
    assert.equal(world.recorder.records[1]?.grpcStatus, 12);
  });
});

describe('timeouts', () => {
  test('the route timeout ends all attempts with 504 UT', () => {
    const { world, dispatch, server } = shop({ timeoutMs: 100 });
    server.handler = () => 'hang';
    const exchange = world.send(dispatch);
    world.clock.advance(99);
    assert.equal(exchange.ended, false);
    world.clock.advance(2);
    assert.equal(exchange.status, 504);
    assert.equal(world.recorder.records[0]?.flag, 'UT');
    assert.equal(server.connections.size, 0);
  });

  test('what the route adds to responses is added to an error of ours', () => {
    const { world, dispatch, server } = shop({
      timeoutMs: 100,
      clusters: [{ name: 'shop', weight: 1, requestHeaders: noMutation, responseHeaders: added('X-Of', 'cluster') }],
    });
    server.handler = () => 'hang';
    const exchange = world.send(dispatch);
    world.clock.advance(101);
    assert.equal(exchange.status, 504);
    assert.equal(exchange.response?.headers.get('x-of'), 'cluster');
  });

  test('each try has its own timeout, and the next may succeed', () => {
    const { world, dispatch, server } = shop({ retry: { ...retry, perTryTimeoutMs: 50 } });
    server.handler = () => (server.requests.length < 3 ? 'hang' : { status: 200, body: 'late' });
    const exchange = world.send(dispatch);
    world.clock.advance(200);
    assert.equal(exchange.body, 'late');
    assert.equal(world.recorder.records[0]?.attempts, 3);
  });

  test('a request that stalls is 408, a response that stalls breaks', () => {
    const { world, dispatch } = shop({ idleTimeoutMs: 30 });
    const exchange = world.send(dispatch, { method: 'POST' }, []);
    exchange.receiver?.onData(Buffer.from('x'), false);
    world.clock.advance(31);
    assert.equal(exchange.status, 408);
    assert.equal(world.recorder.records[0]?.flag, 'SI');
  });
});

describe('retries', () => {
  test('a failed attempt is repeated with its body; the outcome is the last one', () => {
    const { world, dispatch, server } = shop({ retry });
    server.handler = () => (server.requests.length < 3 ? { status: 500, body: 'no' } : { status: 200, body: 'yes' });
    const exchange = world.send(dispatch, { method: 'PUT' }, ['bo', 'dy']);
    world.clock.advance(200);
    assert.equal(exchange.body, 'yes');
    assert.deepEqual(
      server.requests.map((request) => request.body),
      ['body', 'body', 'body'],
    );
    // What was left of the failed responses was read: no connection was lost.
    assert.equal(server.dials.length, 1);
    assert.equal(world.clusters.get('shop')?.limits.retries, 0);
  });

  test('exhausted retries let the last response through, with URX', () => {
    const { world, dispatch, server } = shop({ retry });
    server.handler = () => ({ status: 503, body: 'no' });
    const exchange = world.send(dispatch);
    world.clock.advance(200);
    assert.equal(exchange.status, 503);
    assert.equal(exchange.body, 'no');
    assert.equal(server.requests.length, 3);
    assert.equal(world.recorder.records[0]?.flag, 'URX');
  });

  test('a method that is not idempotent is repeated only when nothing reached the application', () => {
    const { world, dispatch, server } = shop({ retry });
    server.handler = () => ({ status: 503, body: 'no' });
    assert.equal(world.send(dispatch, { method: 'POST' }, ['x']).ended, false);
    world.clock.advance(200);
    assert.equal(server.requests.length, 1);
    server.makeStale();
    for (const connection of [...server.connections]) connection.destroy();
    server.accepts = false;
    const refused = world.send(dispatch, { method: 'POST' }, ['x']);
    world.clock.advance(5);
    server.accepts = true;
    server.handler = () => ({ status: 200 });
    world.clock.advance(200);
    assert.equal(refused.status, 200);
  });

  test('a stale connection is replaced once, for free, with the body', () => {
    const { world, dispatch, server } = shop();
    world.send(dispatch);
    world.clock.advance(1);
    server.makeStale();
    const exchange = world.send(dispatch, { method: 'PUT' }, ['body']);
    world.clock.advance(10);
    assert.equal(exchange.status, 200);
    assert.equal(server.requests[1]?.body, 'body');
    assert.equal(server.dials.length, 2);
    assert.equal(world.count('retry.stale-connection'), 1);
  });

  test('a stale connection is not replaced for a request that may not be repeated (RFC 9112 section 9.3.1)', () => {
    const { world, dispatch, server } = shop();
    world.send(dispatch);
    world.clock.advance(1);
    server.makeStale();
    const exchange = world.send(dispatch, { method: 'POST' }, ['body']);
    world.clock.advance(10);
    assert.equal(exchange.status, 503);
    assert.equal(server.requests.length, 1);
    assert.equal(world.count('retry.stale-connection'), 0);
  });

  test('a body that is too large to be held is not replayed', () => {
    const { world, dispatch, server } = shop({ retry });
    server.handler = () => ({ status: 503, body: 'no' });
    const exchange = world.send(dispatch, { method: 'PUT' }, []);
    world.clock.advance(1);
    exchange.receiver?.onData(Buffer.alloc(40_000), false);
    exchange.receiver?.onData(Buffer.alloc(40_000), true);
    world.clock.advance(200);
    assert.equal(exchange.status, 503);
    assert.equal(server.requests.length, 1);
    assert.equal(world.count('retry.body-not-held'), 1);
    assert.equal(exchange.credited, 80_000);
  });

  test('another endpoint is tried', () => {
    const { world, dispatch, server } = shop({ retry: { ...retry, retriesMax: 1 } });
    server.handler = () => ({ status: 503 });
    world.server('10.0.0.2', 80);
    world.source.assignment('shop', [testEndpoint('10.0.0.1', 80), testEndpoint('10.0.0.2', 80)]);
    for (let i = 0; i < 50; i++) {
      const exchange = world.send(dispatch);
      world.clock.advance(100);
      assert.equal(exchange.status, 200);
    }
    assert.ok(server.requests.length > 5);
  });

  test('a client that goes away ends the attempt', () => {
    const { world, dispatch, server } = shop({ retry });
    server.handler = () => 'hang';
    const exchange = world.send(dispatch);
    world.clock.advance(10);
    exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
    exchange.receiver?.onDone();
    assert.equal(world.recorder.records[0]?.flag, 'DC');
    assert.equal(server.connections.size, 0);
    assert.equal(world.clusters.get('shop')?.limits.requests, 0);
    assert.equal(world.clusters.get('shop')?.endpoints[0]?.active, 0);
  });
});

describe('limits', () => {
  test('requests, pending requests and connections have bounds, each with UO', () => {
    const { world, dispatch, server } = shop();
    const limits = { connectionsMax: 1, pendingRequestsMax: 1, requestsMax: 3, retriesMax: 1, retryBudget: undefined };
    world.source.cluster(testCluster('shop', { limits }));
    server.handler = () => ({ status: 200, afterMs: 100 });
    const first = world.send(dispatch);
    world.clock.advance(1);
    const second = world.send(dispatch);
    const third = world.send(dispatch);
    assert.equal(third.status, 503);
    assert.equal(world.recorder.records[0]?.flag, 'UO');
    assert.equal(world.count('cluster.pending.overflow'), 1);
    world.clock.advance(300);
    assert.equal(first.status, 200);
    assert.equal(second.status, 200);
    assert.equal(server.dials.length, 1);
  });
});

describe('original destination', () => {
  const address = (routeConfiguration: string) =>
    ({
      kind: 'service',
      namespace: 'shop',
      name: 'web',
      ports: [{ port: 80, protocol: 'http', routeConfiguration, cluster: 'shop' }],
    }) as const;
  const hcm = testHcm({ kind: 'rds', name: ORIGINAL_DESTINATION });
  const destination = { destinationIp: '10.96.0.1', destinationPort: 80 };

  function world() {
    const made = new World();
    made.source.cluster(testCluster('shop'));
    made.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
    made.server('10.0.0.1', 80);
    return made;
  }

  test('the Service is found by address; without routes its cluster is used', () => {
    const made = world();
    made.source.address('10.96.0.1', address(''));
    const exchange = made.send(made.dispatch(hcm), {}, undefined, destination);
    made.clock.advance(1);
    assert.equal(exchange.status, 200);
    assert.equal(made.recorder.records[0]?.destinationService, 'shop/web');
    const wrongPort = made.send(made.dispatch(hcm), {}, undefined, { ...destination, destinationPort: 81 });
    assert.equal(wrongPort.status, 503);
  });

  test('what is pending is waited for: found later, absent later, too late, queue full', () => {
    const made = world();
    made.source.pending = (kind) => kind === 'address' || kind === 'route';
    const dispatch = made.dispatch(hcm);
    const found = made.send(dispatch, {}, undefined, destination);
    made.clock.advance(500);
    assert.equal(found.ended, false);
    made.source.address('10.96.0.1', address('routes'));
    made.clock.advance(400);
    assert.equal(found.ended, false);
    made.source.route(routes('routes', forwardTo('shop')));
    made.clock.advance(1);
    assert.equal(found.status, 200);

    const late = made.send(dispatch, {}, undefined, { ...destination, destinationIp: '10.96.0.2' });
    made.clock.advance(1_001);
    assert.equal(late.status, 503);
    assert.equal(made.recorder.records[1]?.flag, 'NC');
    assert.equal(made.count('on-demand.timeout'), 1);

    made.source.waitingMax = 0;
    const full = made.send(dispatch, {}, undefined, { ...destination, destinationIp: '10.96.0.3' });
    assert.equal(full.status, 503);
    assert.equal(made.count('on-demand.overflow'), 1);

    made.source.waitingMax = 1;
    made.server('10.96.0.4', 80);
    const outside = made.send(dispatch, {}, undefined, { ...destination, destinationIp: '10.96.0.4' });
    made.source.pending = () => false;
    made.source.publish();
    made.clock.advance(1);
    assert.equal(outside.status, 200);
    assert.equal(made.recorder.records[3]?.cluster, 'passthrough');
  });

  test('clusters and endpoints on demand', () => {
    const made = new World();
    made.server('10.0.0.1', 80);
    made.source.address('10.96.0.1', address(''));
    made.source.pending = (kind) => kind === 'cluster' || kind === 'endpoints';
    const exchange = made.send(made.dispatch(hcm), {}, undefined, destination);
    made.clock.advance(10);
    made.source.cluster(testCluster('shop'));
    made.clock.advance(10);
    assert.equal(exchange.ended, false);
    made.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
    made.clock.advance(10);
    assert.equal(exchange.status, 200);
  });

  test('a pod address gets mesh TLS with its own identity', async () => {
    const { parseSpiffeId } = await import('@weft/policies/identity/spiffe-id');
    const id = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');
    assert.ok(id.ok);
    const made = world();
    made.source.address('10.0.0.1', {
      kind: 'workload',
      namespace: 'shop',
      name: 'web-0',
      spiffeId: id.value,
      workloadName: 'web',
      zone: '',
      mtls: true,
      service: 'web',
      ports: [],
      terminating: false,
    });
    const exchange = made.send(made.dispatch(hcm), {}, undefined, { destinationIp: '10.0.0.1', destinationPort: 80 });
    made.clock.advance(1);
    assert.equal(exchange.status, 200);
    assert.deepEqual(made.dials[0]?.security, { kind: 'mesh', spiffeId: id.value, alpn: ['weft-h2', 'weft-http/1.1'] });
    assert.equal(made.recorder.records[0]?.mtls, true);
    assert.equal(made.recorder.records[0]?.destinationWorkload, 'shop/web');
  });
});
