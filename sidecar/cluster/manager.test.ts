import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import type { RetryPolicy } from '@weft/policies/model/retry';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../filters/testing.ts';
import type { TcpDone } from './tcp.ts';

const spiffe = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');

function world(endpoints = [testEndpoint('10.0.0.1', 80)]) {
  const made = new World();
  made.source.cluster(testCluster('shop'));
  made.source.assignment('shop', endpoints);
  for (const endpoint of endpoints) made.server(endpoint.address.ip, endpoint.address.port);
  const dispatch = made.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) }));
  return { made, dispatch };
}

describe('endpoints', () => {
  test('only healthy ones of the best priority take traffic', () => {
    const { made, dispatch } = world([
      testEndpoint('10.0.0.1', 80, { health: 'draining' }),
      testEndpoint('10.0.0.2', 80, { health: 'unhealthy' }),
      testEndpoint('10.0.0.3', 80),
      testEndpoint('10.0.0.4', 80, { priority: 1 }),
      testEndpoint('10.0.0.5', 80),
      testEndpoint('10.0.0.6', 80),
    ]);
    const served = (ip: string) => made.servers.get(`${ip} 80`)?.requests.length;
    for (let i = 0; i < 20; i++) {
      made.send(dispatch);
      made.clock.advance(1);
    }
    assert.deepEqual(['10.0.0.1', '10.0.0.2', '10.0.0.4'].map(served), [0, 0, 0]);
    const healthy = ['10.0.0.3', '10.0.0.5', '10.0.0.6'].map((ip) => served(ip) ?? 0);
    assert.equal(
      healthy.reduce((sum, count) => sum + count, 0),
      20,
    );
    made.source.assignment('shop', [testEndpoint('10.0.0.4', 80, { priority: 1 })]);
    assert.equal(made.send(dispatch).ended, false);
    made.clock.advance(1);
    assert.equal(served('10.0.0.4'), 1);
  });

  test('an update keeps connections of endpoints that stay, and lets the others finish', () => {
    const { made, dispatch } = world();
    const server = made.servers.get('10.0.0.1 80');
    assert.ok(server);
    server.handler = () => ({ status: 200, body: 'slow', afterMs: 100 });
    const exchange = made.send(dispatch);
    made.clock.advance(10);
    made.server('10.0.0.2', 80);
    made.source.assignment('shop', [testEndpoint('10.0.0.2', 80)]);
    made.clock.advance(200);
    assert.equal(exchange.body, 'slow');
    assert.equal(server.connections.size, 0);
    assert.equal(made.clusters.get('shop')?.limits.connections, 0);
  });

  test('a request that waits for a connection to an endpoint that goes is sent to another', () => {
    const { made, dispatch } = world();
    const server = made.servers.get('10.0.0.1 80');
    assert.ok(server);
    server.connectMs = 500;
    const exchange = made.send(dispatch);
    made.clock.advance(10);
    made.server('10.0.0.2', 80);
    made.source.assignment('shop', [testEndpoint('10.0.0.2', 80)]);
    made.clock.advance(10);
    assert.equal(exchange.status, 200);
    made.clock.advance(1_000);
    assert.equal(server.connections.size, 0);
  });

  test('a new certificate retires mesh connections, not plaintext ones', () => {
    assert.ok(spiffe.ok);
    const { made, dispatch } = world([testEndpoint('10.0.0.1', 80, { mtls: true, spiffeId: spiffe.value })]);
    const server = made.servers.get('10.0.0.1 80');
    made.send(dispatch);
    made.clock.advance(1);
    assert.equal(server?.connections.size, 1);
    made.identity.rotate({
      spiffeId: spiffe.value,
      notBeforeUnixMs: 0,
      notAfterUnixMs: 1,
      serialHex: '01',
      context: createSecureContext(),
      trustPem: '',
      generation: 2,
    });
    assert.equal(server?.connections.size, 0);
    made.send(dispatch);
    made.clock.advance(1);
    assert.equal(server?.dials.length, 2);
    assert.equal(server?.requests.length, 2);
  });

  test('a mesh endpoint that joins a cluster with traffic is connected to before a request needs it', () => {
    assert.ok(spiffe.ok);
    const mesh = { mtls: true, spiffeId: spiffe.value };
    const { made, dispatch } = world([testEndpoint('10.0.0.1', 80, mesh)]);
    made.server('10.0.0.2', 80);
    made.send(dispatch);
    made.clock.advance(1);
    made.source.assignment('shop', [testEndpoint('10.0.0.1', 80, mesh), testEndpoint('10.0.0.2', 80, mesh)]);
    made.clock.advance(1);
    assert.equal(made.servers.get('10.0.0.2 80')?.connections.size, 1);
    assert.equal(made.servers.get('10.0.0.2 80')?.requests.length, 0);
    assert.equal(made.servers.get('10.0.0.1 80')?.dials.length, 1);
  });

  test('requests per connection are bounded', () => {
    const { made, dispatch } = world();
    made.source.cluster(testCluster('shop', { requestsPerConnectionMax: 2 }));
    for (let i = 0; i < 6; i++) {
      made.send(dispatch);
      made.clock.advance(1);
    }
    assert.equal(made.servers.get('10.0.0.1 80')?.dials.length, 3);
  });

  test('a cluster without traffic is dropped, one that is gone answers NC', () => {
    const { made, dispatch } = world();
    made.send(dispatch);
    made.clock.advance(1);
    assert.equal(made.clusters.active().length, 1);
    made.clock.advance(600_000);
    assert.equal(made.clusters.active().length, 0);
    made.send(dispatch);
    made.clock.advance(1);
    made.source.removeCluster('shop');
    assert.equal(made.send(dispatch).status, 503);
    assert.equal(made.recorder.records.at(-1)?.flag, 'NC');
  });
});

describe('strict DNS', () => {
  test('addresses come from names, and a failed refresh keeps them', () => {
    const made = new World();
    const discovery = { kind: 'strict-dns', hosts: [{ host: 'db.example', port: 80 }], refreshMs: 5_000 } as const;
    made.source.cluster(testCluster('db', { discovery }));
    made.server('10.0.0.7', 80);
    const dispatch = made.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('db')) }));
    made.names.set('db.example', ['10.0.0.7']);
    const first = made.send(dispatch);
    made.clock.advance(100);
    assert.equal(first.status, 200);
    made.names.delete('db.example');
    made.clock.advance(6_000);
    assert.equal(made.count('cluster.dns.failed'), 1);
    const second = made.send(dispatch);
    made.clock.advance(100);
    assert.equal(second.status, 200);
    made.clusters.close();
  });
});

describe('opaque TCP', () => {
  const destination = { ip: '10.96.0.1', port: 5432 };

  test('the Service of the original destination, mesh TLS for TCP, another endpoint when one refuses', () => {
    assert.ok(spiffe.ok);
    const mesh = { mtls: true, spiffeId: spiffe.value };
    const { made } = world([testEndpoint('10.0.0.1', 80, mesh), testEndpoint('10.0.0.2', 80, mesh)]);
    const ports = [{ port: 5432, protocol: 'tcp', routeConfiguration: '', cluster: 'shop' }] as const;
    made.source.address(destination.ip, { kind: 'service', namespace: 'shop', name: 'db', ports });
    const refusing = made.servers.get('10.0.0.1 80');
    assert.ok(refusing);
    refusing.accepts = false;
    let connected = 0;
    const done: TcpDone = (result) => {
      assert.ok('transport' in result);
      assert.equal(result.endpoint.address.ip, '10.0.0.2');
      connected++;
      result.release();
      result.release();
    };
    for (let i = 0; i < 20; i++) {
      made.clusters.forTcp.connect(ORIGINAL_DESTINATION, destination, done);
      made.clock.advance(1);
    }
    assert.equal(connected, 20);
    assert.deepEqual(made.dials[0]?.security, { kind: 'mesh', spiffeId: spiffe.value, alpn: ['weft-tcp'] });
    assert.equal(made.clusters.get('shop')?.limits.connections, 0);
    assert.ok(made.count('cluster.connect.failed') > 0);
  });

  test('errors: unknown port, too late, overflow; a cancelled one is never called', () => {
    const { made } = world();
    const flags: string[] = [];
    const note: TcpDone = (result) => flags.push('error' in result ? result.error.flag : 'connected');
    made.source.address(destination.ip, { kind: 'service', namespace: 'shop', name: 'db', ports: [] });
    made.clusters.forTcp.connect(ORIGINAL_DESTINATION, destination, note);
    made.source.pending = (kind) => kind === 'address';
    made.clusters.forTcp.connect(ORIGINAL_DESTINATION, { ip: '10.96.0.9', port: 1 }, note);
    made.clusters.forTcp.connect(ORIGINAL_DESTINATION, { ip: '10.96.0.9', port: 1 }, note).cancel();
    made.clock.advance(1_001);
    const limits = { connectionsMax: 1, pendingRequestsMax: 1, requestsMax: 1, retriesMax: 1, retryBudget: undefined };
    made.source.cluster(testCluster('shop', { limits }));
    made.clusters.forTcp.connect('shop', destination, note);
    made.clusters.forTcp.connect('shop', destination, note);
    made.clock.advance(1);
    assert.deepEqual(flags, ['NC', 'NC', 'UO', 'connected']);
  });
});

test('a request that outlives its cluster does not begin another breaker, which nobody would stop', () => {
  const made = new World();
  const errorRate = { thresholdPercent: 50, volumeMin: 10, windowMs: 1_000, openMs: 1_000 };
  made.source.cluster(testCluster('shop', { errorRate }));
  made.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  made.server('10.0.0.1', 80, () => ({ status: 503 }));
  const retry: RetryPolicy = {
    on: ['5xx'],
    retriesMax: 1,
    perTryTimeoutMs: 0,
    statusCodes: [],
    backoffBaseMs: 100,
    backoffMaxMs: 100,
    nonIdempotent: false,
  };
  const dispatch = made.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', { retry })) }));
  const exchange = made.send(dispatch);
  made.clock.advance(1);
  const runtime = made.clusters.get('shop');
  assert.ok(runtime?.startedBreaker);
  made.source.removeCluster('shop');
  made.clock.advance(200);
  assert.equal(exchange.status, 503);
  const left = runtime.startedBreaker;
  left?.close();
  assert.equal(left, undefined);
});

test('requests that were not answered in time are not kept until endpoints are known', () => {
  const made = new World();
  const discovery = { kind: 'strict-dns', hosts: [{ host: 'db.example', port: 80 }], refreshMs: 5_000 } as const;
  made.source.cluster(testCluster('shop', { discovery }));
  const hcm = testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) });
  // A name takes a millisecond to be looked up.
  const dispatch = made.dispatch(hcm, 'outbound', { onDemandWaitMsMax: 0.4 });
  const exchanges = Array.from({ length: 10 }, () => made.send(dispatch));
  made.clock.advance(0.5);
  for (const exchange of exchanges) assert.equal(exchange.ended, true);
  assert.equal(made.clusters.active()[0]?.ready, false);
  assert.equal(made.clusters.active()[0]?.idle, true);
});
