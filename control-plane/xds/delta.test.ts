import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TRUST_SECRET } from '@weft/policies/model/tls';
import { createRoot } from '../ca/root.ts';
import { type Harness, signFor, startHarness, trustDomain } from '../testing/harness.ts';
import { pod, shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { DeltaClient, decoded } from '../testing/xds-client.ts';

const cart = 'outbound/shop/cart/80';
const splitRoute = (weight: number): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: split, namespace: shop, generation: ${weight} }
spec:
  parentRefs: [{ group: "", kind: Service, name: cart, port: 80 }]
  rules: [{ backendRefs: [{ name: cart, port: 80, weight: ${weight} }, { name: cart-v2, port: 80, weight: 1 }] }]
`;

describe('delta ADS', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  });
  after(() => harness.stop());

  const open = (t: { after(fn: () => void): void }, identity = webToken, node = web): DeltaClient => {
    const client = DeltaClient.open(harness, identity, node);
    t.after(() => client.close());
    return client;
  };

  test('encodes once for all who get the same', async (t) => {
    const before = harness.mesh.hub.cache.counters.encodedAnew;
    const clients = [open(t), open(t), open(t)];
    for (const client of clients) {
      client.subscribe('cluster', ['outbound/shop/cart-v2/80']);
      client.ack('cluster', await client.next());
    }
    assert.equal(harness.mesh.hub.cache.counters.encodedAnew, before + 1);
  });

  test('lets in, audibly, who has it all already and is told nothing', async (t) => {
    const first = open(t);
    first.subscribe('cluster', [cart]);
    const { resources } = await first.next();
    const second = open(t);
    second.subscribe('cluster', [cart], { [cart]: resources[0]?.version ?? '' });
    assert.ok(await second.whenAccepted());
    assert.ok(await second.quiet());
  });

  test('answers what is asked for and names what there is not', async (t) => {
    const client = open(t);
    client.subscribe('address', ['10.96.0.10', '10.1.0.1', '192.0.2.1']);
    const found = await client.next();
    assert.deepEqual(
      found.resources.map((one) => one.name),
      ['10.96.0.10', '10.1.0.1'],
    );
    const service = decoded(found.resources[0]?.resource);
    assert.equal(service.kind, 'address');
    assert.deepEqual(service.value, {
      kind: 'service',
      namespace: 'shop',
      name: 'cart',
      ports: [{ port: 80, protocol: 'http', routeConfiguration: cart, cluster: cart }],
    });
    const removed = await client.next();
    assert.deepEqual(removed.removedResources, ['192.0.2.1']);
    client.ack('address', found);
    client.ack('address', removed);
    assert.ok(await client.quiet());
  });

  test('sends the workload its own listeners', async (t) => {
    const client = open(t);
    client.subscribe('listener', ['inbound', 'outbound']);
    const response = await client.next();
    const kinds = response.resources.map((one) => decoded(one.resource));
    assert.deepEqual(
      kinds.map((one) => one.name),
      ['inbound', 'outbound'],
    );
  });

  test('a NACK keeps the last good: the refused version is not sent again, the next one is', async (t) => {
    const client = open(t);
    client.subscribe('route', [cart]);
    const first = await client.next();
    client.ack('route', first);
    harness.apply(splitRoute(9));
    const second = await client.next();
    client.nack('route', second, `RouteConfiguration ${cart}: weight is odd`);
    assert.ok(await client.quiet());
    const [stream] = [...harness.mesh.hub.streams];
    const [subscription] = [...(stream?.subscriptions() ?? [])];
    assert.equal(subscription?.nack?.message, `RouteConfiguration ${cart}: weight is odd`);
    assert.equal(subscription?.acked?.version, first.resources[0]?.version);
    harness.apply(splitRoute(8));
    const third = await client.next();
    assert.notEqual(third.resources[0]?.version, second.resources[0]?.version);
    client.ack('route', third);
    harness.mesh.delete('HTTPRoute', 'shop/split');
    const fourth = await client.next();
    assert.equal(fourth.resources[0]?.version, first.resources[0]?.version);
  });

  test('who comes back with versions gets only what differs', async (t) => {
    const first = open(t);
    first.subscribe('cluster', [cart, 'inbound']);
    const versions: Record<string, string> = {};
    for (const { name, version } of (await first.next()).resources) versions[name] = version;
    assert.equal(Object.keys(versions).length, 2);
    const second = open(t);
    second.subscribe('cluster', [cart, 'inbound'], { ...versions, inbound: 'old' });
    const response = await second.next();
    assert.deepEqual(
      response.resources.map((one) => one.name),
      ['inbound'],
    );
    second.ack('cluster', response);
    assert.ok(await second.quiet());
  });

  test('after an unsubscription nothing more comes', async (t) => {
    const client = open(t);
    client.subscribe('endpoints', [cart]);
    client.ack('endpoints', await client.next());
    client.send('endpoints', { resourceNamesUnsubscribe: [cart] });
    assert.ok(await client.quiet(50));
    harness.apply(pod('cart-c', 'cart', '10.1.0.9', 'uid-cart-c', ''));
    harness.mesh.delete('Pod', 'shop/cart-c');
    assert.ok(await client.quiet());
  });

  test('clusters come before endpoints, endpoints before routes', async (t) => {
    const client = open(t);
    client.subscribe('route', [cart]);
    client.ack('route', await client.next());
    client.subscribe('endpoints', [cart]);
    client.ack('endpoints', await client.next());
    client.subscribe('cluster', [cart]);
    client.ack('cluster', await client.next());
    // A policy changes cluster and route at once; a pod leaves in the same moment.
    harness.apply(`
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: cart, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: cart }]
  timeouts: { request: 3s, connect: 1s }
---
${pod('cart-b', 'cart', '10.1.0.2', 'uid-cart-b', '2026-01-01T00:00:00Z')}`);
    const types = [await client.next(), await client.next(), await client.next()].map(({ typeUrl }) =>
      typeUrl.split('.').at(-1),
    );
    assert.deepEqual(types, ['Cluster', 'ClusterLoadAssignment', 'RouteConfiguration']);
    harness.mesh.delete('TrafficPolicy', 'shop/cart');
    harness.apply(pod('cart-b', 'cart', '10.1.0.2', 'uid-cart-b', ''));
  });

  test('terminating is said only after those who sent requests have acknowledged the removal', async (t) => {
    const sender = open(t);
    sender.subscribe('endpoints', [cart]);
    sender.ack('endpoints', await sender.next());
    const leaving = open(t, { token: 'cart-token' }, { pod: 'cart-a', namespace: 'shop' });
    leaving.subscribe('address', ['10.1.0.1']);
    leaving.ack('address', await leaving.next());
    harness.apply(pod('cart-a', 'cart', '10.1.0.1', 'uid-cart-a', '2026-01-01T00:00:00Z'));
    const drained = await sender.next();
    const endpoints = decoded(drained.resources[0]?.resource);
    assert.ok(endpoints.kind === 'endpoints');
    assert.deepEqual(
      endpoints.value.endpoints.map((one) => [one.address.ip, one.health]),
      [
        ['10.1.0.1', 'draining'],
        ['10.1.0.2', 'healthy'],
      ],
    );
    assert.ok(await leaving.quiet(), 'not before the acknowledgement');
    sender.ack('endpoints', drained);
    const address = decoded((await leaving.next()).resources[0]?.resource);
    assert.ok(address.kind === 'address' && address.value.kind === 'workload');
    assert.equal(address.value.terminating, true);
    harness.apply(pod('cart-a', 'cart', '10.1.0.1', 'uid-cart-a', ''));
  });
});

describe('delta ADS: who may ask for what', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({
      objects: shopObjects,
      tokens: shopTokens,
      limits: { subscriptionsPerStreamMax: 3 },
    });
  });
  after(() => harness.stop());

  const refusal = async (
    t: { after(fn: () => void): void },
    token: string | undefined,
    node = web,
    names = ['inbound'],
  ) => {
    const client = DeltaClient.open(harness, token === undefined ? {} : { token }, node);
    t.after(() => client.close());
    client.subscribe('listener', names);
    return client.end();
  };

  test('nobody without a credential', async (t) => {
    const { code, details } = await refusal(t, undefined);
    assert.equal(code, 'UNAUTHENTICATED');
    assert.match(details, /no credential/);
  });

  test('no unknown, expired or foreign token', async (t) => {
    assert.deepEqual(await refusal(t, 'guess'), { code: 'UNAUTHENTICATED', details: 'token refused: it is not known' });
    assert.match((await refusal(t, 'expired-token')).details, /it expired at 2020-01-01/);
    assert.match((await refusal(t, 'api-token')).details, /its audience is kubernetes.default.svc, not weft.dev/);
    assert.match((await refusal(t, 'unbound-token')).details, /not bound to a pod/);
  });

  test('not for another pod', async (t) => {
    const { code, details } = await refusal(t, 'web-token', { pod: 'cart-a', namespace: 'shop' });
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(details, /credential is of pod shop\/web-a; it may not ask for pod shop\/cart-a/);
  });

  test('not with the token of an earlier pod of that name', async (t) => {
    const { code, details } = await refusal(t, 'stale-token', { pod: 'cart-a', namespace: 'shop' });
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(details, /uid-of-an-earlier-pod/);
  });

  test("not for another workload's listener", async (t) => {
    const { code, details } = await refusal(t, 'web-token', web, ['inbound/shop/cart-a']);
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(details, /"inbound\/shop\/cart-a" is not a resource of shop\/web-a/);
  });

  test('a certificate proves the account; the node id picks one of its pods and no other', async (t) => {
    const signed = await signFor(harness, { token: 'web-token' }, { namespace: 'shop', serviceAccount: 'web' });
    assert.ok(signed.ok);
    const certificate = { chainPem: signed.chainPem, key: signed.key };
    const own = DeltaClient.open(harness, { certificate }, web);
    t.after(() => own.close());
    own.subscribe('listener', ['inbound']);
    assert.equal((await own.next()).resources[0]?.name, 'inbound');
    const foreign = DeltaClient.open(harness, { certificate }, { pod: 'cart-a', namespace: 'shop' });
    t.after(() => foreign.close());
    foreign.subscribe('listener', ['inbound']);
    const { code, details } = await foreign.end();
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(details, /pod shop\/cart-a runs as cart, the credential is of web/);
  });

  test('not more names than the limit', async (t) => {
    const client = DeltaClient.open(harness, webToken, web);
    t.after(() => client.close());
    client.subscribe('address', ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']);
    const { code, details } = await client.end();
    assert.equal(code, 'RESOURCE_EXHAUSTED');
    assert.match(details, /more than 3 subscriptions/);
    assert.equal(harness.mesh.hub.counters.subscriptionsRefused, 1);
  });

  test('streams that end leave nothing behind', async (t) => {
    const client = DeltaClient.open(harness, webToken, web);
    client.subscribe('listener', ['inbound']);
    await client.next();
    const [stream] = [...harness.mesh.hub.streams].slice(-1);
    assert.ok(stream !== undefined);
    client.close();
    const untilMs = Date.now() + 5_000;
    while (harness.mesh.hub.streams.has(stream) && Date.now() < untilMs) await new Promise(setImmediate);
    assert.equal(harness.mesh.hub.streams.has(stream), false);
    t.diagnostic('stream closed');
  });
});

describe('delta ADS: clients that do not keep up', () => {
  test('changes wait for the ACKs and are merged', async (t) => {
    const harness = await startHarness({
      objects: shopObjects,
      tokens: shopTokens,
      limits: { unackedResponsesMax: 2 },
    });
    t.after(() => harness.stop());
    const client = DeltaClient.open(harness, webToken, web);
    t.after(() => client.close());
    client.subscribe('route', [cart]);
    const responses = [await client.next()];
    for (const weight of [2, 3, 4, 5]) {
      harness.apply(splitRoute(weight));
      harness.mesh.hub.push();
    }
    responses.push(await client.next());
    assert.ok(await client.quiet(100), 'two are under way, the rest waits');
    const [first] = responses;
    assert.ok(first !== undefined);
    client.ack('route', first);
    const merged = decoded((await client.next()).resources[0]?.resource);
    assert.ok(merged.kind === 'route');
    const [route] = merged.value.virtualHosts[0]?.routes ?? [];
    assert.ok(route?.action.kind === 'forward');
    assert.equal(route.action.clusters[0]?.weight, 5, 'the last one, not those between');
  });

  test('who never answers is dropped and counted', async (t) => {
    const harness = await startHarness({
      objects: shopObjects,
      tokens: shopTokens,
      limits: { unackedResponsesMax: 2, stalledMsMax: 400 },
    });
    t.after(() => harness.stop());
    const client = DeltaClient.open(harness, webToken, web);
    t.after(() => client.close());
    client.subscribe('route', [cart]);
    await client.next();
    const { code, details } = await client.end();
    assert.equal(code, 'RESOURCE_EXHAUSTED');
    assert.match(details, /no answer to 1 responses for 400 ms/);
    assert.equal(harness.mesh.hub.counters.streamsStalled, 1);
  });

  test('who is connected and has not acknowledged the anchors of now is named, until it does or goes', async (t) => {
    const harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
    t.after(() => harness.stop());
    const { mesh } = harness;
    const unheard = (...names: readonly string[]): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (mesh.withoutTrust().join() !== names.join()) return;
          end();
          resolve();
        };
        const end = mesh.hub.onSettled(look);
        mesh.hub.settled();
      });
    const [prompt, slow] = [DeltaClient.open(harness, webToken, web), DeltaClient.open(harness, webToken, web)];
    t.after(() => prompt.close());
    for (const client of [prompt, slow]) {
      client.subscribe('secret', [TRUST_SECRET]);
      client.ack('secret', await client.next());
    }
    await unheard();
    const another = await createRoot(trustDomain(), Date.now());
    const { issuer } = harness.ca;
    const [, pem = ''] = /BEGIN CERTIFICATE-----([^-]+)/.exec(another.chainPem) ?? [];
    harness.ca.use(issuer, [...issuer.trustAnchors, Buffer.from(pem, 'base64')]);
    assert.deepEqual(mesh.withoutTrust(), ['shop/web-a', 'shop/web-a'], 'from the moment at which it changes');
    prompt.ack('secret', await prompt.next());
    await slow.next();
    await unheard('shop/web-a');
    slow.close();
    await unheard();
  });

  test('a pod whose clients do not answer is drained after two seconds all the same', async (t) => {
    const harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
    t.after(() => harness.stop());
    const silent = DeltaClient.open(harness, webToken, web);
    t.after(() => silent.close());
    silent.subscribe('endpoints', [cart]);
    await silent.next();
    const leaving = DeltaClient.open(harness, { token: 'cart-token' }, { pod: 'cart-a', namespace: 'shop' });
    t.after(() => leaving.close());
    leaving.subscribe('address', ['10.1.0.1']);
    leaving.ack('address', await leaving.next());
    const fromMs = Date.now();
    harness.apply(pod('cart-a', 'cart', '10.1.0.1', 'uid-cart-a', '2026-01-01T00:00:00Z'));
    // It waits for 5 s at most.
    const address = decoded((await leaving.next()).resources[0]?.resource);
    assert.ok(address.kind === 'address' && address.value.kind === 'workload' && address.value.terminating);
    const tookMs = Date.now() - fromMs;
    assert.ok(tookMs >= 1_900, `${tookMs} ms`);
    assert.equal(harness.mesh.drain.counters.timedOut, 1);
  });
});
