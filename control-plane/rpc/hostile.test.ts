/** Workloads that mean harm or are broken: each gets a clear error, and what serves goes on serving everybody else. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type ServiceError, status } from '@grpc/grpc-js';
import { formatSpiffeId, parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';
import { DeltaDiscoveryRequestSchema } from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { aggregatedDiscovery } from '@weft/policies/wire/grpc';
import { loadAuthority } from '../ca/material.ts';
import { createRoot } from '../ca/root.ts';
import {
  type ClientIdentity,
  type Harness,
  rpcClient,
  signFor,
  startHarness,
  trustDomain,
} from '../testing/harness.ts';
import { pod, shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { DeltaClient, decoded } from '../testing/xds-client.ts';

const account = { namespace: 'shop', serviceAccount: 'web' };
const own = formatSpiffeId({ trustDomain: trustDomain(), ...account });
const moreTokens = `${shopTokens}
  - { token: gone-token, namespace: shop, serviceAccount: web, pod: web-gone, uid: uid-gone }
  - { token: bare-token, namespace: shop, serviceAccount: bare, pod: bare-a, uid: uid-bare-a }
  - { token: other-account-token, namespace: shop, serviceAccount: cart, pod: web-a, uid: uid-web-a }
`;

describe('hostile certificate requests', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: moreTokens });
  });
  after(() => harness.stop());

  const refused = async (identity: ClientIdentity, csr?: Uint8Array): Promise<string> => {
    const signed = await signFor(harness, identity, account, csr);
    assert.ok(!signed.ok, 'it was signed');
    return `${signed.code}: ${signed.details}`;
  };
  const csrWith = async (sans: readonly { type: 'uri' | 'dns'; value: string }[]): Promise<Uint8Array> => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return buildCsr({ sans, publicKey, sign: keySigner(privateKey) });
  };

  test('several names, a DNS name, no name, another trust domain', async () => {
    const uri = (value: string) => ({ type: 'uri', value }) as const;
    const cart = uri('spiffe://cluster.local/ns/shop/sa/cart');
    const one = /exactly one subject alternative name/;
    assert.match(await refused(webToken, await csrWith([uri(own), cart])), one);
    assert.match(await refused(webToken, await csrWith([uri(own), { type: 'dns', value: 'cart.shop.svc' }])), one);
    assert.match(
      await refused(webToken, await csrWith([{ type: 'dns', value: 'weft-control-plane.weft-system.svc' }])),
      one,
    );
    assert.match(
      await refused(webToken, await csrWith([uri('spiffe://elsewhere/ns/shop/sa/web')])),
      /^PERMISSION_DENIED/,
    );
    assert.match(await refused(webToken, await csrWith([uri(`${own}/`)])), /^PERMISSION_DENIED/);
  });

  test('bytes of every kind: an error, never more', async () => {
    const good = await csrWith([{ type: 'uri', value: own }]);
    const huge = Buffer.alloc(100_000, 0x30);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(4_096, 0x30), huge, good.subarray(0, -1), good.subarray(1)]) {
      assert.match(await refused(webToken, bytes), /^INVALID_ARGUMENT: certificate request/);
    }
    assert.ok((await signFor(harness, webToken, account)).ok, 'the next good one is signed');
  });

  test('the token of a pod that is gone, and of one that runs as somebody else', async () => {
    assert.match(await refused({ token: 'gone-token' }), /^PERMISSION_DENIED: there is no pod shop\/web-gone/);
    assert.match(
      await refused({ token: 'other-account-token' }),
      /pod shop\/web-a runs as web, the credential is of cart/,
    );
  });

  test('a pod without a sidecar gets its own identity and no other', async () => {
    harness.apply(`
kind: Pod
metadata: { name: bare-a, namespace: shop, uid: uid-bare-a }
spec: { serviceAccountName: bare, containers: [{ name: app }] }
status: { podIP: 10.1.0.9 }
`);
    const bare = { token: 'bare-token' };
    assert.match(
      await refused(bare),
      /^PERMISSION_DENIED: .*the credential proves spiffe:\/\/cluster\.local\/ns\/shop\/sa\/bare/,
    );
    assert.ok((await signFor(harness, bare, { namespace: 'shop', serviceAccount: 'bare' })).ok);
  });

  test('a second token behind the first', async () => {
    assert.match(await refused({ token: 'web-token, Bearer cart-token' }), /is not of the form "Bearer <token>"/);
    assert.match(await refused({ token: 'web-token,cart-token' }), /^UNAUTHENTICATED: token refused/);
  });

  test('tokens of odd shape', async () => {
    for (const token of ['', 'a b', 'x'.repeat(20_000), '..', 'e30.e30.e30']) {
      assert.match(await refused({ token }), /^UNAUTHENTICATED|^UNAVAILABLE|^INTERNAL|^RESOURCE_EXHAUSTED/);
    }
  });

  test('client certificates of another root, of another trust domain, of a server', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const request = await buildCsr({ spiffeId: own, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });
    const otherRoot = loadAuthority(await createRoot(trustDomain(), Date.now()), {
      clock: systemClock,
      issued: { trustDomain: trustDomain(), dnsName: undefined },
    });
    assert.ok(otherRoot.ok);
    const byOther = await otherRoot.value.signWorkload(request, own, 600_000);
    assert.ok(byOther.ok);
    const chain = (der: readonly Uint8Array[]) => der.map((one) => encodePem('CERTIFICATE', one)).join('');
    const foreign = { chainPem: chain(byOther.value.chain), key: keys.privateKey };
    assert.match(await refused({ certificate: foreign }), /^UNAUTHENTICATED|^UNAVAILABLE/);
    const elsewhere = parseTrustDomain('elsewhere');
    assert.ok(elsewhere.ok);
    const spiffeId = formatSpiffeId({ trustDomain: elsewhere.value, ...account });
    const abroad = await buildCsr({ spiffeId, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });
    const signedAbroad = await harness.ca.signWorkload(abroad, spiffeId, 600_000);
    assert.ok(signedAbroad.ok);
    const visitor = { chainPem: chain(signedAbroad.value.chain), key: keys.privateKey };
    assert.match(await refused({ certificate: visitor }), /is of trust domain elsewhere, this is cluster\.local/);
    const server = await harness.ca.signServer(keys.publicKey, ['web.shop.svc'], 600_000);
    const named = { chainPem: chain(server.chain), key: keys.privateKey };
    assert.match(await refused({ certificate: named }), /^UNAUTHENTICATED/);
  });

  test('a clock that is wrong: leaves begin five minutes back, and the answer tells the time', async () => {
    const signed = await signFor(harness, webToken, account);
    assert.ok(signed.ok);
    const leaf = new X509Certificate(signed.response.certificateChain[0] ?? '');
    assert.ok(Date.now() - Date.parse(leaf.validFrom) >= 4 * 60_000);
    assert.ok(Math.abs(Number(signed.response.nowUnixMs) - Date.now()) < 10_000);
  });
});

describe('hostile streams', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({
      objects: shopObjects,
      tokens: moreTokens,
      limits: { streamsPerWorkloadMax: 3, firstRequestMsMax: 300 },
    });
  });
  after(() => harness.stop());

  /** That somebody else is served all the while. */
  const othersAreServed = async (): Promise<void> => {
    const other = DeltaClient.open(harness, { token: 'cart-token' }, { pod: 'cart-a', namespace: 'shop' });
    try {
      other.subscribe('endpoints', ['outbound/shop/cart/80']);
      // What is done before it: the time of this process, which other work on the machine may hold up, says more than that.
      const from = process.cpuUsage();
      assert.equal((await other.next()).resources.length, 1);
      const { user, system } = process.cpuUsage(from);
      assert.ok(user + system < 2_000_000, `${(user + system) / 1_000} ms of CPU`);
    } finally {
      other.close();
    }
  };
  const open = (t: { after(fn: () => void): void }): DeltaClient => {
    const client = DeltaClient.open(harness, webToken, web);
    t.after(() => client.close());
    return client;
  };
  const closed = async (): Promise<void> => {
    const untilMs = Date.now() + 5_000;
    while (harness.mesh.hub.streams.size > 0 && Date.now() < untilMs) await new Promise(setImmediate);
    assert.equal(harness.mesh.hub.streams.size, 0);
  };

  test('names of every kind are absent, and too long a one is refused', async (t) => {
    const client = open(t);
    const names = [
      ' ',
      '__proto__',
      'constructor',
      'outbound/../../1',
      'outbound/shop/cart/99999',
      '\u0000',
      '::1%eth0',
      'x'.repeat(1_024),
    ];
    for (const kind of ['address', 'cluster', 'route', 'endpoints'] as const) {
      client.subscribe(kind, names);
      const response = await client.next();
      assert.deepEqual([response.resources.length, response.removedResources.length], [0, names.length], kind);
      client.ack(kind, response);
    }
    client.subscribe('address', ['x'.repeat(1_025)]);
    assert.equal((await client.end()).code, 'INVALID_ARGUMENT');
    await othersAreServed();
    await closed();
  });

  test('an address says who is there, and nothing about what protects it', async (t) => {
    harness.apply(`
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: only-web, namespace: shop }
spec: { rules: [{ name: secret-rule, to: [{ paths: ["/hidden/*"] }] }] }
`);
    const client = open(t);
    client.subscribe('address', ['10.1.0.1']);
    const address = decoded((await client.next()).resources[0]?.resource);
    assert.doesNotMatch(JSON.stringify(address), /hidden|secret-rule|uid-cart-a/);
    client.subscribe('cluster', ['*']);
    const clusters = await client.next();
    for (const { resource } of clusters.resources) assert.doesNotMatch(JSON.stringify(decoded(resource)), /hidden/);
    harness.mesh.delete('AuthorizationPolicy', 'shop/only-web');
  });

  test('ten thousand names at once, and all of them again', async (t) => {
    await closed();
    const client = open(t);
    const names = Array.from({ length: 10_000 }, (_, index) => `10.${index >> 8}.${index & 255}.77`);
    client.subscribe('address', names);
    assert.equal((await client.next()).removedResources.length, names.length);
    const held = harness.mesh.hub.cache.size;
    for (let round = 0; round < 3; round += 1) client.subscribe('address', names);
    await othersAreServed();
    assert.ok(harness.mesh.hub.cache.size <= held + 2, 'names of nothing take no room');
    client.close();
    await closed();
  });

  test('a flood of ACKs and NACKs for nothing', async (t) => {
    const client = open(t);
    client.subscribe(
      'address',
      Array.from({ length: 5_000 }, (_, index) => `10.7.${index >> 8}.${index & 255}`),
    );
    await client.next();
    for (let index = 0; index < 20_000; index += 1) {
      client.send('address', { responseNonce: 'no such', errorDetail: { code: 3, message: 'x'.repeat(100) } });
    }
    await othersAreServed();
    client.close();
    await closed();
  });

  test('a stream that never says who it is ends; one workload has not room for many', async (t) => {
    const { client, metadata } = rpcClient(harness, webToken);
    t.after(() => client.close());
    const { path, requestSerialize, responseDeserialize } = aggregatedDiscovery.DeltaAggregatedResources;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const error = await new Promise<ServiceError>((resolve) => call.once('error', resolve));
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
    assert.match(error.details, /no request within 300 ms/);
    for (let index = 0; index < 3; index += 1) {
      const one = open(t);
      one.subscribe('listener', ['inbound']);
      await one.next();
    }
    const fourth = open(t);
    fourth.subscribe('listener', ['inbound']);
    assert.deepEqual(await fourth.end(), { code: 'RESOURCE_EXHAUSTED', details: 'shop/web-a has 3 streams already' });
    await othersAreServed();
  });

  test('a first request that does not say who asks', async (t) => {
    const { client, metadata } = rpcClient(harness, webToken);
    t.after(() => client.close());
    const { path, requestSerialize, responseDeserialize } = aggregatedDiscovery.DeltaAggregatedResources;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const error = new Promise<ServiceError>((resolve) => call.once('error', resolve));
    call.write(create(DeltaDiscoveryRequestSchema, {}));
    assert.match((await error).details, /must carry node/);
  });
});

describe('a resource that cannot be translated', () => {
  test('is counted and keeps its last good content; the rest ships', async (t) => {
    const harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
    t.after(() => harness.stop());
    const client = DeltaClient.open(harness, webToken, web);
    t.after(() => client.close());
    const names = ['outbound/shop/cart/80', 'outbound/shop/cart-v2/80'];
    client.subscribe('endpoints', names);
    client.ack('endpoints', await client.next());
    // A fault of our own: an index that throws for one Service.
    const { endpointSlices } = harness.mesh.state;
    const by = endpointSlices.by.bind(endpointSlices);
    t.mock.method(endpointSlices, 'by', (...args: Parameters<typeof by>) => {
      if (args[1] === 'shop/cart') throw new Error('planted');
      return by(...args);
    });
    harness.apply(`
kind: EndpointSlice
metadata: { name: cart-v2-1, namespace: shop, labels: { kubernetes.io/service-name: cart-v2 } }
addressType: IPv4
ports: [{ name: http, port: 8080, protocol: TCP }]
endpoints: [{ addresses: [10.1.0.7], conditions: { ready: true } }]
---
${pod('cart-b', 'cart', '10.1.0.2', 'uid-cart-b', '2026-01-01T00:00:00Z')}`);
    const response = await client.next();
    assert.deepEqual(
      response.resources.map((one) => one.name),
      ['outbound/shop/cart-v2/80'],
    );
    assert.ok(harness.mesh.hub.cache.counters.failed > 0);
  });
});
