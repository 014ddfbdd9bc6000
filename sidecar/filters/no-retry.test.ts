/** A hint among sidecars: who may give it, and who gets to see it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Headers } from '../http/headers.ts';
import { type Answer, forwardTo, routes, testCluster, testEndpoint, testHcm, World } from './testing.ts';
import { meshConnection } from './testing-chain.ts';

const { spiffeId } = meshConnection.peer;
const retry = {
  on: ['5xx' as const],
  retriesMax: 1,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 1,
  backoffMaxMs: 1,
  nonIdempotent: false,
};
const shed = (): Answer => ({ status: 503, headers: Headers.from(['Weft-No-Retry', '1', 'X-Kept', 'a']) });

/** A server that always sheds; how often it was asked, and what the client got of the hint. */
function asked(server: 'sidecar' | 'other', client: 'sidecar' | 'other', direction: 'inbound' | 'outbound') {
  const world = new World();
  world.source.cluster(testCluster('shop'));
  const mesh = server === 'sidecar' ? { mtls: true, spiffeId } : {};
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80, mesh)]);
  const upstream = world.server('10.0.0.1', 80, shed);
  const config = routes('r', forwardTo('shop', { retry }));
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config }), direction);
  const exchange = world.send(dispatch, {}, undefined, client === 'sidecar' ? meshConnection : {});
  world.clock.advance(1_000);
  const headers = exchange.response?.headers;
  assert.equal(headers?.get('x-kept'), 'a');
  return {
    times: upstream.requests.length,
    hint: headers?.get('weft-no-retry'),
    forbidden: world.count('retry.forbidden'),
  };
}

describe('weft-no-retry', () => {
  test('of a sidecar is obeyed, and the application does not see it', () => {
    assert.deepEqual(asked('sidecar', 'other', 'outbound'), { times: 1, hint: undefined, forbidden: 1 });
  });

  test('of a server outside of the mesh is neither obeyed nor passed on', () => {
    assert.deepEqual(asked('other', 'other', 'outbound'), { times: 2, hint: undefined, forbidden: 0 });
  });

  test('of the application itself does not pass for its sidecar’s', () => {
    assert.deepEqual(asked('other', 'sidecar', 'inbound'), { times: 2, hint: undefined, forbidden: 0 });
  });

  test('goes from sidecar to sidecar', () => {
    assert.deepEqual(asked('sidecar', 'sidecar', 'outbound'), { times: 1, hint: '1', forbidden: 1 });
  });
});
