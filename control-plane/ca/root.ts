/** A root of our own making. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { TrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCertificate, serialNumber } from '@weft/policies/identity/x509/certificate';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { Secret } from '@weft/policies/kit/secret';
import { backdateMs } from './authority.ts';
import type { KeyMaterial } from './material.ts';

const rootLifetimeMs = 10 * 365 * 86_400_000;

/** RFC 5280 appendix A.1, ub-common-name. */
const commonNameCharsMax = 64;

export async function createRoot(
  trustDomain: TrustDomain,
  nowUnixMs: number,
  lifetimeMs = rootLifetimeMs,
): Promise<KeyMaterial> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // During a rotation there are two roots: their names tell verifiers and people which is which.
  const serial = serialNumber(randomBytes(16));
  const commonName = `${`Weft root of ${trustDomain}`.slice(0, commonNameCharsMax - 9)} ${Buffer.from(serial).toString('hex', 12)}`;
  const name = { commonName, organization: 'Weft' };
  const der = await buildCertificate({
    serial,
    issuer: name,
    subject: name,
    notBeforeMs: nowUnixMs - backdateMs,
    notAfterMs: nowUnixMs + lifetimeMs,
    publicKey,
    // X509-SVID section 3.2: a signing certificate may carry the trust domain as its SPIFFE ID.
    sans: [{ type: 'uri', value: `spiffe://${trustDomain}` }],
    isCa: true,
    pathLength: undefined,
    keyUsage: ['keyCertSign', 'cRLSign'],
    extKeyUsage: [],
    authorityKeyId: undefined,
    sign: keySigner(privateKey),
  });
  const certificatePem = encodePem('CERTIFICATE', der);
  return {
    chainPem: certificatePem,
    anchorsPem: undefined,
    privateKeyPem: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
  };
}
