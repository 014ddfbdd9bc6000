/** Ports of three modes on one listener, as the control plane makes it: what gets in where, and what is said of the rest. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { type Harness, startHarness } from '@weft/control-plane/testing/harness';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import type { TallyFamily, TallyLabels } from '@weft/sidecar/telemetry/tallies';
import { type Serving, serveOne } from '../support/one-listener.ts';
import { clusterTo } from '../support/one-route.ts';
import { answerOk, RawOrigin, sendRaw } from '../support/pair-origin.ts';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { certificateOf, inboundListener, podOf, tokensOf } from './inbound-rig.fixture.ts';
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
let sidecar: Serving;
let origin: RawOrigin;

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
${podOf('cart', '10.1.0.1')}
---
${podOf('web', '10.1.0.2')}
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
  harness = await startHarness({ objects: objects(), tokens: tokensOf(['cart', 'web']) });
  origin = await RawOrigin.start(answerOk);
  const foreign = await TestAuthority.make();
  contexts.set('foreign', (await foreign.issue('spiffe://cluster.local/ns/shop/sa/web' as SpiffeId)).context);
  contexts.set('web', (await certificateOf(harness, 'web')).context);
  contexts.set('old', (await certificateOf(harness, 'web', { maxVersion: 'TLSv1.2' })).context);
  const addresses = Object.values(ports).map((port) => ({ ip: '127.0.0.1', port }));
  sidecar = await serveOne({
    listener: await inboundListener(harness, 'cart', addresses),
    cluster: clusterTo('inbound', origin.port, undefined),
    certificates: new TestCertificates(await certificateOf(harness, 'cart')),
    recorder,
  });
});

after(async () => {
  sidecar?.close();
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
