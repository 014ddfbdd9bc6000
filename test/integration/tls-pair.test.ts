import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { anyTraffic } from '@weft/policies/model/listener';
import { MESH_ALPN } from '@weft/policies/model/tls';
import { waitFor } from '../support/wait.ts';
import {
  chain,
  http,
  listener,
  meshTls,
  plaintext,
  type Rig,
  startRig,
  TestAuthority,
  TestCertificates,
  tcp,
} from './listener-rig.fixture.ts';

/** A pair of proxies with mesh TLS between them, in front of a real server. */

const run = promisify(execFile);
const WEB = 'spiffe://cluster.local/ns/shop/sa/web' as SpiffeId;
const CART = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const folder = mkdtempSync(join(tmpdir(), 'weft-tls-'));

let authority: TestAuthority;
let origin: Server;
let inbound: Rig;
let outbound: Rig;
let cartCertificates: TestCertificates;
let webCertificates: TestCertificates;
const captured: Buffer[] = [];
let tap: TcpServer;
let heardLast: { readonly client: Socket; readonly server: Socket } | undefined;

/** Between the two proxies: what goes over the wire. */
async function startTap(port: number): Promise<TcpServer> {
  const server = createTcpServer((socket: Socket) => {
    const upstream = connect(port, '127.0.0.1');
    const pair = { client: socket, server: upstream };
    const capture = (chunk: Buffer): void => {
      captured.push(chunk);
      heardLast = pair;
    };
    socket.on('data', capture);
    upstream.on('data', capture);
    socket.on('error', () => upstream.destroy());
    upstream.on('error', () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: { address(): unknown }): number => {
  const address: unknown = server.address();
  return typeof address === 'object' && address !== null ? Number(Reflect.get(address, 'port')) : 0;
};

before(async () => {
  authority = await TestAuthority.make();
  cartCertificates = new TestCertificates(await authority.issue(CART));
  webCertificates = new TestCertificates(await authority.issue(WEB));
  const waiting: ServerResponse[] = [];
  origin = createServer((request, response) => {
    // Two that are answered together need a connection each.
    if (request.url === '/both' && waiting.push(response) < 2) return;
    for (const other of waiting.splice(0)) if (other !== response) other.end('both\n');
    response.end(`secret-text for ${request.headers.host}\n`);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const application = { address: { ip: '127.0.0.1', port: portOf(origin) }, security: plaintext };
  const tls = { ...anyTraffic, transportProtocol: 'tls' as const };
  inbound = await startRig({
    certificates: cartCertificates,
    clusters: { application },
    listeners: [
      listener('inbound', {
        detectTls: true,
        filterChains: [
          chain(http('application'), {
            match: { ...tls, applicationProtocols: [MESH_ALPN.http1] },
            tls: meshTls([MESH_ALPN.http1]),
          }),
          chain(tcp('application'), {
            match: { ...tls, applicationProtocols: [MESH_ALPN.tcp] },
            tls: meshTls([MESH_ALPN.tcp]),
          }),
        ],
        defaultFilterChain: chain(tcp('application')),
      }),
    ],
  });
  tap = await startTap(inbound.port('inbound'));
  const address = { ip: '127.0.0.1', port: portOf(tap) };
  const mesh = { kind: 'mesh' as const, spiffeId: CART };
  outbound = await startRig({
    certificates: webCertificates,
    clusters: {
      cart: { address, security: { ...mesh, alpn: [MESH_ALPN.http1] } },
      'cart-tcp': { address, security: { ...mesh, alpn: [MESH_ALPN.tcp] } },
      impostor: { address, security: { ...mesh, spiffeId: WEB, alpn: [MESH_ALPN.http1] } },
    },
    listeners: [
      listener('cart', { direction: 'outbound', filterChains: [chain(http('cart'))] }),
      listener('cart-tcp', { direction: 'outbound', filterChains: [chain(tcp('cart-tcp'))] }),
      listener('impostor', { direction: 'outbound', filterChains: [chain(http('impostor'))] }),
    ],
  });
});

after(() => {
  outbound?.manager.close();
  inbound?.manager.close();
  tap?.close();
  origin?.closeAllConnections();
  origin?.close();
  rmSync(folder, { recursive: true, force: true });
});

const curl = async (...args: string[]): Promise<string> => {
  const { stdout } = await run('curl', ['-s', '-i', '--max-time', '10', ...args]);
  return stdout;
};

describe('mesh TLS', () => {
  test('carries HTTP with both identities verified, nothing readable on the wire', async () => {
    captured.length = 0;
    const text = await curl('-H', 'Host: cart.shop', `http://127.0.0.1:${outbound.port('cart')}/`);
    assert.match(text, /^HTTP\/1.1 200 OK[\s\S]*secret-text for cart.shop/);
    assert.equal(inbound.exchanges.at(-1)?.connection.peer?.spiffeId, WEB);
    const wire = Buffer.concat(captured).toString('latin1');
    assert.ok(wire.length > 500);
    assert.doesNotMatch(wire, /secret-text|cart\.shop/);
    assert.match(wire, /weft-http\/1\.1/);
  });

  test('carries opaque bytes by ALPN weft-tcp', async () => {
    const text = await curl(`http://127.0.0.1:${outbound.port('cart-tcp')}/`);
    assert.match(text, /secret-text/);
    const record = await waitFor('the record', () =>
      inbound.recorder.records.find((r) => r.protocol === 'tcp' && r.mtls),
    );
    assert.equal(record.sourceIdentity, WEB);
    assert.equal(record.flag, '');
  });

  test('a stream that its server resets is reset for its client: half of it does not look like the whole', async () => {
    let reset = (): void => assert.fail('nobody was asked');
    const halves = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write('half of it'));
      reset = () => void socket.resetAndDestroy();
    });
    halves.listen(0, '127.0.0.1');
    await once(halves, 'listening');
    const server = await startRig({
      certificates: cartCertificates,
      clusters: { halves: { address: { ip: '127.0.0.1', port: portOf(halves) }, security: plaintext } },
      listeners: [listener('in', { filterChains: [chain(tcp('halves'), { tls: meshTls([MESH_ALPN.tcp]) })] })],
    });
    const client = await startRig({
      certificates: webCertificates,
      clusters: {
        in: {
          address: { ip: '127.0.0.1', port: server.port('in') },
          security: { kind: 'mesh', spiffeId: CART, alpn: [MESH_ALPN.tcp] },
        },
      },
      listeners: [listener('out', { direction: 'outbound', filterChains: [chain(tcp('in'))] })],
    });
    try {
      const socket = connect(client.port('out'), '127.0.0.1');
      let text = '';
      let ended = false;
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on('end', () => {
        ended = true;
      });
      socket.write('please');
      const failed = once(socket, 'error');
      await waitFor('the half', () => text === 'half of it' || undefined);
      reset();
      const [error]: unknown[] = await failed;
      assert.equal(error instanceof Error ? Reflect.get(error, 'code') : '', 'ECONNRESET');
      assert.deepEqual([text, ended], ['half of it', false]);
      const record = await waitFor('the record', () => client.recorder.records[0]);
      assert.deepEqual([record.flag, record.detail], ['UC', 'the upstream reset the connection']);
    } finally {
      client.manager.close();
      server.manager.close();
      halves.close();
    }
  });

  for (const end of ['client', 'server'] as const) {
    test(`after the handshake a record that cannot be read ends the connection at once, at its ${end}`, async () => {
      const url = `http://127.0.0.1:${outbound.port('cart')}/`;
      assert.match(await curl(url), /200 OK/);
      assert.ok(heardLast);
      const { client, server } = heardLast;
      // So that neither end hears of the other one's alert, or of its end.
      client.unpipe(server).resume();
      server.unpipe(client).resume();
      const ended = once(heardLast[end], 'end');
      // Application data of 32 octets that nobody has encrypted.
      heardLast[end].write(Buffer.from(`1703030020${'ab'.repeat(32)}`, 'hex'));
      await ended;
      client.destroy();
      server.destroy();
      assert.match(await curl(url), /200 OK/);
    });
  }

  test('another identity than expected is refused, and both are named', async () => {
    const text = await curl(`http://127.0.0.1:${outbound.port('impostor')}/`);
    assert.match(text, /^HTTP\/1.1 503/);
    assert.ok(text.includes(`the peer's identity is ${CART}, expected ${WEB}`), text);
  });

  test('a client without certificate, or of another authority, gets nowhere', async () => {
    const attempt = (options: object): Promise<string> =>
      new Promise((resolve) => {
        const socket = connectTls({
          port: inbound.port('inbound'),
          host: '127.0.0.1',
          ALPNProtocols: [MESH_ALPN.http1],
          rejectUnauthorized: false,
          ...options,
        });
        let text = '';
        socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(text));
      });
    const before = inbound.exchanges.length;
    assert.equal(await attempt({}), '');
    const stranger = await (await TestAuthority.make()).issue(WEB);
    assert.equal(await attempt({ secureContext: stranger.context }), '');
    assert.equal(inbound.exchanges.length, before);
    assert.ok(inbound.recorder.records.some((record) => /not trusted/.test(record.detail)));
  });

  test('a server of another authority is refused', async () => {
    const stranger = await (await TestAuthority.make()).issue(CART);
    const server = createTlsServer({ secureContext: stranger.context, cert: stranger.certPem, key: stranger.keyPem });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const rig = await startRig({
      certificates: webCertificates,
      clusters: {
        fake: {
          address: { ip: '127.0.0.1', port: portOf(server) },
          security: { kind: 'mesh', spiffeId: CART, alpn: [MESH_ALPN.http1] },
        },
      },
      listeners: [listener('fake', { filterChains: [chain(http('fake'))] })],
    });
    const text = await curl(`http://127.0.0.1:${rig.port('fake')}/`);
    rig.manager.close();
    server.close();
    assert.match(text, /^HTTP\/1.1 503[\s\S]*UF connection/);
  });

  test('plaintext passes where the chains allow it (PERMISSIVE)', async () => {
    assert.match(await curl(`http://127.0.0.1:${inbound.port('inbound')}/`), /secret-text/);
  });

  test('rotation: open connections stay, new ones show the new certificate', async () => {
    const url = `http://127.0.0.1:${outbound.port('cart')}/`;
    await curl(url);
    const old = inbound.exchanges.at(-1)?.connection.peer?.fingerprint;
    webCertificates.certificate = await authority.issue(WEB, 2);
    cartCertificates.certificate = await authority.issue(CART, 2);
    // The pooled connection of before is still good.
    await curl(url);
    assert.equal(inbound.exchanges.at(-1)?.connection.peer?.fingerprint, old);
    const [first, second] = await Promise.all([curl(`${url}both`), curl(`${url}both`)]);
    assert.match(first, /200 OK/);
    assert.match(second, /200 OK/);
    const fingerprints = new Set(inbound.exchanges.slice(-2).map((exchange) => exchange.connection.peer?.fingerprint));
    assert.equal(fingerprints.size, 2);
  });

  test('sessions are resumed, and the identity with them', async () => {
    const url = `http://127.0.0.1:${outbound.port('cart-tcp')}/`;
    const size = async (): Promise<number> => {
      captured.length = 0;
      assert.match(await curl(url), /200 OK/);
      return Buffer.concat(captured).length;
    };
    await size();
    const sizes = [await size(), await size()];
    const full = inbound.recorder.records.filter((record) => record.sourceIdentity === WEB).length;
    assert.ok(full > 0);
    webCertificates.certificate = await authority.issue(WEB, 3);
    // A resumed handshake leaves out both certificates: several hundred bytes.
    const anew = await size();
    assert.ok(Math.min(...sizes) + 500 < anew, `${sizes} against ${anew}`);
  });
});

describe('static TLS contexts', () => {
  test('files, SAN matchers, and curl with a client certificate', async () => {
    const own = await authority.issue(CART);
    const client = await authority.issue(WEB);
    for (const [name, pem] of [
      ['ca.pem', authority.rootPem],
      ['own.pem', own.certPem],
      ['own.key', own.keyPem],
      ['client.pem', client.certPem],
      ['client.key', client.keyPem],
    ] as const) {
      writeFileSync(join(folder, name), pem);
    }
    const file = (name: string) => ({ kind: 'file' as const, path: join(folder, name) });
    const makeRig = (uri: string): Promise<Rig> =>
      startRig({
        clusters: { origin: { address: { ip: '127.0.0.1', port: portOf(origin) }, security: plaintext } },
        listeners: [
          listener('static', {
            filterChains: [
              chain(http('origin'), {
                tls: {
                  certificate: { kind: 'inline', certificateChain: file('own.pem'), privateKey: file('own.key') },
                  validation: {
                    trust: { kind: 'inline', ca: file('ca.pem') },
                    subjectAltNames: [{ type: 'uri', match: { kind: 'exact', value: uri } }],
                  },
                  requireClientCertificate: true,
                  alpn: ['http/1.1'],
                  parameters: { versionMin: 'TLSv1.2', versionMax: 'TLSv1.3' },
                },
              }),
            ],
          }),
        ],
      });
    const options = ['-k', '--cert', join(folder, 'client.pem'), '--key', join(folder, 'client.key')];
    const good = await makeRig(WEB);
    assert.match(await curl(...options, `https://127.0.0.1:${good.port('static')}/`), /secret-text/);
    good.manager.close();
    const bad = await makeRig(CART);
    await assert.rejects(curl(...options, `https://127.0.0.1:${bad.port('static')}/`));
    assert.match(bad.recorder.records[0]?.detail ?? '', /none of which matches/);
    bad.manager.close();
  });
});
