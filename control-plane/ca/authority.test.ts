import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { parseCertificate } from '@weft/policies/identity/x509/certificate';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import type { SubjectAltName } from '@weft/policies/identity/x509/names';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { ManualClock } from '@weft/policies/kit/clock';
import { trustDomain } from '../testing/harness.ts';
import type { Authority } from './authority.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { loadAuthority } from './material.ts';
import { createRoot } from './root.ts';
import { ServingCertificate } from './serving.ts';

const hourMs = 3_600_000;
const web = formatSpiffeId({ trustDomain: trustDomain(), namespace: 'shop', serviceAccount: 'web' });
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const csrFor = (sans: readonly SubjectAltName[]): Promise<Uint8Array> =>
  buildCsr({ sans, publicKey: key.publicKey, sign: keySigner(key.privateKey) });

const optionsOf = (clock: ManualClock) => ({ clock, issued: { trustDomain: trustDomain(), dnsName: undefined } });
const rootPem = (authority: Authority): string => encodePem('CERTIFICATE', authority.der);

async function newAuthority(clock: ManualClock): Promise<Authority> {
  const loaded = loadAuthority(await createRoot(trustDomain(), clock.unixMs()), optionsOf(clock));
  if (!loaded.ok) throw new Error(loaded.error);
  return loaded.value;
}

describe('certificate authority', () => {
  test('signs a leaf that openssl takes: one URI, digital signature, backdated, no longer than asked for', async () => {
    const clock = new ManualClock();
    const authority = await newAuthority(clock);
    const signed = await authority.signWorkload(await csrFor([{ type: 'uri', value: web }]), web, hourMs);
    assert.ok(signed.ok);
    const [der] = signed.value.chain;
    assert.ok(der !== undefined);
    const openssl = new X509Certificate(der);
    assert.equal(openssl.subjectAltName, `URI:${web}`);
    assert.ok(openssl.verify(createPublicKey(rootPem(authority))));
    assert.ok(openssl.checkIssued(new X509Certificate(rootPem(authority))));
    assert.equal(openssl.ca, false);
    const leaf = parseCertificate(der);
    assert.ok(leaf.ok);
    assert.deepEqual(leaf.value.keyUsage, ['digitalSignature']);
    assert.deepEqual([...leaf.value.extKeyUsage].sort(), ['clientAuth', 'serverAuth']);
    assert.equal(leaf.value.notAfterMs, clock.unixMs() + hourMs);
    assert.equal(leaf.value.notBeforeMs, clock.unixMs() - 300_000);
  });

  test('refuses an identity that the credential does not prove', async () => {
    const authority = await newAuthority(new ManualClock());
    const foreign = formatSpiffeId({ trustDomain: trustDomain(), namespace: 'shop', serviceAccount: 'admin' });
    const signed = await authority.signWorkload(await csrFor([{ type: 'uri', value: foreign }]), web, hourMs);
    assert.ok(!signed.ok);
    assert.equal(signed.error.code, 'permission-denied');
    assert.equal(signed.error.message, `the certificate request is for ${foreign}, the credential proves ${web}`);
  });

  test('refuses any further name beside the right one', async () => {
    const authority = await newAuthority(new ManualClock());
    const right: SubjectAltName = { type: 'uri', value: web };
    for (const more of [{ type: 'dns', value: 'shop.example' }, right, { type: 'ip', value: '10.0.0.1' }] as const) {
      const signed = await authority.signWorkload(await csrFor([right, more]), web, hourMs);
      assert.ok(!signed.ok);
      assert.equal(signed.error.code, 'invalid-argument');
      assert.match(signed.error.message, /exactly one subject alternative name/);
    }
  });

  test('refuses bytes that are no request, and a request of somebody who does not hold the key', async () => {
    const authority = await newAuthority(new ManualClock());
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const stolen = await buildCsr({ spiffeId: web, publicKey: key.publicKey, sign: keySigner(other.privateKey) });
    for (const bytes of [new Uint8Array(0), Buffer.from('not a request'), stolen, new Uint8Array(5_000)]) {
      const signed = await authority.signWorkload(bytes, web, hourMs);
      assert.ok(!signed.ok);
      assert.equal(signed.error.code, 'invalid-argument');
      assert.match(signed.error.message, /^certificate request/);
    }
  });

  test('no leaf outlives the root, and none is shorter than a minute', async () => {
    const clock = new ManualClock();
    const authority = await newAuthority(clock);
    const csr = await csrFor([{ type: 'uri', value: web }]);
    const long = await authority.signWorkload(csr, web, 100 * 365 * 24 * hourMs);
    assert.ok(long.ok);
    assert.equal(long.value.notAfterMs, authority.certificate.notAfterMs);
    const short = await authority.signWorkload(csr, web, 1);
    assert.ok(short.ok);
    assert.equal(short.value.notAfterMs, clock.unixMs() + 60_000);
  });

  test('a root whose key is not its own is refused with a reason', async () => {
    const clock = new ManualClock();
    const [one, two] = [
      await createRoot(trustDomain(), clock.unixMs()),
      await createRoot(trustDomain(), clock.unixMs()),
    ];
    const mixed = loadAuthority({ ...one, privateKeyPem: two.privateKeyPem }, optionsOf(clock));
    assert.deepEqual(mixed, { ok: false, error: 'ca.key is not the key of the first certificate in ca.crt' });
    const broken = loadAuthority({ ...one, chainPem: 'x' }, optionsOf(clock));
    assert.ok(!broken.ok && broken.error.startsWith('ca.crt: '));
    assert.equal(JSON.stringify(one).includes('PRIVATE KEY'), false);
  });

  test('the serving certificate is renewed at half its life', async () => {
    const clock = new ManualClock();
    const authority = await newAuthority(clock);
    const serving = await ServingCertificate.create(
      new CertificateAuthority(authority),
      ['weft-control-plane.weft-system.svc'],
      clock,
    );
    const first = serving.current;
    assert.equal(new X509Certificate(first.certificatePem).subjectAltName, 'DNS:weft-control-plane.weft-system.svc');
    const renewed = new Promise<void>((resolve) => serving.onChange(() => resolve()));
    clock.advance((first.notAfterMs - clock.unixMs()) / 2 + 1);
    await renewed;
    assert.ok(serving.current.notAfterMs > first.notAfterMs);
    assert.equal(createPrivateKey(serving.current.privateKeyPem.reveal()).asymmetricKeyType, 'ec');
    serving.stop();
  });

  test('another issuer: the anchors are told first, and the serving certificate follows', async () => {
    const clock = new ManualClock();
    const [old, next] = [await newAuthority(clock), await newAuthority(clock)];
    const ca = new CertificateAuthority(old);
    const serving = await ServingCertificate.create(ca, ['weft-control-plane.weft-system.svc'], clock);
    let told = 0;
    const end = ca.onChange(() => {
      told += 1;
    });
    ca.use(old, [...old.trustAnchors, ...next.trustAnchors]);
    assert.equal(told, 1);
    assert.equal(ca.pem(), rootPem(old) + rootPem(next));
    assert.ok(new X509Certificate(serving.current.certificatePem).verify(old.certificate.publicKey));
    const renewed = new Promise<void>((resolve) => serving.onChange(() => resolve()));
    ca.use(next, ca.anchors());
    await renewed;
    assert.equal(told, 1, 'the anchors are the same');
    assert.ok(new X509Certificate(serving.current.certificatePem).verify(next.certificate.publicKey));
    end();
    ca.use(next);
    assert.equal(told, 1);
    assert.deepEqual(ca.anchors(), next.trustAnchors);
    serving.stop();
  });
});
