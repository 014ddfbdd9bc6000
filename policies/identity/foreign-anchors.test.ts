import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { crowdedRoots, pemOf, rootNamed, unreadableRoot } from './foreign-anchors.testing.ts';
import { ANCHOR_NAMES_BYTES_MAX, areRivals, readForeignAnchors, shareName, subjectNames } from './foreign-anchors.ts';
import { formatSpiffeBundle, parseSpiffeBundle } from './spiffe-bundle.ts';
import { buildCertificate, parseCertificate } from './x509/certificate.ts';
import { keySigner } from './x509/signature.ts';

const problem = (pem: string): string => {
  const read = readForeignAnchors(pem, () => undefined);
  return read.ok ? '' : read.error;
};
const read = (...anchors: readonly Uint8Array[]) => {
  const one = readForeignAnchors(pemOf(...anchors), () => undefined);
  assert.ok(one.ok, one.ok ? '' : one.error);
  return one.value;
};

describe('anchors of another trust domain', () => {
  test('are taken as they are, without what stands between them', async () => {
    const [one, two] = [await rootNamed('one'), await rootNamed('two')];
    const text = `one:\n${pemOf(one)}-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n${pemOf(two)}`;
    const anchors = readForeignAnchors(text, () => undefined);
    assert.ok(anchors.ok);
    assert.equal(anchors.value.pem, pemOf(one, two));
  });

  test('one that OpenSSL does not take, although we can read it, is named', async () => {
    const bad = await unreadableRoot('bad');
    assert.ok(parseCertificate(bad).ok, 'our reader alone is not enough');
    assert.match(problem(pemOf(await rootNamed('good'), bad)), /^anchor 2: /);
    const key = Buffer.from(await rootNamed('off the curve'));
    const point = key.indexOf(Buffer.from('03420004', 'hex'));
    key[point + 10] = (key[point + 10] ?? 0) ^ 1;
    assert.match(problem(pemOf(key)), /^anchor 1: /);
    assert.equal(problem('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n').slice(0, 8), 'anchor 1');
    assert.equal(problem(''), 'there is no certificate');
  });

  test('names for which a server would have no room', async () => {
    const roots = await crowdedRoots();
    assert.match(
      problem(pemOf(...roots)),
      new RegExp(`^the names of its anchors .* more than ${ANCHOR_NAMES_BYTES_MAX}$`),
    );
  });

  test('of one name and not the same are rivals; the same ones, or some of them, are not', async () => {
    const [a, b, c] = [await rootNamed('root'), await rootNamed('root'), await rootNamed('other')];
    assert.ok(areRivals(read(a), read(b)));
    assert.ok(areRivals(read(a, c), read(c, b)));
    assert.ok(!areRivals(read(a), read(a)) && !areRivals(read(a), read(a, b)) && !areRivals(read(a, b), read(b)));
    assert.ok(!areRivals(read(a), read(c)));
    assert.ok(shareName(read(a), subjectNames([b])) && !shareName(read(a), subjectNames([c])));
  });
});

describe('a SPIFFE bundle', () => {
  test('tells an anchor whose key JWK has no members for by its certificate', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' });
    assert.throws(() => publicKey.export({ format: 'jwk' }));
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const name = { commonName: 'on another curve' };
    const anchor = await buildCertificate({
      serial: Uint8Array.of(1),
      issuer: name,
      subject: name,
      notBeforeMs: 0,
      notAfterMs: 1_000,
      publicKey,
      sans: [],
      isCa: true,
      pathLength: undefined,
      keyUsage: ['keyCertSign'],
      extKeyUsage: [],
      authorityKeyId: undefined,
      sign: keySigner(privateKey),
    });
    const text = formatSpiffeBundle({ anchors: [anchor], jwtKeys: [], sequence: 1, refreshHintSeconds: 0 });
    const bundle = parseSpiffeBundle(text);
    assert.ok(bundle.ok);
    assert.deepEqual(bundle.value.anchors, [anchor]);
  });

  test('has keys for JWT-SVIDs: such as can be used, by their ID, and nothing secret', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...privateKey.export({ format: 'jwk' }), use: 'jwt-svid' };
    const wrong = [
      { ...jwk },
      { ...jwk, kid: 'x', crv: 'no curve' },
      { kty: 'oct', k: 'AAAA', kid: 'y', use: 'jwt-svid' },
    ];
    const anchors = [await rootNamed('one')];
    const jwtKeys = [...wrong, { ...jwk, kid: 'good' }, { ...jwk, kid: 'z', use: 'sig' }];
    const bundle = parseSpiffeBundle(formatSpiffeBundle({ anchors, jwtKeys, sequence: 1, refreshHintSeconds: 0 }));
    assert.ok(bundle.ok);
    const { d: _, ...publicPart } = { ...jwk, kid: 'good' };
    assert.deepEqual(bundle.value.jwtKeys, [publicPart]);
  });
});
