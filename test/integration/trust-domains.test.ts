/** Which anchors vouch for whom, over real TLS: as a server, as a client, for resumed sessions and for open connections. */
import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { crowdedRoots, pemOf } from '@weft/policies/identity/foreign-anchors.testing';
import { serialOf } from '@weft/policies/identity/revocations';
import type { SpiffeId, TrustDomain } from '@weft/policies/identity/spiffe-id';
import { anyTraffic } from '@weft/policies/model/listener';
import { MESH_ALPN } from '@weft/policies/model/tls';
import type { Revocation } from '@weft/policies/model/trust';
import { certificateOf, type KeyMaterial } from '@weft/sidecar/identity/material';
import type { TrustData } from '@weft/sidecar/identity/peer-trust';
import { usableTrust } from '@weft/sidecar/identity/usable-trust';
import { LoopbackServers } from '../support/loopback-servers.ts';
import { groupOf } from '../support/server-hello.ts';
import { waitFor } from '../support/wait.ts';
import {
  chain,
  listener,
  meshTls,
  plaintext,
  type Rig,
  startRig,
  TestAuthority,
  TestCertificates,
  tcp,
} from './listener-rig.fixture.ts';

const id = (domain: string, account: string) => `spiffe://${domain}/ns/shop/sa/${account}` as SpiffeId;
const OURS = 'cluster.local' as TrustDomain;
const THEIRS = 'partner.example' as TrustDomain;
const OLD = 'old.local' as TrustDomain;
const CART = id(OURS, 'cart');
const WEB = id(OURS, 'web');

let ours: TestAuthority;
let theirs: TestAuthority;
const servers = new LoopbackServers();
let server: Rig;
let serverMaterial: KeyMaterial;
const serverCertificates = new TestCertificates(undefined);
let generation = 1;

const trustOf = (more: Partial<TrustData> = {}): TrustData => ({
  ownDomain: OURS,
  bundles: [
    { trustDomain: OURS, anchorsPem: ours.rootPem },
    { trustDomain: OLD, anchorsPem: ours.rootPem },
    { trustDomain: THEIRS, anchorsPem: theirs.rootPem },
  ],
  aliases: [OLD],
  revoked: [],
  ...more,
});

const withTrust = (material: KeyMaterial, trust: TrustData): KeyMaterial => ({
  ...material,
  trust,
  generation: ++generation,
  ticketKeys: randomBytes(48),
});

/** However it came to that. */
const closing = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()));

const alone = (): TrustData => trustOf({ bundles: [{ trustDomain: OURS, anchorsPem: ours.rootPem }], aliases: [] });

function use(trust: TrustData): void {
  serverMaterial = withTrust(serverMaterial, trust);
  serverCertificates.set(certificateOf(serverMaterial));
}

before(async () => {
  ours = await TestAuthority.make('our root');
  theirs = await TestAuthority.make('their root');
  serverMaterial = await ours.material(CART, trustOf());
  serverCertificates.set(certificateOf(serverMaterial));
  const echo = await servers.serve((socket) => socket.pipe(socket));
  server = await startRig({
    certificates: serverCertificates,
    clusters: { application: { address: { ip: '127.0.0.1', port: echo }, security: plaintext } },
    listeners: [
      listener('inbound', {
        detectTls: true,
        filterChains: [
          chain(tcp('application'), {
            match: { ...anyTraffic, transportProtocol: 'tls', applicationProtocols: [MESH_ALPN.tcp] },
            tls: meshTls([MESH_ALPN.tcp]),
          }),
        ],
        defaultFilterChain: chain(tcp('application'), { name: 'plain' }),
      }),
    ],
  });
});

after(() => {
  server?.manager.close();
  servers.close();
});

function open(material: KeyMaterial, more: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({
    host: '127.0.0.1',
    port: server.port('inbound'),
    cert: material.chainPem,
    key: material.key.export({ type: 'pkcs8', format: 'pem' }),
    ca: ours.rootPem,
    ALPNProtocols: [MESH_ALPN.tcp],
    checkServerIdentity: () => undefined,
    ...more,
  });
  socket.on('error', () => undefined);
  return socket;
}

/** What came back, or that nothing did. */
async function speak(socket: TLSSocket, text = 'hello'): Promise<string> {
  const answered = new Promise<string>((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    socket.once('close', () => resolve('closed'));
  });
  socket.write(text);
  return answered;
}

/** What came back, once the connection is on record: the last record is that of the last connection. */
async function heard(material: KeyMaterial): Promise<string> {
  const records = server.recorder.records.length;
  const socket = open(material);
  const said = await speak(socket);
  socket.destroy();
  await waitFor('the record of the connection', () => server.recorder.records.length > records || undefined);
  return said;
}

/** What came back, or why nothing did. */
async function outcome(material: KeyMaterial): Promise<string> {
  const said = await heard(material);
  return said === 'closed' ? (server.recorder.records.at(-1)?.detail ?? '') : said;
}

const revoked = (revocation: Revocation): TrustData => trustOf({ revoked: [revocation] });
const identity = (spiffeId: SpiffeId, issuedBeforeUnixMs = 0): Revocation => ({
  kind: 'identity',
  spiffeId,
  issuedBeforeUnixMs,
  reason: 'left the company',
});

describe('as a server', () => {
  test('each trust domain vouches for its own identities, and for no others', async () => {
    use(trustOf());
    assert.equal(await outcome(await ours.material(WEB)), 'hello');
    assert.equal(await outcome(await theirs.material(id(THEIRS, 'web'))), 'hello');
    assert.equal(
      await outcome(await ours.material(id(OLD, 'web'))),
      'hello',
      'an alias is verified by our own anchors',
    );
    assert.match(await outcome(await theirs.material(WEB)), /does not lead to an anchor of cluster.local/);
    assert.match(await outcome(await theirs.material(id(OLD, 'web'))), /does not lead to an anchor of old.local/);
    assert.match(
      await outcome(await ours.material(id(THEIRS, 'web'))),
      /does not lead to an anchor of partner.example/,
    );
    assert.match(await outcome(await ours.material(id('nobody.example', 'web'))), /nobody.example .* not trusted here/);
  });

  test('anchors of a removed bundle stop counting at once', async () => {
    use(alone());
    assert.match(await outcome(await theirs.material(id(THEIRS, 'web'))), /not trusted/);
    assert.match(await outcome(await ours.material(id(OLD, 'web'))), /old.local .* not trusted here/);
  });

  test('a bundle of another domain that would fail every handshake costs that domain alone', async () => {
    const names = trustOf();
    const crowded = pemOf(...(await crowdedRoots()));
    const bundles = names.bundles.map((one) => (one.trustDomain === THEIRS ? { ...one, anchorsPem: crowded } : one));
    use({ ...names, bundles });
    assert.equal(await heard(await ours.material(WEB)), 'closed', 'OpenSSL has no room for so many names');
    use(usableTrust({ ...names, bundles }, undefined).trust);
    assert.equal(await heard(await ours.material(WEB)), 'hello');
    assert.match(await outcome(await theirs.material(id(THEIRS, 'web'))), /not trusted|certificate/);
    use(usableTrust({ ...names, bundles }, names).trust);
    assert.equal(await outcome(await theirs.material(id(THEIRS, 'web'))), 'hello', 'the last good one');
  });

  test('a revoked identity or certificate is refused, and one that was issued after the revocation is not', async () => {
    const web = await ours.material(WEB);
    use(revoked(identity(WEB)));
    assert.match(await outcome(web), /sa\/web is revoked: left the company/);
    use(revoked(identity(id(OLD, 'web'))));
    assert.match(await outcome(web), /is revoked/, 'under its other name too');
    use(revoked(identity(WEB, Date.now() - 3_600_000)));
    assert.equal(await outcome(web), 'hello');
    const serialHex = serialOf(new X509Certificate(web.chainPem).serialNumber);
    use(revoked({ kind: 'serial', serialHex, reason: '' }));
    assert.match(await outcome(web), new RegExp(`certificate ${serialHex} of .* is revoked`));
    assert.equal(await outcome(await ours.material(WEB)), 'hello');
  });
});

describe('sessions', () => {
  const sessionOf = async (socket: TLSSocket): Promise<Buffer> => {
    const ticket = once(socket, 'session');
    assert.equal(await speak(socket), 'hello');
    const [session]: Buffer[] = await ticket;
    assert.ok(session !== undefined);
    socket.destroy();
    return session;
  };

  test('are resumed under the same trust, and not under another one', async () => {
    use(alone());
    const web = await ours.material(WEB);
    const session = await sessionOf(open(web));
    const again = open(web, { session });
    assert.equal(await speak(again), 'hello');
    assert.equal(again.isSessionReused(), true);
    again.destroy();
    use(trustOf({ ...alone(), revoked: [identity(id(OURS, 'other'))] }));
    const later = open(web, { session });
    assert.equal(await speak(later), 'hello');
    assert.equal(later.isSessionReused(), false);
    later.destroy();
  });

  test('are not begun where trust domains differ in their anchors', async () => {
    use(trustOf());
    const socket = open(await ours.material(WEB));
    let tickets = 0;
    socket.on('session', () => tickets++);
    assert.equal(await speak(socket), 'hello');
    assert.equal(await speak(socket, 'more'), 'more');
    const again = open(await ours.material(WEB), { session: socket.getSession() });
    assert.equal(await speak(again), 'hello');
    assert.equal(again.isSessionReused(), false);
    socket.destroy();
    again.destroy();
  });
});

describe('open connections', () => {
  test('of a revoked client end, and those of others go on', async () => {
    use(alone());
    const web = open(await ours.material(WEB));
    const other = open(await ours.material(id(OURS, 'other')));
    assert.equal(await speak(web), 'hello');
    assert.equal(await speak(other), 'hello');
    const ended = (): number => server.recorder.events.filter((event) => event === 'listener.ended_by_trust').length;
    const before = ended();
    const closed = closing(web);
    use(trustOf({ ...alone(), revoked: [identity(WEB)] }));
    await closed;
    assert.equal(await speak(other, 'more'), 'more');
    other.destroy();
    assert.equal(ended(), before + 1);
    await waitFor('the record that says why', () =>
      server.recorder.records.find((one) => one.flag === 'UAEX' && /is revoked/.test(one.detail) && one.bytesSent > 0),
    );
  });

  test('end when a changed rule would not let them in', async () => {
    use(alone());
    const socket = connect(server.port('inbound'), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('plain');
    await once(socket, 'data');
    const before = server.source.listeners.get('inbound');
    assert.ok(before !== undefined);
    const closed = closing(socket);
    const denyAll = {
      action: 'deny' as const,
      policies: [
        { name: 'shop/no-plaintext', permissions: [{ kind: 'any' as const }], principals: [{ kind: 'any' as const }] },
      ],
    };
    server.source.listeners.set('inbound', {
      ...before,
      defaultFilterChain: chain(tcp('application'), { name: 'plain', networkRbac: [denyAll] }),
    });
    server.source.notify();
    await closed;
    server.source.listeners.set('inbound', before);
    server.source.notify();
    await waitFor('the record that names the rule', () =>
      server.recorder.records.find((one) => one.rule === 'shop/no-plaintext' && one.flag === 'UAEX'),
    );
  });
});

const clientOf = (certificates: TestCertificates, port: number): Promise<Rig> =>
  startRig({
    certificates,
    clusters: {
      cart: { address: { ip: '127.0.0.1', port }, security: { kind: 'mesh', spiffeId: CART, alpn: [MESH_ALPN.tcp] } },
    },
    listeners: [listener('cart', { direction: 'outbound', filterChains: [chain(tcp('cart'))] })],
  });

describe('as a client', () => {
  let client: Rig;
  const certificates = new TestCertificates(undefined);
  let material: KeyMaterial;

  before(async () => {
    material = await ours.material(WEB, trustOf());
    certificates.set(certificateOf(material));
    client = await clientOf(certificates, server.port('inbound'));
  });

  after(() => client?.manager.close());

  async function call(): Promise<string> {
    const records = client.recorder.records.length;
    const socket = connect(client.port('cart'), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('hello');
    const said = await Promise.race([
      new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))),
      closing(socket).then(() => 'closed'),
    ]);
    socket.destroy();
    await waitFor('the record', () => client.recorder.records.length > records || undefined);
    return said === 'closed' ? (client.recorder.records.at(-1)?.detail ?? '') : said;
  }

  test('a server under an alias is the same one, under a foreign root it is not, and a revoked one is none', async () => {
    use(trustOf());
    assert.equal(await call(), 'hello');
    serverMaterial = withTrust(await ours.material(id(OLD, 'cart')), trustOf());
    serverCertificates.set(certificateOf(serverMaterial));
    assert.equal(await call(), 'hello');
    serverMaterial = withTrust(await theirs.material(CART), trustOf());
    serverCertificates.set(certificateOf(serverMaterial));
    assert.match(await call(), /does not lead to an anchor of cluster.local/);
    serverMaterial = withTrust(await ours.material(CART), trustOf());
    serverCertificates.set(certificateOf(serverMaterial));
    assert.equal(await call(), 'hello');
    certificates.set(certificateOf(withTrust(material, revoked(identity(CART)))));
    assert.match(await call(), /sa\/cart is revoked/);
  });

  test('an open connection to a server that is revoked ends', async () => {
    certificates.set(certificateOf(withTrust(material, trustOf())));
    const socket = connect(client.port('cart'), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('hello');
    await once(socket, 'data');
    const closed = closing(socket);
    certificates.set(certificateOf(withTrust(material, revoked(identity(CART)))));
    await closed;
  });
});

describe('handshakes of the mesh', () => {
  const X25519MLKEM768 = 0x11ec;
  let tap = 0;
  let heard: Buffer[] = [];

  before(async () => {
    use(trustOf());
    tap = await servers.serve((socket) => {
      const upstream = connect(server.port('inbound'), '127.0.0.1');
      upstream.on('data', (chunk: Buffer) => heard.push(chunk));
      upstream.on('error', () => undefined);
      socket.pipe(upstream).pipe(socket);
    });
  });

  test('between sidecars agree on a key with the hybrid post-quantum group, unasked', async () => {
    heard = [];
    const certificates = new TestCertificates(certificateOf(await ours.material(WEB, trustOf())));
    const client = await clientOf(certificates, tap);
    const socket = connect(client.port('cart'), '127.0.0.1');
    socket.write('hello');
    await once(socket, 'data');
    assert.equal(groupOf(Buffer.concat(heard)), X25519MLKEM768);
    socket.destroy();
    client.manager.close();
  });

  test('are TLS 1.3, and nothing before it', async () => {
    const socket = open(await ours.material(WEB), { maxVersion: 'TLSv1.2' });
    const [error]: Error[] = await once(socket, 'error');
    assert.match(String(error), /protocol version/);
  });
});
