import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { DeltaDiscoveryResponse } from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { type Harness, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { DeltaClient, decoded } from '../testing/xds-client.ts';

const cart = 'outbound/shop/cart/80';
const policy = (mode: string): string => `
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: cart, namespace: shop }
spec: { selector: { matchLabels: { app: cart } }, mtls: { mode: ${mode} } }
`;

const resourceOf = (response: DeltaDiscoveryResponse) => decoded(response.resources[0]?.resource);

function chainsOf(response: DeltaDiscoveryResponse): string[] {
  const resource = resourceOf(response);
  assert.equal(resource.kind, 'listener');
  const { filterChains, defaultFilterChain } = resource.value;
  return [...filterChains, ...(defaultFilterChain === undefined ? [] : [defaultFilterChain])].map(({ name }) => name);
}

function toldMesh(response: DeltaDiscoveryResponse): boolean[] {
  const resource = resourceOf(response);
  assert.equal(resource.kind, 'endpoints');
  return resource.value.endpoints.map(({ mtls }) => mtls);
}

const mesh = /mesh-/;
const plain = /^8080\/(http|tcp)$/;
const takes = (chains: readonly string[], what: RegExp): boolean => chains.some((name) => what.test(name));

describe('a change of modes', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({
      objects: shopObjects,
      tokens: shopTokens,
      modeTimes: { openingMsMin: 50, tellingMsMin: 100, waitMsMax: 20_000 },
    });
    // Its sidecar is not here to be waited for.
    harness.mesh.delete('Pod', 'shop/cart-b');
  });
  after(() => harness.stop());

  test('opens the new way, tells callers, and closes the old one when they know', async (t) => {
    const server = DeltaClient.open(harness, { token: 'cart-token' }, { pod: 'cart-a', namespace: 'shop' });
    const caller = DeltaClient.open(harness, webToken, web);
    t.after(() => server.close());
    t.after(() => caller.close());
    server.subscribe('listener', ['inbound']);
    server.ack('listener', await server.next());
    caller.subscribe('endpoints', [cart]);
    caller.ack('endpoints', await caller.next());

    harness.apply(policy('DISABLED'));
    const told = await caller.next();
    assert.deepEqual(toldMesh(told), [false, false]);
    assert.ok(await server.quiet(300), 'the old way stays open while a caller may use it');
    caller.ack('endpoints', told);
    const closed = await server.next();
    assert.equal(takes(chainsOf(closed), mesh), false);
    assert.equal(takes(chainsOf(closed), plain), true);
    server.ack('listener', closed);

    harness.apply(policy('STRICT'));
    const opened = await server.next();
    assert.ok(takes(chainsOf(opened), mesh) && takes(chainsOf(opened), plain), chainsOf(opened).join());
    assert.ok(await caller.quiet(300), 'callers are not told of what the server has not taken yet');
    server.ack('listener', opened);
    const again = await caller.next();
    assert.deepEqual(toldMesh(again), [true, false]);
    caller.ack('endpoints', again);
    const strict = await server.next();
    assert.ok(takes(chainsOf(strict), mesh) && !takes(chainsOf(strict), plain), chainsOf(strict).join());
    server.ack('listener', strict);
    assert.equal(harness.mesh.modes.counters.timedOut, 0);

    harness.apply(policy('PERMISSIVE'));
    const permissive = await server.next();
    assert.ok(takes(chainsOf(permissive), plain), 'what only lets in more holds at once');
    assert.ok(await caller.quiet(), 'and is nothing to callers');
  });
});
