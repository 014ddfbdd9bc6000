import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '@weft/sidecar/filters/testing';

const TIMEOUT_MS = 3_000;

/**
 * A version of a service dies and comes back. Requests run on the simulated clock; the breaker's own windows are those
 * of opossum and run on the real one, so that this test waits for its states.
 */
test('the breaker opens on a dead version, answers at once, and closes when it is back', async (t) => {
  const world = new World();
  t.after(() => world.clusters.close());
  const errorRate = { thresholdPercent: 50, volumeMin: 10, windowMs: 2_000, openMs: 50 };
  world.source.cluster(testCluster('v2', { errorRate }));
  world.source.assignment('v2', [testEndpoint('10.0.0.2', 80)]);
  const server = world.server('10.0.0.2', 80);
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('v2')) }));
  const request = () => {
    const exchange = world.send(dispatch);
    world.clock.advance(5);
    return exchange;
  };
  for (let i = 0; i < 5; i++) assert.equal(request().status, 200);

  server.handler = () => 'reset';
  for (let i = 0; i < 20; i++) assert.equal(request().status, 503);
  assert.equal(world.clusters.get('v2')?.breaker?.state, 'open');
  assert.ok(world.count('breaker.open') >= 1);
  const before = server.requests.length;
  const refused = request();
  assert.equal(refused.status, 503);
  assert.equal(world.recorder.records.at(-1)?.flag, 'UO');
  assert.equal(server.requests.length, before);

  server.handler = () => ({ status: 200 });
  const deadlineMs = performance.now() + TIMEOUT_MS;
  while (request().status !== 200) {
    assert.ok(performance.now() < deadlineMs, 'the breaker did not close in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(world.clusters.get('v2')?.breaker?.state, 'closed');
  for (let i = 0; i < 20; i++) assert.equal(request().status, 200);
  assert.equal(world.count('breaker.close'), 1);
});
