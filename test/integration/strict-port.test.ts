/** Ports of three modes on one listener, as the control plane makes it: what gets in where, and what is said of the rest. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { type Harness, signFor, startHarness } from '@weft/control-plane/testing/harness';
import { DeltaClient, decoded } from '@weft/control-plane/testing/xds-client';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { StaticSource } from '@weft/sidecar/bootstrap/static-source';
import { createDataPlane, type DataPlane } from '@weft/sidecar/data-plane';
import { testCluster, testEndpoint } from '@weft/sidecar/filters/testing';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import type { TallyFamily, TallyLabels } from '@weft/sidecar/telemetry/tallies';
import { answerOk, RawOrigin, sendRaw } from '../support/pair-origin.ts';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { TestAuthority, TestCertificates } from './listener-rig.fixture.ts';

class TallyRecorder extends TestRecorder {
  readonly tallies: string[] = [];

  tally(family: TallyFamily, labels: TallyLabels): void {
    this.tallies.push(
      `${family} ${labels['source']} ${labels['destination_port']} ${labels['reason'] ?? labels['tls']}`,
    );
  }
}

const ports = { strict: 0, permissive: 0, disabled: 0 };
const recorder = new TallyRecorder();
const contexts = new Map<string, SecureContext>();
let harness: Harness;
let plane: DataPlane;
let origin: RawOrigin;

const pod = (app: string, ip: string): string => `
kind: Pod
metadata: { name: ${app}-a, namespace: shop, uid: uid-${app}, labels: { app: ${app} } }
spec:
  serviceAccountName: ${app}
  containers: [{ name: app }]
  initContainers: [{ name: weft-proxy, restartPolicy: Always }]
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }] }`;

const objects = (): string => `
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  clusterIPs: [10.96.0.10]
  selector: { app: cart }
  ports: [${Object.entries(ports)
    .map(([name, port], i) => `{ name: http-${name}, port: ${80 + i}, targetPort: ${port} }`)
    .join(', ')}]
---
${pod('cart', '10.1.0.1')}
---
${pod('web', '10.1.0.2')}
---
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: cart, namespace: shop }
spec:
  mtls: { mode: PERMISSIVE }
  ports: [{ port: ${ports.strict}, mode: STRICT }, { port: ${ports.disabled}, mode: DISABLED }]
`;

before(async () => {
  for (const name of ['strict', 'permissive', 'disabled'] as const) ports[name] = await freePort();
  const tokens = `tokens: [${['cart', 'web'].map((app) => `{ token: ${app}, namespace: shop, serviceAccount: ${app}, pod: ${app}-a, uid: uid-${app} }`).join(', ')}]`;
  harness = await startHarness({ objects: objects(), tokens });
  origin = await RawOrigin.start(answerOk);
  const foreign = await TestAuthority.make();
  contexts.set('foreign', (await foreign.issue('spiffe://cluster.local/ns/shop/sa/web' as SpiffeId)).context);
  for (const app of ['cart', 'web', 'old']) {
    const account = app === 'old' ? 'web' : app;
    const signed = await signFor(harness, { token: account }, { namespace: 'shop', serviceAccount: account });
    assert.ok(signed.ok);
    const context = createSecureContext({
      cert: signed.chainPem,
      key: signed.key.export({ type: 'pkcs8', format: 'pem' }),
      ca: harness.authority.trustBundlePem,
      // As sidecars make their own.
      ...(app === 'old' ? { maxVersion: 'TLSv1.2' } : { minVersion: 'TLSv1.3' }),
    });
    contexts.set(app, context);
  }
  const client = DeltaClient.open(
    harness,
    { token: 'cart' },
    { pod: 'cart-a', namespace: 'shop', features: ['weft.http2'] },
  );
  client.subscribe('listener', ['inbound']);
  const resource = decoded((await client.next()).resources[0]?.resource);
  client.close();
  assert.ok(resource.kind === 'listener');
  const addresses = Object.values(ports).map((port) => ({ ip: '127.0.0.1', port }));
  const endpoint = testEndpoint('127.0.0.1', origin.port);
  const discovery = { kind: 'static', assignment: { clusterName: 'inbound', endpoints: [endpoint] } } as const;
  const cluster = testCluster('inbound', { discovery, meshTls: false, protocol: 'http1' });
  plane = createDataPlane({
    source: new StaticSource({
      secret: new Map(),
      address: new Map(),
      listener: new Map([['inbound', { ...resource.value, useOriginalDst: false, addresses }]]),
      route: new Map(),
      cluster: new Map([['inbound', cluster]]),
      endpoints: new Map(),
    }),
    listenerNames: ['inbound'],
    certificates: new TestCertificates({
      spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId,
      notBeforeUnixMs: Date.now(),
      notAfterUnixMs: Date.now() + 3_600_000,
      serialHex: '',
      context: contexts.get('cart') ?? createSecureContext(),
      trustPem: harness.authority.trustBundlePem,
      generation: 1,
    }),
    recorder,
    clock: systemClock,
    prng: systemPrng,
    ownIps: new Set(),
  });
  const started = await plane.listeners.start();
  assert.ok(started.ok);
});

after(async () => {
  plane?.listeners.close();
  plane?.clusters.close();
  await origin?.close();
  await harness?.stop();
});

const request = 'GET / HTTP/1.1\r\nHost: cart\r\n\r\n';

/** What was negotiated and answered; empty where there was nothing of it. */
async function overTls(port: number, who: string, alpn: readonly string[], waitMs = 3_000): Promise<string> {
  const secureContext = contexts.get(who);
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    ALPNProtocols: [...alpn],
    rejectUnauthorized: false,
    ...(secureContext === undefined ? {} : { secureContext }),
  });
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (text.endsWith('ok\n') || socket.alpnProtocol === 'h2') socket.destroy();
  });
  socket.on('error', () => undefined);
  socket.on('secureConnect', () => {
    if (socket.alpnProtocol !== 'h2') socket.write(request);
  });
  socket.setTimeout(waitMs, () => socket.destroy());
  await new Promise((resolve) => socket.once('close', resolve));
  return text === '' ? '' : `${socket.alpnProtocol || 'none'} ${text.slice(0, 12)}`;
}

describe('a STRICT port beside others', () => {
  const refused: readonly (readonly [what: string, come: () => Promise<string>, reason: string])[] = [
    [
      'plaintext HTTP',
      async () => (await sendRaw(ports.strict, request, (t) => t.includes('200'), 3_000)).text,
      'plaintext',
    ],
    [
      'opaque bytes',
      async () => (await sendRaw(ports.strict, '\x00\x01\x02', (t) => t !== '', 3_000)).text,
      'plaintext',
    ],
    ['TLS of the application’s own', () => overTls(ports.strict, 'nobody', ['http/1.1']), 'alpn'],
    ['TLS with a certificate of the mesh and a wrong ALPN', () => overTls(ports.strict, 'web', ['http/1.1']), 'alpn'],
    ['TLS with a certificate of the mesh and no ALPN', () => overTls(ports.strict, 'web', []), 'alpn'],
    ['no certificate', () => overTls(ports.strict, 'nobody', ['weft-http/1.1']), 'no_certificate'],
    ['a foreign certificate', () => overTls(ports.strict, 'foreign', ['weft-http/1.1']), 'untrusted'],
    ['TLS 1.2', () => overTls(ports.strict, 'old', ['weft-http/1.1']), 'version'],
    ['h2 without a certificate', () => overTls(ports.strict, 'nobody', ['h2']), 'no_certificate'],
  ];
  for (const [what, come, reason] of refused) {
    test(`${what} is refused, counted and logged`, async () => {
      origin.clear();
      const [tallies, records] = [recorder.tallies.length, recorder.records.length];
      const text = await come();
      assert.equal(text, '');
      await waitFor('the record', () => recorder.records.length > records || undefined);
      assert.deepEqual(recorder.tallies.slice(tallies), [`weft_tls_refused_total 127.0.0.1 ${ports.strict} ${reason}`]);
      const record = recorder.records.at(-1);
      assert.match(record?.flag ?? '', /^(NR|DPE)$/);
      assert.notEqual(record?.detail, '');
      assert.equal(origin.text, '');
    });
  }

  test('the mesh gets in, also as h2 of a peer that is no sidecar', async () => {
    assert.equal(await overTls(ports.strict, 'web', ['weft-http/1.1']), 'weft-http/1.1 HTTP/1.1 200');
    assert.match(await overTls(ports.strict, 'web', ['h2']), /^h2 /);
  });

  test('the PERMISSIVE port takes both, and counts who came without', async () => {
    assert.equal(await overTls(ports.permissive, 'web', ['weft-http/1.1']), 'weft-http/1.1 HTTP/1.1 200');
    const before = recorder.tallies.length;
    const { text } = await sendRaw(ports.permissive, request, (t) => t.endsWith('ok\n'));
    assert.match(text, /^HTTP\/1.1 200/);
    assert.deepEqual(recorder.tallies.slice(before), [
      `weft_plaintext_connections_total 127.0.0.1 ${ports.permissive} none`,
    ]);
  });

  test('the DISABLED port takes plaintext, and ends no TLS of the mesh', async () => {
    const { text } = await sendRaw(ports.disabled, request, (t) => t.endsWith('ok\n'));
    assert.match(text, /^HTTP\/1.1 200/);
    assert.equal(await overTls(ports.disabled, 'web', ['weft-http/1.1'], 300), '');
  });
});
