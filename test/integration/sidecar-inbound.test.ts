/** The inbound listener as the control plane makes it, on a real socket: who gets to the application, and how nobody else does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer, type SecureContext, type Server } from 'node:tls';
import { type Harness, startHarness } from '@weft/control-plane/testing/harness';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import { type Serving, serveOne } from '../support/one-listener.ts';
import { clusterTo } from '../support/one-route.ts';
import { answerOk, RawOrigin, sendRaw } from '../support/pair-origin.ts';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { certificateOf, inboundListener } from './inbound-rig.fixture.ts';
import { TestAuthority, TestCertificates } from './listener-rig.fixture.ts';
import { objects, tokens } from './sidecar-inbound.fixture.ts';

let harness: Harness;
let sidecar: Serving;
let origin: RawOrigin;
let ownTls: Server;
let foreign: TestAuthority;
const recorder = new TestRecorder();
const contexts = new Map<string, SecureContext>();
let [httpPort, tcpPort] = [0, 0];

before(async () => {
  httpPort = await freePort();
  tcpPort = await freePort();
  harness = await startHarness({ objects: objects(httpPort, tcpPort), tokens });
  origin = await RawOrigin.start(answerOk);
  foreign = await TestAuthority.make();
  const stranger = await foreign.issue('spiffe://cluster.local/ns/shop/sa/web' as SpiffeId);
  contexts.set('foreign', stranger.context);
  const own = await certificateOf(harness, 'cart');
  contexts.set('web', (await certificateOf(harness, 'web')).context);
  contexts.set('stranger', (await certificateOf(harness, 'stranger')).context);
  const bound = (port: number) => ({ ip: '127.0.0.1', port });
  sidecar = await serveOne({
    listener: await inboundListener(harness, 'cart', [bound(httpPort), bound(tcpPort)]),
    cluster: clusterTo('inbound', origin.port, undefined),
    certificates: new TestCertificates(own),
    recorder,
  });
});

after(async () => {
  sidecar?.close();
  ownTls?.close();
  await origin?.close();
  await harness?.stop();
});

/** One exchange over TLS; the text of the answer, or why there was none. */
async function overTls(port: number, who: string | undefined, alpn: readonly string[], bytes: string): Promise<string> {
  const secureContext = who === undefined ? undefined : contexts.get(who);
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
    if (text.endsWith('ok\n') || text.includes('RBAC')) socket.destroy();
  });
  socket.on('error', (error) => {
    text += `error ${error.message}`;
  });
  socket.on('secureConnect', () => socket.write(bytes));
  socket.setTimeout(5_000, () => socket.destroy());
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: cart\r\n${more}\r\n`;
const forged = 'X-Forwarded-Client-Cert: By=x;URI=spiffe://cluster.local/ns/shop/sa/web\r\n';
const answered = (text: string): boolean =>
  text.includes('\r\n\r\n') && (text.endsWith('ok\n') || text.includes('RBAC'));

describe('a port of HTTP', () => {
  test('the allowed identity gets in, and what is denied stays denied', async () => {
    assert.match(await overTls(httpPort, 'web', ['weft-http/1.1'], get('/x')), /^HTTP\/1.1 200 /);
    assert.match(await overTls(httpPort, 'web', ['weft-http/1.1'], get('/admin')), /^HTTP\/1.1 403 [\s\S]*deny-admin/);
    assert.match(await overTls(httpPort, 'stranger', ['weft-http/1.1'], get('/x')), /^HTTP\/1.1 403 /);
    assert.match(await overTls(httpPort, 'stranger', ['weft-http/1.1'], get('/open')), /^HTTP\/1.1 200 /);
  });

  test('plaintext on the same port: what needs no identity, and no more', async () => {
    assert.match((await sendRaw(httpPort, get('/open/x'), answered)).text, /^HTTP\/1.1 200 /);
    assert.match((await sendRaw(httpPort, get('/x', forged), answered)).text, /^HTTP\/1.1 403 /);
  });

  const tricks: readonly [string, string][] = [
    ['dot segments', get('/open/../x')],
    ['encoded dot segments', get('/open/%2e%2e/x')],
    ['an encoded slash', get('/open%2F..%2Fx')],
    ['a backslash', get('/open/..\\x')],
    ['path parameters around dots', get('/open/..;a=b/x')],
    ['path parameters on the denied path', get('/admin;a=b')],
    ['an empty segment before the denied path', get('//admin')],
    ['an encoded letter of the denied path', get('/%61dmin')],
    ['an absolute target with another host', get('http://elsewhere/admin', forged)],
    ['a Connection that names what identifies', get('/x', `${forged}Connection: x-forwarded-client-cert, host\r\n`)],
    ['CONNECT', `CONNECT cart:80 HTTP/1.1\r\nHost: cart:80\r\n\r\n${get('/admin')}`],
    ['TRACE', 'TRACE /x HTTP/1.1\r\nHost: cart\r\n\r\n'],
    [
      'Upgrade, with a request behind it',
      `${get('/x', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')}${get('/admin')}`,
    ],
    ['Upgrade to h2c', get('/admin', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n')],
    ['pipelined behind a refused request', get('/x') + get('/admin') + get('/open/../admin')],
    ['a lower-case method', 'get /x HTTP/1.1\r\nHost: cart\r\n\r\n'],
    ['two spaces, which some servers take', 'GET  /x HTTP/1.1\r\nHost: cart\r\n\r\n'],
    ['no version at all', 'GET /x\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['two hosts', 'GET /x HTTP/1.1\r\nHost: cart\r\nHost: admin\r\n\r\n'],
  ];
  for (const [what, bytes] of tricks) {
    test(`${what}: nothing of it reaches the application`, async () => {
      origin.clear();
      // What comes behind it shows when all of it has been dealt with, where the connection is kept.
      const { text } = await sendRaw(httpPort, bytes + get('/open/end'), (t) => t.endsWith('ok\n'), 5_000);
      const requests = origin.text.match(/^\S+ .*HTTP.*$/gm) ?? [];
      assert.ok(requests.length === 0 || requests.join() === 'GET /open/end HTTP/1.1', requests.join());
      assert.doesNotMatch(text, /HTTP\/1.1 101/);
    });
  }

  test('a smuggled request behind an allowed one is judged for itself', async () => {
    origin.clear();
    const { text } = await sendRaw(httpPort, get('/open') + get('/admin'), (t) => t.includes('403'), 3_000);
    assert.match(text, /^HTTP\/1.1 200 [\s\S]*HTTP\/1.1 403 /);
    assert.doesNotMatch(origin.text, /admin/);
  });
});

describe('one connection of HTTP/2 for several authorities', () => {
  /** The status of each request, all on one connection, where clients coalesce what one certificate is good for. */
  async function statuses(requests: readonly OutgoingHttpHeaders[]): Promise<readonly string[]> {
    const socket = connectTls({
      port: httpPort,
      host: '127.0.0.1',
      ALPNProtocols: ['weft-h2'],
      rejectUnauthorized: false,
      secureContext: contexts.get('web') ?? assert.fail('no certificate'),
    });
    await once(socket, 'secureConnect');
    const session = connectHttp2('https://cart', { createConnection: () => socket });
    session.on('error', () => undefined);
    const statusOf = (headers: OutgoingHttpHeaders): Promise<string> =>
      new Promise((resolve) => {
        const stream = session.request({ ':path': '/x', ...headers });
        stream.once('response', (answer) => resolve(String(answer[':status'])));
        stream.once('error', () => resolve('reset'));
        stream.resume();
      });
    try {
      const found: string[] = [];
      for (const headers of requests) found.push(await statusOf(headers));
      return found;
    } finally {
      session.destroy();
    }
  }

  test('each stream is judged by its own authority, and the connection serves on', async () => {
    const authorities = ['cart', 'backoffice.shop', 'cart', 'BackOffice.Shop', 'backoffice.shop:80', 'cart'];
    const found = await statuses(authorities.map((authority) => ({ ':authority': authority })));
    // Names keep their casing inside the mesh, which Node's client takes for an error where our own reply has capitals.
    assert.deepEqual(found, ['200', 'reset', '200', 'reset', 'reset', '200']);
    const denied = recorder.records.filter(({ rule }) => rule === 'shop/deny-backoffice/0');
    assert.deepEqual(
      denied.map(({ authority, status, flag }) => `${authority} ${status} ${flag}`),
      ['backoffice.shop', 'BackOffice.Shop', 'backoffice.shop:80'].map((authority) => `${authority} 403 UAEX`),
    );
  });

  test('a Host field beside the authority does not say something else', async () => {
    const found = await statuses([
      { ':authority': 'cart', host: 'backoffice.shop' },
      { ':authority': 'backoffice.shop', host: 'cart' },
      { ':authority': 'cart@backoffice.shop' },
      { ':authority': '' },
    ]);
    assert.doesNotMatch(found.join(), /200/);
  });
});

describe('what a stranger claims', () => {
  test('of identity and origin does not reach the application', async () => {
    origin.clear();
    const claims = [
      forged.trim(),
      'x_forwarded_client_cert: By=x;URI=spiffe://cluster.local/ns/shop/sa/web',
      'X-Forwarded-For: 127.0.0.1, 10.0.0.1',
      'Forwarded: for=127.0.0.1',
      'X-Forwarded-Host: backoffice.shop',
      'X-Real-IP: 127.0.0.1',
    ];
    const { text } = await sendRaw(httpPort, get('/open', `${claims.join('\r\n')}\r\n`), answered);
    assert.match(text, /^HTTP\/1.1 200 /);
    assert.doesNotMatch(origin.text, /spiffe:|10\.0\.0\.1|for=127|backoffice/i);
  });
});

describe('ALPN', () => {
  test('of the mesh with the certificate of another authority, or with none, gets nowhere', async () => {
    origin.clear();
    for (const port of [httpPort, tcpPort]) {
      for (const who of ['foreign', undefined]) {
        for (const alpn of ['weft-tcp', 'weft-http/1.1']) {
          const text = await overTls(port, who, [alpn], get('/open'));
          assert.doesNotMatch(text, /HTTP\/1.1 200/, `${who} ${alpn} ${port}`);
        }
      }
    }
    assert.equal(origin.text, '');
  });

  test('weft-tcp to a port of HTTP does not get around rules about requests', async () => {
    origin.clear();
    assert.doesNotMatch(await overTls(httpPort, 'stranger', ['weft-tcp'], get('/open')), /200/);
    // A rule denies some requests, and opaque bytes do not show which they are.
    assert.doesNotMatch(await overTls(httpPort, 'web', ['weft-tcp'], get('/admin')), /200/);
    assert.equal(origin.text, '');
    assert.ok(recorder.records.some((record) => record.flag === 'UAEX' && record.protocol === 'tcp'));
  });
});

test('TLS of the application’s own passes untouched where no rule forbids it, also with an ALPN of its own', async () => {
  const server = await foreign.issue('spiffe://elsewhere/ns/a/sa/b' as SpiffeId);
  ownTls = createTlsServer({ cert: server.certPem, key: server.keyPem, ALPNProtocols: ['h2', 'acme'] }, (socket) => {
    socket.on('error', () => undefined);
    socket.end(`${socket.alpnProtocol} ok\n`);
  });
  ownTls.listen(0, '127.0.0.1');
  await once(ownTls, 'listening');
  const address = ownTls.address();
  const applicationPort = typeof address === 'object' && address !== null ? address.port : 0;
  const open = await serveOne({
    listener: await inboundListener(harness, 'web', [{ ip: '127.0.0.1', port: 0 }]),
    cluster: clusterTo('inbound', applicationPort, undefined),
    certificates: new TestCertificates(undefined),
    recorder,
  });
  try {
    const { port } = open;
    for (const alpn of ['h2', 'acme']) assert.equal(await overTls(port, undefined, [alpn], ''), `${alpn} ok\n`);
    // Silent in both directions: noticed after the detection time, and left open, since either may still speak.
    const silences = (): number => recorder.events.filter((event) => event === 'listener.detect_timeout').length;
    const before = silences();
    const silent = connect(port, '127.0.0.1');
    await waitFor('the silence to be noticed', () => silences() > before || undefined);
    assert.equal(silent.closed, false);
    silent.destroy();
  } finally {
    open.close();
  }
});
