import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import { defaultRetryPolicy } from '@weft/sidecar/filters/retry/policy';
import {
  forwardTo,
  routes,
  type TestDownstream,
  testCluster,
  testEndpoint,
  testHcm,
  World,
} from '@weft/sidecar/filters/testing';

/**
 * Every endpoint of a service is replaced, one after the other, under load: the new one joins, the old one leaves the
 * configuration, finishes what it has, and then refuses connections.
 */
function rollout(seed: number, noticeMs: number): { readonly failed: number; readonly requests: number } {
  const world = new World(seed);
  const prng = new SeededPrng(seed + 1);
  const answer = () => ({ status: 200, body: 'ok', afterMs: prng.next() * 30 });
  let live = [1, 2, 3].map((n) => `10.0.0.${n}`);
  world.source.cluster(testCluster('shop'));
  const publish = (): void => {
    world.source.assignment(
      'shop',
      live.map((ip) => testEndpoint(ip, 80)),
    );
  };
  for (const ip of live) world.server(ip, 80, answer);
  publish();
  const config = routes('r', forwardTo('shop', { retry: defaultRetryPolicy }));
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config }));
  const exchanges: TestDownstream[] = [];
  const load = (ms: number): void => {
    for (let i = 0; i < ms; i++) {
      exchanges.push(world.send(dispatch, { method: prng.next() < 0.5 ? 'GET' : 'POST' }));
      world.clock.advance(1);
    }
  };
  load(100);
  for (const old of [...live]) {
    const fresh = old.replace('10.0.0.', '10.0.1.');
    world.server(fresh, 80, answer).connectMs = 2;
    live = [...live, fresh];
    publish();
    load(20);
    const leaving = world.servers.get(`${old} 80`);
    assert.ok(leaving);
    // It stops accepting this long before (negative) or after its removal has reached the proxy.
    if (noticeMs < 0) {
      leaving.accepts = false;
      load(-noticeMs);
    }
    live = live.filter((ip) => ip !== old);
    publish();
    load(Math.max(20, noticeMs));
    leaving.accepts = false;
    load(30);
    assert.equal(leaving.connections.size, 0);
  }
  world.clock.advance(5_000);
  const failed = exchanges.filter((exchange) => exchange.status !== 200).length;
  return { failed, requests: exchanges.length };
}

test('a rolling replacement of all endpoints fails no request', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { failed, requests } = rollout(seed, 20);
    assert.ok(requests > 300);
    assert.equal(failed, 0);
  }
});

test('nor does it when endpoints refuse connections before their removal is known', () => {
  for (const seed of [1, 2, 3]) assert.equal(rollout(seed, -30).failed, 0);
});
