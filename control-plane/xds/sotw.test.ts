import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { type Harness, startHarness } from '../testing/harness.ts';
import { pod, shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { decoded, SotwClient } from '../testing/xds-client.ts';

const cart = 'outbound/shop/cart/80';

describe('state-of-the-world ADS', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  });
  after(() => harness.stop());

  const open = (t: { after(fn: () => void): void }, token = webToken): SotwClient => {
    const client = SotwClient.open(harness, token, web);
    t.after(() => client.close());
    return client;
  };

  test('the whole set comes with each change, and a NACK keeps the last good', async (t) => {
    const client = open(t);
    client.send('endpoints', { resourceNames: [cart, 'outbound/shop/cart-v2/80', 'outbound/shop/none/80'] });
    const first = await client.next();
    assert.equal(first.typeUrl, typeUrls.endpoints);
    assert.deepEqual(first.resources.map((one) => decoded(one).name).sort(), ['outbound/shop/cart-v2/80', cart].sort());
    client.send('endpoints', {
      resourceNames: [cart, 'outbound/shop/cart-v2/80', 'outbound/shop/none/80'],
      responseNonce: first.nonce,
      versionInfo: first.versionInfo,
    });
    harness.apply(pod('cart-b', 'cart', '10.1.0.2', 'uid-cart-b', '2026-01-01T00:00:00Z'));
    const second = await client.next();
    assert.equal(second.resources.length, 2);
    assert.notEqual(second.versionInfo, first.versionInfo);
    client.send('endpoints', {
      resourceNames: [cart, 'outbound/shop/cart-v2/80', 'outbound/shop/none/80'],
      responseNonce: second.nonce,
      versionInfo: first.versionInfo,
      errorDetail: { code: 3, message: 'not so' },
    });
    assert.ok(await client.quiet());
    harness.apply(pod('cart-b', 'cart', '10.1.0.2', 'uid-cart-b', ''));
    const third = await client.next();
    assert.equal(third.versionInfo, first.versionInfo, 'the same content has the same version');
  });

  test('who comes back with the version that is current gets nothing again', async (t) => {
    const client = open(t);
    client.send('cluster', { resourceNames: [cart] });
    const { versionInfo } = await client.next();
    const again = open(t);
    again.send('cluster', { resourceNames: [cart], versionInfo });
    assert.ok(await again.quiet());
  });

  test('no names mean all clusters, also those that come later', async (t) => {
    const client = open(t);
    client.send('cluster', { resourceNames: [] });
    const first = await client.next();
    const names = first.resources.map((one) => decoded(one).name);
    assert.deepEqual(names.sort(), ['blackhole', 'inbound', 'outbound/shop/cart-v2/80', cart, 'passthrough'].sort());
    client.send('cluster', { responseNonce: first.nonce, versionInfo: first.versionInfo });
    harness.apply(
      'kind: Service\nmetadata: { name: late, namespace: shop }\nspec: { clusterIPs: [10.96.0.99], ports: [{ port: 80 }] }\n',
    );
    const second = await client.next();
    assert.equal(second.resources.length, names.length + 1);
    client.send('cluster', { responseNonce: second.nonce, versionInfo: second.versionInfo });
    harness.mesh.delete('Service', 'shop/late');
    assert.equal((await client.next()).resources.length, names.length);
  });

  test('an answer to an earlier response is not taken for the last one', async (t) => {
    const client = open(t);
    client.send('endpoints', { resourceNames: [cart] });
    const first = await client.next();
    client.send('endpoints', { resourceNames: [cart], responseNonce: 'made up', versionInfo: first.versionInfo });
    assert.ok(await client.quiet());
    const [stream] = [...harness.mesh.hub.streams].slice(-1);
    const [subscription] = [...(stream?.subscriptions() ?? [])];
    assert.equal(subscription?.acked, undefined);
  });

  test('is refused without a credential', async (t) => {
    const client = SotwClient.open(harness, {}, web);
    t.after(() => client.close());
    client.send('cluster', { resourceNames: [] });
    assert.equal((await client.end()).code, 'UNAUTHENTICATED');
  });
});
