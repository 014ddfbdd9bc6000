import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultClusterLimits } from '@weft/policies/model/cluster';
import { defaultOutlierDetection } from '@weft/policies/model/outlier';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../filters/testing.ts';
import { upstreamFamilies } from '../telemetry/upstream-families.ts';
import { upstreamState } from './upstream-state.ts';

/** A cluster with a breaker, a limit and outlier detection, and what its metrics say. */
function shop() {
  const world = new World();
  const [one, two] = ['10.0.0.1', '10.0.0.2'].map((ip) => world.server(ip, 80));
  world.source.cluster(
    testCluster('shop', {
      outlier: { ...defaultOutlierDetection, ejectionPercentMax: 50 },
      errorRate: { thresholdPercent: 90, volumeMin: 30, windowMs: 10_000, openMs: 60_000 },
      limits: { ...defaultClusterLimits, requestsMax: 1 },
      service: { namespace: 'shop', name: 'cart' },
    }),
  );
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80), testEndpoint('10.0.0.2', 80)]);
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) }));
  const request = () => {
    const exchange = world.send(dispatch);
    world.clock.advance(5);
    return exchange;
  };
  const metric = (name: string, ...labels: string[]): number | undefined => {
    const lines = upstreamFamilies(world.clusters.active().map(upstreamState)).split('\n');
    const all = ['cluster="shop"', 'destination_service="shop/cart"', ...labels].join(',');
    const line = lines.find((text) => text.startsWith(`weft_upstream_${name}{${all}} `));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  };
  return { world, one, two, request, dispatch, metric };
}

test('ejections come and go, and what was refused is told by limit', () => {
  const { world, two, request, dispatch, metric } = shop();
  assert.equal(request().status, 200);
  assert.equal(metric('endpoints', 'state="available"'), 2);
  assert.equal(metric('breaker_state', 'state="closed"'), 1);
  assert.ok(two);
  two.handler = () => ({ status: 500 });
  for (let i = 0; i < 20; i++) request();
  assert.equal(metric('endpoints', 'state="ejected"'), 1);
  assert.equal(metric('endpoints', 'state="available"'), 1);
  assert.equal(metric('ejections_total', 'cause="consecutive_5xx"'), 1);
  assert.equal(metric('ejections_overflow_total'), 0);
  two.handler = () => ({ status: 200 });
  world.clock.advance(41_000);
  assert.equal(metric('endpoints', 'state="available"'), 2);
  assert.equal(metric('ejections_total', 'cause="consecutive_5xx"'), 1);

  world.send(dispatch);
  const refused = world.send(dispatch);
  assert.equal(refused.status, 503);
  assert.equal(world.recorder.records.at(-1)?.flag, 'UO');
  assert.equal(metric('limit', 'limit="requests"'), 1);
  assert.equal(metric('in_use', 'limit="requests"'), 1);
  assert.equal(metric('refused_total', 'limit="requests"'), 1);
  world.clusters.close();
});

test('a breaker that opens says so, and counts whom it refuses', () => {
  const { world, one, two, request, metric } = shop();
  assert.ok(one && two);
  one.handler = () => 'reset';
  two.handler = () => 'reset';
  for (let i = 0; i < 40; i++) request();
  assert.equal(metric('breaker_state', 'state="open"'), 1);
  assert.equal(metric('breaker_state', 'state="closed"'), 0);
  assert.equal(metric('breaker_opened_total'), 1);
  const before = metric('breaker_refused_total') ?? 0;
  assert.equal(request().status, 503);
  assert.equal(world.recorder.records.at(-1)?.flag, 'UO');
  assert.equal(metric('breaker_refused_total'), before + 1);
  world.clusters.close();
});
