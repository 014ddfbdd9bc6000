/** The SPIFFE Workload API of `weft identity serve`: join by token, an own client over the socket, restart, refusals. */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectUnix, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import {
  JWTBundlesRequestSchema,
  JWTBundlesResponseSchema,
  JWTSVIDRequestSchema,
  JWTSVIDResponseSchema,
  ValidateJWTSVIDRequestSchema,
  ValidateJWTSVIDResponseSchema,
  X509BundlesRequestSchema,
  X509BundlesResponseSchema,
} from '@weft/policies/wire/gen/spiffe/workload/workload_pb';
import { type PeerCredentials, peerCredentials } from '@weft/sidecar/net/peer-credentials';
import { isSameProcess } from '@weft/sidecar/net/process-start';
import { waitFor } from '../support/wait.ts';
import { agentRig, ask, ownUid, vm, x509 } from './workload-api.fixture.ts';

const jwt = [JWTSVIDRequestSchema, JWTSVIDResponseSchema] as const;
const validation = [ValidateJWTSVIDRequestSchema, ValidateJWTSVIDResponseSchema] as const;

describe('weft identity serve', () => {
  let rig: Awaited<ReturnType<typeof agentRig>>;
  before(async () => {
    rig = await agentRig();
  });
  after(() => rig?.stop());

  test('joins, hands out an identity with a key of its own, and comes back without a token', async () => {
    const token = rig.issue();
    const { agent, socket } = await rig.start('vm', token);
    assert.ok(agent.ok, JSON.stringify(agent));
    assert.equal(agent.value.spiffeId, vm);
    const { messages } = await ask(socket, 'FetchX509SVID', x509, {});
    const [svid] = messages[0]?.svids ?? [];
    assert.ok(svid !== undefined);
    assert.equal(svid.spiffeId, vm);
    const leaf = new X509Certificate(svid.x509Svid);
    assert.equal(leaf.subjectAltName, `URI:${vm}`);
    const key = createPrivateKey({ key: Buffer.from(svid.x509SvidKey), format: 'der', type: 'pkcs8' });
    assert.ok(leaf.checkPrivateKey(key));
    assert.ok(leaf.verify(new X509Certificate(svid.bundle).publicKey));
    assert.ok(
      !leaf.checkPrivateKey(createPrivateKey(readFileSync(join(rig.folder, 'vm', 'key.pem')))),
      'the key of the agent',
    );
    for (const file of readdirSync(join(rig.folder, 'vm')))
      assert.equal(statSync(join(rig.folder, 'vm', file)).mode & 0o77, 0);
    agent.value.close();
    const again = await rig.start('vm', undefined);
    assert.ok(again.agent.ok, JSON.stringify(again.agent));
    assert.equal((await ask(again.socket, 'FetchX509SVID', x509, {})).messages[0]?.svids[0]?.spiffeId, vm);
    const replay = await rig.start('thief', token);
    assert.ok(!replay.agent.ok && /it was used at/.test(replay.agent.error));
  });

  test('bundles, JWT-SVIDs and their validation', async () => {
    const { agent, socket } = await rig.start('jwt', rig.issue());
    assert.ok(agent.ok);
    const bundles = await ask(socket, 'FetchX509Bundles', [X509BundlesRequestSchema, X509BundlesResponseSchema], {});
    assert.deepEqual(Object.keys(bundles.messages[0]?.bundles ?? {}), ['spiffe://cluster.local']);
    const keys = await ask(socket, 'FetchJWTBundles', [JWTBundlesRequestSchema, JWTBundlesResponseSchema], {});
    const jwks = Buffer.from(keys.messages[0]?.bundles['spiffe://cluster.local'] ?? []).toString();
    assert.equal(JSON.parse(jwks).keys.length, 1);
    const got = await ask(socket, 'FetchJWTSVID', jwt, { audience: ['bank'] });
    const { svid = '' } = got.messages[0]?.svids[0] ?? {};
    assert.match(rig.harness.auditLines.at(-1) ?? '', /^JWT signed .*sa\/vm".*"audience":\["bank"\]/);
    const valid = await ask(socket, 'ValidateJWTSVID', validation, { audience: 'bank', svid });
    assert.equal(valid.messages[0]?.spiffeId, vm);
    assert.deepEqual(valid.messages[0]?.claims?.['aud'], ['bank']);
    const [head = '', payload = ''] = svid.split('.');
    const forged = [
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
      `${head}.${Buffer.from('{"sub":"spiffe://cluster.local/ns/shop/sa/cart","aud":"bank","exp":9999999999}').toString('base64url')}.${svid.split('.')[2]}`,
      'x',
    ];
    for (const wrong of forged)
      assert.equal((await ask(socket, 'ValidateJWTSVID', validation, { audience: 'bank', svid: wrong })).status, 3);
    assert.equal((await ask(socket, 'ValidateJWTSVID', validation, { audience: 'elsewhere', svid })).status, 3);
    assert.equal((await ask(socket, 'FetchJWTSVID', jwt, {})).status, 3, 'no audience');
    const other = { audience: ['bank'], spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart' };
    assert.equal((await ask(socket, 'FetchJWTSVID', jwt, other)).status, 7, 'somebody else');
  });

  test('a client whose :authority is the path of the socket, as gRPC for Java has it, or that has none', async () => {
    const { agent, socket } = await rig.start('java', rig.issue());
    assert.ok(agent.ok);
    for (const authority of [socket, '']) {
      const headers = { 'workload.spiffe.io': 'true', ':authority': authority };
      const { messages } = await ask(socket, 'FetchX509SVID', x509, {}, headers);
      assert.equal(messages[0]?.svids[0]?.spiffeId, vm, authority);
    }
  });

  test('who does not say the header, or is another user, gets nothing', async () => {
    const { agent, socket } = await rig.start('closed', rig.issue(), [ownUid + 1]);
    assert.ok(agent.ok);
    for (const headers of [{}, { 'workload.spiffe.io': 'false' }])
      assert.equal((await ask(socket, 'FetchX509SVID', x509, {}, headers)).status, 3);
    const denied = await ask(socket, 'FetchX509SVID', x509, {});
    assert.deepEqual([denied.status, denied.messages.length], [7, 0]);
    assert.match(rig.lines.join('\n'), new RegExp(`refused user ${ownUid}, .* process ${process.pid}`));
    assert.equal((await ask(socket, 'FetchEverything', x509, {})).status, 12);
  });

  test('who may not ask holds a few connections at most, and so never all of them', async () => {
    const { agent, socket } = await rig.start('strangers', rig.issue(), [ownUid + 1]);
    assert.ok(agent.ok);
    let ended = 0;
    const clients = Array.from({ length: 20 }, () => {
      const client = connectUnix(socket);
      client.on('error', () => {});
      client.on('close', () => ended++);
      return client.resume();
    });
    await waitFor('those beyond the bound', () => (ended === 4 ? true : undefined));
    for (const client of clients) client.destroy();
    await waitFor('their end', () => (ended === 20 ? true : undefined));
    // The other side may still count them.
    await waitFor('room again', async () =>
      (await ask(socket, 'FetchX509SVID', x509, {})).status === 7 ? true : undefined,
    );
  });

  test('trust domains that the mesh is federated with are told, each by its own anchors', async () => {
    const trustDomain = parseTrustDomain('partner.example');
    assert.ok(trustDomain.ok);
    const anchorsPem = rig.harness.authority.trustBundlePem;
    rig.harness.mesh.trust.federate([{ trustDomain: trustDomain.value, anchorsPem, jwks: '{"keys":[]}' }]);
    const { agent, socket } = await rig.start('federated', rig.issue());
    assert.ok(agent.ok);
    const federated = await waitFor('the partner', async () => {
      const { messages } = await ask(socket, 'FetchX509SVID', x509, {});
      return messages[0]?.federatedBundles['spiffe://partner.example'];
    });
    assert.equal(new X509Certificate(federated).fingerprint256, new X509Certificate(anchorsPem).fingerprint256);
    const bundles = await ask(socket, 'FetchX509Bundles', [X509BundlesRequestSchema, X509BundlesResponseSchema], {});
    const domains = Object.keys(bundles.messages[0]?.bundles ?? {}).sort();
    assert.deepEqual(domains, ['spiffe://cluster.local', 'spiffe://partner.example']);
    rig.harness.mesh.trust.federate([]);
  });

  test('bytes of every kind on the socket: an error, and the next caller is served', async () => {
    const { agent, socket } = await rig.start('rough', rig.issue());
    assert.ok(agent.ok);
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.alloc(100_000, 0x41),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      PREFACE,
    ]) {
      const client = connectUnix(socket);
      client.on('error', () => {});
      client.end(bytes);
      client.resume();
      await new Promise((resolve) => client.once('close', resolve));
    }
    const long = await ask(socket, 'ValidateJWTSVID', validation, { audience: 'bank', svid: 'x'.repeat(100_000) });
    assert.equal(long.status, 8, long.message);
    const many = Array.from({ length: 17 }, (_, i) => `audience-${i}`);
    assert.equal((await ask(socket, 'FetchJWTSVID', jwt, { audience: many })).status, 3);
    assert.equal((await ask(socket, 'FetchX509SVID', x509, {})).messages[0]?.svids[0]?.spiffeId, vm);
  });

  test('the kernel says who connected; a process whose number another has by now is not he', async () => {
    const socket = join(rig.folder, 'peer.sock');
    const server = createServer();
    const accepted = new Promise<PeerCredentials | undefined>((resolve) => {
      server.once('connection', (one) => {
        resolve(peerCredentials(one));
        one.destroy();
      });
    });
    await new Promise<void>((resolve) => void server.listen(socket, resolve));
    connectUnix(socket).on('error', () => {});
    const peer = await accepted;
    server.close();
    assert.ok(peer !== undefined);
    assert.deepEqual([peer.pid, peer.uid, peer.gid], [process.pid, ownUid, process.getgid?.()]);
    assert.equal(isSameProcess(peer), true);
    assert.equal(isSameProcess({ ...peer, startTicks: '1' }), false);
    assert.equal(isSameProcess({ ...peer, pid: 4_194_304 }), false);
  });

  test('a socket that another process serves is left to it; a file that is none is not touched', async () => {
    const { agent, socket } = await rig.start('taken', rig.issue());
    assert.ok(agent.ok);
    const { agent: second } = await rig.start('taken', undefined);
    assert.ok(!second.ok && /served by another process/.test(second.error));
    assert.equal((await ask(socket, 'FetchX509SVID', x509, {})).messages.length, 1);
    writeFileSync(join(rig.folder, 'file.sock'), 'kept');
    const { agent: third } = await rig.start('file', rig.issue());
    assert.ok(!third.ok && /no socket/.test(third.error));
    assert.equal(readFileSync(join(rig.folder, 'file.sock'), 'utf8'), 'kept');
  });
});

/** RFC 9113 section 3.4, and then nothing. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
