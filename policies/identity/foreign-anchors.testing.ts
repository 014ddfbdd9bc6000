/** Roots of other trust domains, good ones and such as do harm. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { buildCertificate, serialNumber } from './x509/certificate.ts';
import { encodePem } from './x509/pem.ts';
import { keySigner } from './x509/signature.ts';

export async function rootNamed(commonName: string, lifeMs = 3_600_000): Promise<Uint8Array> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = { commonName, organization: 'Weft' };
  return buildCertificate({
    serial: serialNumber(randomBytes(16)),
    issuer: name,
    subject: name,
    notBeforeMs: Date.now(),
    notAfterMs: Date.now() + lifeMs,
    publicKey,
    sans: [],
    isCa: true,
    pathLength: undefined,
    keyUsage: ['keyCertSign'],
    extKeyUsage: [],
    authorityKeyId: undefined,
    sign: keySigner(privateKey),
  });
}

/** ecdsa-with-SHA256 as an AlgorithmIdentifier. */
const algorithm = Buffer.from('300a06082a8648ce3d040302', 'hex');

/** One that our reader takes and OpenSSL does not: where the algorithm of the signature is named, there is no name. */
export async function unreadableRoot(commonName: string): Promise<Uint8Array> {
  const der = Buffer.from(await rootNamed(commonName));
  der[der.indexOf(algorithm) + 2] = 0x04;
  return Uint8Array.from(der);
}

/** Each is good; their names together are more than a CertificateRequest has room for (RFC 8446 section 4.2.4). */
export const crowdedRoots = (): Promise<readonly Uint8Array[]> =>
  Promise.all(Array.from({ length: 33 }, (_, i) => rootNamed(`${i} ${'x'.repeat(2_000)}`)));

export const pemOf = (...anchors: readonly Uint8Array[]): string =>
  anchors.map((der) => encodePem('CERTIFICATE', der)).join('');
