/** An anchor that is no root: what the mesh trusts is an authority which another one, that nobody here knows, has signed. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, createServer, type TlsOptions } from 'node:tls';
import { loadAuthority } from '@weft/control-plane/ca/material';
import { type Harness, startHarness, trustDomain } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCertificate, serialNumber } from '@weft/policies/identity/x509/certificate';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';
import { Secret } from '@weft/policies/kit/secret';
import { type ChannelCredential, ControlChannel } from '@weft/sidecar/control-channel';
import { certificateOf } from '@weft/sidecar/identity/material';
import { controlWire } from '@weft/sidecar/wire/codec';
import { identify } from '@weft/sidecar/workload-api/authority';

const HOUR_MS = 3_600_000;
const WEB = { namespace: 'shop', serviceAccount: 'web' };
const CART = { namespace: 'shop', serviceAccount: 'cart' };
const folder = mkdtempSync(join(tmpdir(), 'weft-trust-anchor-'));
const trustFile = join(folder, 'root-cert.pem');
let harness: Harness;
let anchorPem = '';

type Keys = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
const newKeys = (): Keys => generateKeyPairSync('ec', { namedCurve: 'P-256' });

async function authority(name: string, of: Keys, issuer: string, by: Keys): Promise<string> {
  const der = await buildCertificate({
    serial: serialNumber(randomBytes(16)),
    issuer: { commonName: issuer },
    subject: { commonName: name },
    notBeforeMs: Date.now() - HOUR_MS,
    notAfterMs: Date.now() + 24 * HOUR_MS,
    publicKey: of.publicKey,
    sans: [],
    isCa: true,
    pathLength: undefined,
    keyUsage: ['keyCertSign', 'cRLSign'],
    extKeyUsage: [],
    authorityKeyId: undefined,
    sign: keySigner(by.privateKey),
  });
  return encodePem('CERTIFICATE', der);
}

before(async () => {
  harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  const [root, middle, issuing] = [newKeys(), newKeys(), newKeys()];
  anchorPem = await authority('middle', middle, 'root', root);
  const loaded = loadAuthority(
    {
      chainPem: await authority('issuing', issuing, 'middle', middle),
      anchorsPem: anchorPem,
      privateKeyPem: new Secret(issuing.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    },
    { clock: systemClock, issued: { trustDomain: trustDomain(), dnsName: undefined } },
  );
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.error);
  harness.ca.use(loaded.value, loaded.value.trustAnchors);
  writeFileSync(trustFile, harness.authority.trustBundlePem);
});
after(async () => {
  await harness.stop();
  rmSync(folder, { recursive: true, force: true });
});

function channelOf(credential: () => ChannelCredential): ControlChannel {
  const target = { target: harness.address, serverName: 'weft-control-plane.weft-system.svc', trustFile };
  return new ControlChannel({ ...target, tokenFile: '', credential, clock: systemClock, wire: () => controlWire });
}

/** Joins as a sidecar does, with the anchor alone. */
async function joined(account: typeof WEB, token: string) {
  const channel = channelOf(() => ({ authorization: `Bearer ${token}` }));
  const keys = newKeys();
  const spiffeId = formatSpiffeId({ trustDomain: trustDomain(), ...account });
  try {
    const csr = await buildCsr({ spiffeId, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });
    const { chain, trustAnchors } = await channel.sign(csr);
    const pem = (ders: readonly Uint8Array[]): string => ders.map((der) => encodePem('CERTIFICATE', der)).join('');
    const certificate = certificateOf({
      spiffeId,
      notBeforeUnixMs: 0,
      notAfterUnixMs: 0,
      serialHex: '',
      chainPem: pem(chain),
      key: keys.privateKey,
      trustPem: pem(trustAnchors),
      generation: 1,
      ticketKeys: randomBytes(48),
    });
    const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { certificate, certPem: pem(chain), keyPem };
  } finally {
    channel.close();
  }
}

test('sidecars join by it, and take each other by it', async () => {
  assert.equal(harness.authority.trustBundlePem.trim(), anchorPem.trim());
  const [web, cart] = [await joined(WEB, 'web-token'), await joined(CART, 'cart-token')];
  const SNICallback: TlsOptions['SNICallback'] = (_, done) => done(null, cart.certificate.context);
  const server = createServer({ SNICallback, requestCert: true, rejectUnauthorized: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'secureConnection');
  const client = connect({
    host: '127.0.0.1',
    port,
    servername: 'cart',
    secureContext: web.certificate.context,
    checkServerIdentity: () => undefined,
  });
  try {
    await once(client, 'secureConnect');
    const [served] = await accepted;
    assert.deepEqual([client.authorized, served.authorized], [true, true]);
    assert.equal(served.getPeerCertificate().subjectaltname, `URI:${web.certificate.spiffeId}`);
    served.destroy();
  } finally {
    client.destroy();
    server.close();
  }
});

test('the control plane takes certificates under it', async () => {
  const { certPem, keyPem } = await joined(WEB, 'web-token');
  const channel = channelOf(() => ({ client: { certPem, keyPem } }));
  try {
    // Of one that does not verify it would say that there is no credential; this one is no process's that joined.
    await assert.rejects(identify(channel), /a certificate is renewed for the key of a process that joined/);
  } finally {
    channel.close();
  }
});
