import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Cluster, Endpoint } from '@weft/policies/model/cluster';
import type { HealthCheck } from '@weft/policies/model/health-check';
import { noMutation } from '@weft/policies/model/route';
import { type Answer, forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../../filters/testing.ts';
import { Headers } from '../../http/headers.ts';
import { CheckBounds } from './bounds.ts';

const INTERVAL_MS = 1_000;
const NO_TRAFFIC_MS = 60_000;

const httpCheck: HealthCheck = {
  probe: {
    kind: 'http',
    method: 'GET',
    path: '/healthz',
    host: '',
    headers: { ...noMutation, set: [{ name: 'X-Probe', value: 'yes' }] },
    http2: false,
    expected: [{ start: 200, end: 300 }],
    retriable: [{ start: 503, end: 504 }],
  },
  timeoutMs: 100,
  intervalMs: INTERVAL_MS,
  initialJitterMs: 0,
  intervalJitterMs: 0,
  intervalJitterPercent: 0,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  port: 0,
  reuseConnection: true,
  noTrafficIntervalMs: NO_TRAFFIC_MS,
  noTrafficHealthyIntervalMs: NO_TRAFFIC_MS,
  unhealthyIntervalMs: INTERVAL_MS,
  unhealthyEdgeIntervalMs: INTERVAL_MS,
  healthyEdgeIntervalMs: INTERVAL_MS,
  initially: 'failed',
};

/** Two endpoints whose health and whose answers are told apart by what is asked for. */
function shop(check: Partial<HealthCheck> = {}, more: Partial<Cluster> = {}) {
  const world = new World();
  const health: Record<string, Answer | 'reset' | 'hang'> = {
    '10.0.0.1': { status: 200 },
    '10.0.0.2': { status: 200 },
  };
  const answers: Record<string, Answer> = {};
  const add = (ip: string, port = 80): Endpoint => {
    world.server(ip, port, ({ head }) =>
      head.path === '/healthz' ? (health[ip] ?? { status: 200 }) : (answers[ip] ?? { status: 200, body: ip }),
    );
    return testEndpoint(ip, port);
  };
  const endpoints = [add('10.0.0.1'), add('10.0.0.2')];
  world.source.cluster(testCluster('shop', { healthCheck: { ...httpCheck, ...check }, ...more }));
  world.source.assignment('shop', endpoints);
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) }));
  const request = () => {
    const exchange = world.send(dispatch);
    world.clock.advance(5);
    return exchange;
  };
  /** Who answers a number of requests; a status for those that nobody does. */
  const served = (): string[] =>
    [...new Set(Array.from({ length: 30 }, request).map(({ body, status }) => body || String(status)))].sort();
  const checksAt = (ip: string, port = 80) =>
    world.servers.get(`${ip} ${port}`)?.requests.filter(({ head }) => head.path === '/healthz') ?? [];
  const pass = (ms: number) => world.clock.advance(ms);
  return { world, health, answers, add, endpoints, request, served, checksAt, pass };
}

describe('as Envoy begins', () => {
  test('the first request waits for the first checks, and the endpoints that fail get nothing', () => {
    const { health, served, checksAt, world } = shop();
    health['10.0.0.2'] = { status: 500 };
    assert.deepEqual(served(), ['10.0.0.1']);
    assert.equal(checksAt('10.0.0.1').length, 1);
    const [check] = checksAt('10.0.0.1');
    assert.equal(check?.head.authority, 'shop');
    assert.equal(check?.head.headers.get('x-probe'), 'yes');
    assert.equal(world.clusters.get('shop')?.limits.connections, 1);
  });

  test('where all fail requests are answered with UH', () => {
    const { health, served, world } = shop();
    health['10.0.0.1'] = 'reset';
    health['10.0.0.2'] = 'hang';
    world.send(world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) })));
    world.clock.advance(150);
    assert.deepEqual(served(), ['no healthy endpoint in cluster shop: of 2: 2 failing health checks\n']);
    assert.equal(world.recorder.records.at(-1)?.flag, 'UH');
  });

  test('a new endpoint takes traffic only after its first check, which is enough alone', () => {
    const { world, endpoints, add, health, served, pass } = shop();
    served();
    health['10.0.0.3'] = { status: 200, afterMs: 50 };
    world.source.assignment('shop', [...endpoints, add('10.0.0.3')]);
    const runtime = world.clusters.get('shop');
    assert.equal(runtime?.endpoints.filter((host) => host.health?.failed).length, 1);
    pass(60);
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  });
});

describe('thresholds', () => {
  test('an answer that says no ejects at once; two that say yes bring the endpoint back', () => {
    const { health, served, pass } = shop();
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
    health['10.0.0.2'] = { status: 404 };
    pass(INTERVAL_MS);
    assert.deepEqual(served(), ['10.0.0.1']);
    health['10.0.0.2'] = { status: 204 };
    pass(INTERVAL_MS);
    assert.deepEqual(served(), ['10.0.0.1']);
    pass(INTERVAL_MS);
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
  });

  for (const [what, answer] of [
    ['no answer', 'hang'],
    ['a lost connection', 'reset'],
    ['an answer that counts as none', { status: 503 }],
  ] as const) {
    test(`${what} ejects only at the third time in a row`, () => {
      const { health, served, pass } = shop();
      served();
      health['10.0.0.2'] = answer;
      pass(2 * INTERVAL_MS);
      health['10.0.0.2'] = { status: 200 };
      pass(INTERVAL_MS);
      assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
      health['10.0.0.2'] = answer;
      pass(3 * (INTERVAL_MS + httpCheck.timeoutMs));
      assert.deepEqual(served(), ['10.0.0.1']);
    });
  }

  test('in the mesh an endpoint takes traffic from the start, until checks say otherwise', () => {
    const { health, served, pass, request } = shop({ initially: 'healthy' });
    health['10.0.0.2'] = 'hang';
    assert.equal(request().status, 200);
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
    pass(4 * INTERVAL_MS);
    assert.deepEqual(served(), ['10.0.0.1']);
  });
});

describe('panic', () => {
  test('too few that are well: all get traffic', () => {
    const { health, served, pass } = shop({}, { healthyPanicPercent: 60 });
    served();
    health['10.0.0.2'] = { status: 500 };
    pass(INTERVAL_MS);
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
  });

  test('an endpoint that steps aside by a header is not even counted, until a check passes', () => {
    const { answers, health, served, pass, world } = shop({}, { healthyPanicPercent: 60 });
    served();
    answers['10.0.0.2'] = {
      status: 200,
      body: '10.0.0.2',
      headers: Headers.from(['x-envoy-immediate-health-check-fail', 'true']),
    };
    served();
    const runtime = world.clusters.get('shop');
    const host = runtime?.endpoints.find(({ label }) => label === '10.0.0.2:80');
    assert.equal(host?.health?.excluded, true);
    assert.deepEqual(served(), ['10.0.0.1']);
    health['10.0.0.2'] = { status: 500 };
    pass(INTERVAL_MS);
    // It failed a check since, and does not count all the same.
    assert.deepEqual(served(), ['10.0.0.1']);
    answers['10.0.0.2'] = { status: 200, body: '10.0.0.2' };
    health['10.0.0.2'] = { status: 200 };
    pass(2 * INTERVAL_MS);
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
  });
});

describe('how often', () => {
  test('seldom without traffic, and never once the cluster is given up', () => {
    const { request, checksAt, pass, world } = shop({}, { idleTimeoutMs: 1_000 });
    request();
    pass(20 * INTERVAL_MS);
    const busy = checksAt('10.0.0.1').length;
    assert.ok(busy >= 18, `${busy} checks`);
    pass(NO_TRAFFIC_MS + 40 * INTERVAL_MS);
    const before = checksAt('10.0.0.1').length;
    pass(2 * NO_TRAFFIC_MS);
    assert.equal(checksAt('10.0.0.1').length, before + 2);
    pass(400_000);
    assert.equal(world.clusters.get('shop'), undefined);
    const last = checksAt('10.0.0.1').length;
    pass(10 * NO_TRAFFIC_MS);
    assert.equal(checksAt('10.0.0.1').length, last);
    assert.equal(world.servers.get('10.0.0.1 80')?.connections.size, 0);
  });

  test('one connection for all checks of an endpoint, at the port that is said', () => {
    const { request, add, pass, checksAt, world } = shop({ port: 9_090 });
    add('10.0.0.1', 9_090);
    add('10.0.0.2', 9_090);
    request();
    pass(10 * INTERVAL_MS);
    assert.equal(checksAt('10.0.0.1').length, 0);
    assert.ok(checksAt('10.0.0.1', 9_090).length >= 10);
    assert.equal(world.servers.get('10.0.0.1 9090')?.dials.length, 1);
  });

  test('a connection that the endpoint closed meanwhile says nothing of it', () => {
    const { request, served, pass, world } = shop({ unhealthyThreshold: 1 });
    request();
    for (const { label } of world.clusters.get('shop')?.endpoints ?? []) {
      world.servers.get(label.replace(':', ' '))?.makeStale();
    }
    pass(INTERVAL_MS + 10);
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
    assert.equal(world.clusters.get('shop')?.healthChecks?.counters.failure, 0);
  });

  test('an endpoint that goes is not asked again, and one that stays is', () => {
    const { request, world, endpoints, checksAt, pass } = shop();
    request();
    world.source.assignment('shop', endpoints.slice(0, 1));
    const [one, two] = [checksAt('10.0.0.1').length, checksAt('10.0.0.2').length];
    pass(5 * INTERVAL_MS);
    assert.equal(checksAt('10.0.0.2').length, two);
    assert.equal(checksAt('10.0.0.1').length, one + 5);
  });
});

describe('mesh TLS', () => {
  const identity = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');
  assert.ok(identity.ok);
  const meshed = testEndpoint('10.0.0.1', 80, { mtls: true, spiffeId: identity.value });

  for (const [probe, alpn] of [
    [httpCheck.probe, ['weft-h2', 'weft-http/1.1']],
    [{ kind: 'tcp', send: '', receive: [] }, ['weft-tcp']],
  ] as const) {
    test(`checks by ${probe.kind} are of the same security as requests`, () => {
      const { world, request } = shop({ probe });
      world.source.assignment('shop', [meshed]);
      assert.equal(request().status, 200);
      const dialled = world.dials[0]?.security;
      assert.deepEqual(dialled, { kind: 'mesh', spiffeId: identity.value, alpn });
    });
  }
});

test('no more checks than the bound are under way, and all get their turn', () => {
  const bounds = new CheckBounds({ count: () => undefined }, 2);
  const ran: number[] = [];
  for (let i = 0; i < 5; i++) bounds.enter(() => ran.push(i));
  assert.deepEqual(ran, [0, 1]);
  for (let i = 0; i < 5; i++) bounds.end();
  assert.deepEqual(ran, [0, 1, 2, 3, 4]);
  bounds.enter(() => ran.push(5));
  assert.equal(ran.length, 6);
});

describe('changes while there is traffic', () => {
  test('checks that begin take nothing away before they have failed', () => {
    const { world, health, served, pass } = shop();
    world.source.cluster(testCluster('shop'));
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
    health['10.0.0.2'] = { status: 500 };
    world.source.cluster(testCluster('shop', { healthCheck: httpCheck }));
    assert.deepEqual(
      world.clusters.get('shop')?.endpoints.map((host) => host.health?.failed),
      [false, false],
    );
    pass(10);
    assert.deepEqual(served(), ['10.0.0.1']);
    world.source.cluster(testCluster('shop'));
    assert.deepEqual(served(), ['10.0.0.1', '10.0.0.2']);
  });
});
