import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import type { SpiffeId } from '../spiffe-id.ts';
import { buildCertificate, type CertificateTemplate, keyId, parseCertificate, serialNumber } from './certificate.ts';
import { buildCsr, CSR_BYTES_MAX, parseCsr } from './csr.ts';
import * as der from './der.ts';
import type { SubjectAltName } from './names.ts';
import { decodePem, encodePem } from './pem.ts';
import { keySigner } from './signature.ts';
import { decodeTime, encodeTime } from './time.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-x509-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const openssl = (...args: string[]): string =>
  execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const spiffeId = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const dayMs = 86_400_000;
const nowMs = Math.floor(Date.now() / 1000) * 1000;
const rootKeys = p256();
const leafKeys = p256();

const root = (change: Partial<CertificateTemplate> = {}): CertificateTemplate => ({
  serial: serialNumber(randomBytes(16)),
  issuer: { organization: 'Weft', commonName: 'Weft root' },
  subject: { organization: 'Weft', commonName: 'Weft root' },
  notBeforeMs: nowMs - dayMs,
  notAfterMs: nowMs + 3650 * dayMs,
  publicKey: rootKeys.publicKey,
  sans: [],
  isCa: true,
  pathLength: 0,
  keyUsage: ['keyCertSign', 'cRLSign'],
  extKeyUsage: [],
  authorityKeyId: undefined,
  sign: keySigner(rootKeys.privateKey),
  ...change,
});

const leaf = (change: Partial<CertificateTemplate> = {}): CertificateTemplate => ({
  ...root(),
  subject: {},
  notAfterMs: nowMs + dayMs,
  publicKey: leafKeys.publicKey,
  sans: [
    { type: 'uri', value: spiffeId },
    { type: 'dns', value: 'cart.shop.svc' },
    { type: 'ip', value: '10.1.2.3' },
    { type: 'ip', value: 'fd00::17' },
  ],
  isCa: false,
  pathLength: undefined,
  keyUsage: ['digitalSignature'],
  extKeyUsage: ['serverAuth', 'clientAuth'],
  authorityKeyId: keyId(rootKeys.publicKey),
  ...change,
});

describe('certificate', () => {
  test('openssl prints and verifies root and leaf', async () => {
    const rootFile = file('root.pem', encodePem('CERTIFICATE', await buildCertificate(root())));
    const leafFile = file('leaf.pem', encodePem('CERTIFICATE', await buildCertificate(leaf())));
    assert.match(openssl('verify', '-x509_strict', '-CAfile', rootFile, '-purpose', 'sslserver', leafFile), /: OK/);
    const text = openssl('x509', '-in', leafFile, '-noout', '-text');
    assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
    assert.match(text, /Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart/);
    assert.match(text, /DNS:cart\.shop\.svc, IP Address:10\.1\.2\.3, IP Address:FD00:0:0:0:0:0:0:17/);
    assert.match(text, /Key Usage: critical\s+Digital Signature\n/);
    assert.match(text, /Basic Constraints: critical\s+CA:FALSE/);
    const rootText = openssl('x509', '-in', rootFile, '-noout', '-text');
    assert.match(rootText, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    assert.match(rootText, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
  });

  test('node reads what was built, and the parser gives the template back', async () => {
    const template = leaf();
    const bytes = await buildCertificate(template);
    const node = new X509Certificate(bytes);
    assert.equal(node.verify(rootKeys.publicKey), true);
    assert.equal(node.validToDate.getTime(), template.notAfterMs);
    const parsed = parseCertificate(bytes);
    assert.ok(parsed.ok);
    assert.equal(Buffer.from(parsed.value.serial).toString('hex').toUpperCase(), node.serialNumber);
    assert.deepEqual(parsed.value.sans, template.sans);
    assert.deepEqual(parsed.value.spiffeIds, [spiffeId]);
    assert.deepEqual(parsed.value.issuer, template.issuer);
    assert.deepEqual(parsed.value.subject, {});
    assert.equal(parsed.value.notBeforeMs, template.notBeforeMs);
    assert.deepEqual(parsed.value.keyUsage, ['digitalSignature']);
    assert.deepEqual(parsed.value.extKeyUsage, ['serverAuth', 'clientAuth']);
    assert.deepEqual(parsed.value.authorityKeyId, keyId(rootKeys.publicKey));
    assert.deepEqual(parsed.value.subjectKeyId, keyId(leafKeys.publicKey));
    assert.equal(parsed.value.isCa, false);
    assert.ok(parsed.value.publicKey.equals(leafKeys.publicKey));
  });

  test('a certificate under a root that openssl made chains by its encoded name', async () => {
    const key = join(dir, 'o.key');
    const cert = join(dir, 'o.pem');
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key);
    openssl(
      'req',
      '-x509',
      '-key',
      key,
      '-subj',
      '/C=CH/O=Example/OU=PKI/CN=Example root',
      '-days',
      '30',
      '-out',
      cert,
    );
    const decoded = decodePem('CERTIFICATE', openssl('x509', '-in', cert));
    assert.ok(decoded.ok && decoded.value[0] !== undefined);
    const issuer = parseCertificate(decoded.value[0]);
    assert.ok(issuer.ok);
    assert.deepEqual(issuer.value.subject, { commonName: 'Example root', organization: 'Example' });
    assert.equal(issuer.value.isCa, true);
    const privateKey = createPrivateKey(openssl('pkey', '-in', key));
    const bytes = await buildCertificate(
      leaf({
        issuer: { der: issuer.value.subjectDer },
        authorityKeyId: issuer.value.subjectKeyId,
        sign: async (toBeSigned) => new Uint8Array(sign('sha256', toBeSigned, privateKey)),
      }),
    );
    assert.match(openssl('verify', '-CAfile', cert, file('o-leaf.pem', encodePem('CERTIFICATE', bytes))), /: OK/);
  });

  test('wrong templates throw', async () => {
    const wrong: [Partial<CertificateTemplate>, RegExp][] = [
      [{ serial: new Uint8Array(3) }, /serial/],
      [{ serial: new Uint8Array(21).fill(1) }, /serial/],
      [{ serial: new Uint8Array(20).fill(0xff) }, /serial/],
      [{ notAfterMs: nowMs - 2 * dayMs }, /ends before/],
      [{ isCa: true }, /keyCertSign/],
      [{ pathLength: 1 }, /pathLength/],
      [{ sans: [] }, /names nobody/],
    ];
    for (const [change, message] of wrong) await assert.rejects(buildCertificate(leaf(change)), message);
  });

  test('any template comes back', async () => {
    const san: fc.Arbitrary<SubjectAltName> = fc.oneof(
      fc.domain().map((value) => ({ type: 'dns' as const, value })),
      fc.ipV4().map((value) => ({ type: 'ip' as const, value })),
      fc.ipV6().map((value) => ({ type: 'ip' as const, value: new URL(`http://[${value}]/`).hostname.slice(1, -1) })),
      fc.constant({ type: 'uri' as const, value: spiffeId }),
    );
    const ms = fc.integer({ min: Date.UTC(1990, 0), max: Date.UTC(2200, 0) }).map((n) => Math.floor(n / 1000) * 1000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(san, { minLength: 1, maxLength: 5 }),
        fc.uint8Array({ minLength: 1, maxLength: 19 }).filter((bytes) => bytes[0] !== 0),
        ms,
        fc.option(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), { nil: undefined }),
        async (sans, serial, notBeforeMs, commonName) => {
          const subject = commonName === undefined ? {} : { commonName };
          const notAfterMs = notBeforeMs + 3_600_000;
          const bytes = await buildCertificate(leaf({ sans, serial, notBeforeMs, notAfterMs, subject }));
          const parsed = parseCertificate(bytes);
          assert.ok(parsed.ok);
          const { sans: gotSans, serial: gotSerial, subject: gotSubject } = parsed.value;
          assert.deepEqual(
            { sans: gotSans, serial: gotSerial, subject: gotSubject, from: parsed.value.notBeforeMs },
            { sans, serial, subject, from: notBeforeMs },
          );
          assert.equal(parsed.value.notAfterMs, notAfterMs);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('certificate request', () => {
  test('openssl verifies it, the parser gives names and key back', async () => {
    const csr = await buildCsr({ publicKey: leafKeys.publicKey, sign: keySigner(leafKeys.privateKey), spiffeId });
    const path = file('csr.pem', encodePem('CERTIFICATE REQUEST', csr));
    assert.match(openssl('req', '-in', path, '-verify', '-noout', '-text'), /URI:spiffe:\/\/cluster\.local/);
    const parsed = parseCsr(csr);
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value.sans, [{ type: 'uri', value: spiffeId }]);
    assert.ok(parsed.value.publicKey.equals(leafKeys.publicKey));
  });

  test('a request that openssl made is read', () => {
    const pem = openssl(
      ...[
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        join(dir, 'r.key'),
      ],
      ...['-subj', '/CN=x', '-addext', `subjectAltName=URI:${spiffeId},DNS:a.b`],
    );
    const decoded = decodePem('CERTIFICATE REQUEST', pem);
    assert.ok(decoded.ok && decoded.value[0] !== undefined);
    const parsed = parseCsr(decoded.value[0]);
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value.subject, { commonName: 'x' });
    assert.equal(parsed.value.sans.length, 2);
  });

  test('what is not a P-256 request with a valid signature is refused', async () => {
    const sans: SubjectAltName[] = [{ type: 'uri', value: spiffeId }];
    const good = await buildCsr({ publicKey: leafKeys.publicKey, sign: keySigner(leafKeys.privateKey), sans });
    const otherKey = await buildCsr({ publicKey: leafKeys.publicKey, sign: keySigner(rootKeys.privateKey), sans });
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const wrongCurve = await buildCsr({
      publicKey: p384.publicKey,
      sign: (bytes) => new Uint8Array(sign('sha256', bytes, p384.privateKey)),
      sans,
    });
    const rsa = decodePem(
      'CERTIFICATE REQUEST',
      openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', join(dir, 'rsa.key'), '-subj', '/CN=x'),
    );
    assert.ok(rsa.ok && rsa.value[0] !== undefined);
    const indefinite = Uint8Array.of(0x30, 0x80, ...good.subarray(4), 0, 0);
    const cases: [string, Uint8Array, RegExp][] = [
      ['signed by another key', otherKey, /does not verify/],
      ['P-384', wrongCurve, /public key is ECDSA P-384, and only ECDSA P-256 is signed/],
      ['RSA', rsa.value[0], /public key is RSA, and only ECDSA P-256 is signed/],
      ['too long', new Uint8Array(CSR_BYTES_MAX + 1), /longer than/],
      ['trailing bytes', Uint8Array.of(...good, 0), /not ASN\.1/],
      ['BER', indefinite, /not distinguished/],
      ['truncated', good.subarray(0, -3), /not ASN\.1/],
      ['empty', new Uint8Array(0), /not ASN\.1/],
    ];
    for (const [what, bytes, message] of cases) {
      const parsed = parseCsr(bytes);
      assert.ok(!parsed.ok, what);
      assert.match(parsed.error, message, what);
    }
  });

  test('hidden octets in a name are refused', async () => {
    const sans: SubjectAltName[] = [{ type: 'uri', value: `${spiffeId}\0.example` }];
    const csr = await buildCsr({ publicKey: leafKeys.publicKey, sign: keySigner(leafKeys.privateKey), sans });
    const parsed = parseCsr(csr);
    assert.ok(!parsed.ok && /not visible ASCII/.test(parsed.error));
  });

  test('any change of a byte is an error, never a throw', async () => {
    const good = await buildCsr({ publicKey: leafKeys.publicKey, sign: keySigner(leafKeys.privateKey), spiffeId });
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Uint8Array.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        assert.equal(parseCsr(bytes).ok, false);
      }),
      { numRuns: 500 },
    );
  });

  test('any bytes are an error, never a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.equal(parseCsr(bytes).ok, false);
        assert.equal(parseCertificate(bytes).ok, false);
      }),
    );
  });
});

describe('encodings', () => {
  test('DER comes back', () => {
    const { node } = fc.letrec<{ node: der.DerNode }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.uint8Array({ maxLength: 20 }).map(der.octetString),
        fc.uint8Array({ maxLength: 20 }).map(der.unsignedInteger),
        fc.constant(der.objectIdentifier('1.2.840.10045.4.3.2')),
        fc.array(tie('node'), { maxLength: 4 }).map((nodes) => der.sequence(...nodes)),
        fc.array(tie('node'), { maxLength: 4 }).map((nodes) => der.context(3, nodes)),
      ),
    }));
    fc.assert(
      fc.property(node, (tree) => {
        const bytes = der.encode(tree);
        const back = der.decode(bytes);
        assert.ok(back.ok);
        assert.deepEqual(der.encode(back.value), bytes);
      }),
    );
  });

  test('UTCTime through 2049, GeneralizedTime from 2050', () => {
    const last = encodeTime(Date.UTC(2049, 11, 31, 23, 59, 59));
    const next = encodeTime(Date.UTC(2050, 0, 1));
    assert.equal(der.contentText(last), '491231235959Z');
    assert.equal(der.contentText(next), '20500101000000Z');
    for (const bad of ['491331235959Z', '4912312359Z', '491231235959+0100', '491231245959Z']) {
      assert.equal(decodeTime(der.text(der.tag.utcTime, bad)).ok, false, bad);
    }
  });

  test('PEM comes back, with text around it and several blocks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 4 }),
        (blocks) => {
          const pem = blocks.map((bytes) => `# note\n${encodePem('CERTIFICATE', bytes)}`).join('\r\n');
          assert.deepEqual(decodePem('CERTIFICATE', pem), { ok: true, value: blocks });
        },
      ),
    );
    assert.equal(decodePem('CERTIFICATE', 'nothing').ok, false);
    assert.equal(decodePem('CERTIFICATE', encodePem('PRIVATE KEY', Uint8Array.of(1))).ok, false);
  });
});
