/** Every kind of certificate that the authority makes, judged by an X.509 linter. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { loadAuthority } from '@weft/control-plane/ca/material';
import { createRoot } from '@weft/control-plane/ca/root';
import { formatSpiffeId, parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCertificate, keyId, serialNumber } from '@weft/policies/identity/x509/certificate';
import { testCertificate } from '@weft/policies/identity/x509/certificate.testing';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { decodePem, encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';
import { Secret } from '@weft/policies/kit/secret';
import { lint } from '../support/zlint.ts';

const hourMs = 3_600_000;
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

async function certificates(domain: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const trustDomain = parseTrustDomain(domain);
  assert.ok(trustDomain.ok);
  const options = { clock: systemClock, issued: { trustDomain: trustDomain.value, dnsName: undefined } };
  const made = await createRoot(trustDomain.value, Date.now());
  const root = loadAuthority(made, options);
  assert.ok(root.ok);
  const rootKey = pair();
  const middleKey = pair();
  const outside = { commonName: 'Outside root', organization: 'Example' };
  const ca = { isCa: true, keyUsage: ['keyCertSign', 'cRLSign'], extKeyUsage: [], sans: [] } as const;
  const times = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 24 * hourMs };
  const intermediate = await buildCertificate({
    ...ca,
    ...times,
    serial: serialNumber(randomBytes(16)),
    issuer: outside,
    subject: { commonName: 'Weft intermediate', organization: 'Example' },
    publicKey: middleKey.publicKey,
    pathLength: 0,
    authorityKeyId: keyId(rootKey.publicKey),
    sign: keySigner(rootKey.privateKey),
  });
  const outsideRoot = await buildCertificate({
    ...ca,
    ...times,
    serial: serialNumber(randomBytes(16)),
    issuer: outside,
    subject: outside,
    publicKey: rootKey.publicKey,
    pathLength: undefined,
    authorityKeyId: undefined,
    sign: keySigner(rootKey.privateKey),
  });
  const middle = loadAuthority(
    {
      chainPem: encodePem('CERTIFICATE', intermediate),
      anchorsPem: encodePem('CERTIFICATE', outsideRoot),
      privateKeyPem: new Secret(middleKey.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    },
    options,
  );
  assert.ok(middle.ok, middle.ok ? '' : middle.error);
  const keys = pair();
  const spiffeId = formatSpiffeId({ trustDomain: trustDomain.value, namespace: 'shop', serviceAccount: 'web' });
  const csr = await buildCsr({ spiffeId, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });
  const found = new Map<string, Uint8Array>([['intermediate', intermediate]]);
  const rootDers = decodePem('CERTIFICATE', made.chainPem);
  if (rootDers.ok && rootDers.value[0] !== undefined) found.set('root', rootDers.value[0]);
  for (const [by, authority] of [
    ['the root', root.value],
    ['the intermediate', middle.value],
  ] as const) {
    const leaf = await authority.signWorkload(csr, spiffeId, hourMs);
    assert.ok(leaf.ok && leaf.value.chain[0] !== undefined);
    found.set(`workload by ${by}`, leaf.value.chain[0]);
    const server = await authority.signServer(
      keys.publicKey,
      ['weft-control-plane.weft-system.svc', 'localhost'],
      hourMs,
    );
    if (server.chain[0] !== undefined) found.set(`server by ${by}`, server.chain[0]);
  }
  return found;
}

describe('an X.509 linter, by RFC 5280', () => {
  const all = new Map<string, Uint8Array>();
  before(async () => {
    for (const domain of ['cluster.local', `${'long-label.'.repeat(16)}example`])
      for (const [what, der] of await certificates(domain)) all.set(`${what} of ${domain.slice(0, 20)}`, der);
  });

  test('no error in root, intermediate and leaves', async () => {
    const verdicts = await lint([...all.values()]);
    assert.equal(verdicts.length, all.size);
    const names = [...all.keys()];
    const errors = verdicts.flatMap((one, index) => one.errors.map((error) => `${names[index]}: ${error}`));
    assert.deepEqual(errors, []);
    assert.ok(
      verdicts.every((one) => one.passed > 20),
      'rules were looked at',
    );
  });

  test('it is alive: a certificate without a key usage that it needs is found', async () => {
    const { publicKey, privateKey } = pair();
    const bad = await testCertificate({
      issuer: 'x'.repeat(70),
      issuerKey: privateKey,
      publicKey,
      id: undefined,
      notBeforeMs: Date.now(),
      notAfterMs: Date.now() + hourMs,
    });
    const [verdict] = await lint([bad]);
    assert.match(verdict?.errors.join() ?? '', /common_name_max_length/);
  });
});
