/** The limits of an OverloadPolicy as the control plane makes them a listener, against a client that goes beyond each. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import { podOf } from '../integration/inbound-rig.fixture.ts';
import { TestAuthority, TestCertificates } from '../integration/listener-rig.fixture.ts';
import { type Serving, serveOne } from '../support/one-listener.ts';
import { clusterTo } from '../support/one-route.ts';
import { answerOk, RawOrigin, sendRaw } from '../support/pair-origin.ts';
import { freePort } from '../support/pair-process.ts';
import { clientIn, Translated } from '../support/translated.ts';

let sidecar: Serving;
let origin: RawOrigin;

const objects = (port: number): string => `
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  clusterIPs: [10.96.0.10]
  selector: { app: cart }
  ports: [{ name: http, port: 80, targetPort: ${port} }]
---
${podOf('cart', '10.1.0.1')}
---
apiVersion: weft.dev/v1alpha1
kind: OverloadPolicy
metadata: { name: limits, namespace: shop }
spec:
  selector: { matchLabels: { app: cart } }
  requestLimits:
    maxHeadKiB: 1
    maxHeaders: 4
    maxRequestLineBytes: 100
    maxHeaderLineBytes: 200
    maxBodyBytes: 10
    headTimeout: 100ms
    requestTimeout: 150ms
    idleTimeout: 50ms
`;

before(async () => {
  const port = await freePort();
  origin = await RawOrigin.start((socket, bytes) => bytes.includes('/waits') || answerOk(socket, bytes));
  const made = new Translated(objects(port)).model('listener', 'inbound', clientIn('shop', 'cart-a'));
  assert.ok(made?.kind === 'listener');
  const certificate = await (await TestAuthority.make()).issue('spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId);
  sidecar = await serveOne({
    listener: { ...made.value, useOriginalDst: false, addresses: [{ ip: '127.0.0.1', port }] },
    cluster: clusterTo('inbound', origin.port, undefined),
    certificates: new TestCertificates(certificate),
    recorder: new TestRecorder(),
  });
});

after(async () => {
  sidecar?.close();
  await origin?.close();
});

const host = 'Host: cart\r\n';
const get = `GET / HTTP/1.1\r\n${host}`;
const post = `POST / HTTP/1.1\r\n${host}`;
const cases: readonly (readonly [what: string, request: string, status: number])[] = [
  ['all within them', `${post}Content-Length: 10\r\n\r\n0123456789`, 200],
  ['a longer request line', `GET /${'a'.repeat(100)} HTTP/1.1\r\n${host}\r\n`, 414],
  ['a longer header', `${get}X: ${'a'.repeat(200)}\r\n\r\n`, 431],
  ['more headers', `${get}${'X: a\r\n'.repeat(4)}\r\n`, 431],
  ['a larger head', `${get}X: ${'a'.repeat(1_024)}\r\n\r\n`, 431],
  ['more content, declared', `${post}Content-Length: 11\r\n\r\n`, 413],
  ['more content, in chunks', `${post}Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n`, 413],
  ['a head that does not end', get, 408],
  ['content that does not end', `POST /waits HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\n0`, 408],
];

for (const [what, request, status] of cases) {
  test(`${what}: ${status}`, async () => {
    const { text } = await sendRaw(sidecar.port, request, (answer) => answer.includes('\r\n\r\n'), 3_000);
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
  });
}

test('a connection without requests is closed', async () => {
  const { text, closed } = await sendRaw(sidecar.port, `${get}\r\n`, () => false, 3_000);
  assert.match(text, /^HTTP\/1.1 200 /);
  assert.equal(closed, true);
});
