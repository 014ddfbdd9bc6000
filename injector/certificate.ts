import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { buildCertificate, keyId, parseCertificate, serialNumber } from '@weft/policies/identity/x509/certificate';
import { decodePem, encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';

/** The webhook's certificate: a small authority of its own, known to the API server alone by `caBundle`, and a leaf. Pure but for keys. */

const DAY_MS = 24 * 3600 * 1000;
const CA_LIFETIME_MS = 3650 * DAY_MS;
const LEAF_LIFETIME_MS = 90 * DAY_MS;
/** Clocks of nodes differ. */
const BACKDATE_MS = 3600 * 1000;
/** The old authority stays in the bundle while replicas with leaves of it still serve. */
const BUNDLE_CERTIFICATES_MAX = 2;

/** As stored in the Secret. */
export interface CertificateMaterial {
  /** PEM bundle, the authority in use first. */
  readonly caBundle: string;
  readonly caKey: string;
  readonly cert: string;
  readonly key: string;
}

export interface Lifetimes {
  readonly caMs: number;
  readonly leafMs: number;
}

export const LIFETIMES: Lifetimes = { caMs: CA_LIFETIME_MS, leafMs: LEAF_LIFETIME_MS };

type CertificateState =
  | { readonly kind: 'good'; readonly renewAtMs: number; readonly expiresAtMs: number }
  | { readonly kind: 'renew'; readonly what: 'leaf' | 'authority'; readonly why: string };

interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const halfLife = ({ notBeforeMs, notAfterMs }: Validity): number => notBeforeMs + (notAfterMs - notBeforeMs) / 2;
const pemKey = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const pair = (): { publicKey: KeyObject; privateKey: KeyObject } => generateKeyPairSync('ec', { namedCurve: 'P-256' });

function readCertificate(pem: string): { x509: X509Certificate; validity: Validity } | undefined {
  const [der] = pemBlocks(pem);
  const parsed = der === undefined ? undefined : parseCertificate(der);
  if (der === undefined || parsed?.ok !== true) return undefined;
  return { x509: new X509Certificate(der), validity: parsed.value };
}

function pemBlocks(pem: string): readonly Uint8Array[] {
  const decoded = decodePem('CERTIFICATE', pem);
  return decoded.ok ? decoded.value : [];
}

/** A key that belongs to the certificate; a Secret is something people edit. */
function keyMatches(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

export function judge(
  material: CertificateMaterial | undefined,
  names: readonly string[],
  nowMs: number,
): CertificateState {
  if (material === undefined) return { kind: 'renew', what: 'authority', why: 'there is none' };
  const ca = readCertificate(material.caBundle);
  if (ca === undefined || !keyMatches(ca.x509, material.caKey))
    return { kind: 'renew', what: 'authority', why: 'the stored authority is damaged' };
  if (nowMs >= halfLife(ca.validity)) return { kind: 'renew', what: 'authority', why: 'half of its life is over' };
  const leaf = readCertificate(material.cert);
  if (leaf === undefined || !keyMatches(leaf.x509, material.key) || !leaf.x509.verify(ca.x509.publicKey))
    return { kind: 'renew', what: 'leaf', why: 'the stored certificate is damaged' };
  const missing = names.find((name) => leaf.x509.checkHost(name) === undefined);
  if (missing !== undefined) return { kind: 'renew', what: 'leaf', why: `it is not for ${missing}` };
  if (nowMs >= halfLife(leaf.validity)) return { kind: 'renew', what: 'leaf', why: 'half of its life is over' };
  return {
    kind: 'good',
    renewAtMs: Math.min(halfLife(leaf.validity), halfLife(ca.validity)),
    expiresAtMs: leaf.validity.notAfterMs,
  };
}

async function makeAuthority(nowMs: number, lifetimes: Lifetimes): Promise<{ cert: string; key: string }> {
  const keys = pair();
  const name = { commonName: 'weft-injector authority' };
  const der = await buildCertificate({
    serial: serialNumber(randomBytes(16)),
    issuer: name,
    subject: name,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + lifetimes.caMs,
    publicKey: keys.publicKey,
    sans: [],
    isCa: true,
    pathLength: 0,
    keyUsage: ['keyCertSign', 'cRLSign'],
    extKeyUsage: [],
    authorityKeyId: undefined,
    sign: keySigner(keys.privateKey),
  });
  return { cert: encodePem('CERTIFICATE', der), key: pemKey(keys.privateKey) };
}

async function makeLeaf(
  authority: { cert: string; key: string },
  names: readonly string[],
  nowMs: number,
  lifetimes: Lifetimes,
): Promise<{ cert: string; key: string }> {
  const [caDer] = pemBlocks(authority.cert);
  const ca = caDer === undefined ? undefined : parseCertificate(caDer);
  if (ca?.ok !== true) throw new Error('the authority just made or judged good cannot be parsed');
  const keys = pair();
  const der = await buildCertificate({
    serial: serialNumber(randomBytes(16)),
    issuer: { der: ca.value.subjectDer },
    subject: { commonName: names[0] ?? 'weft-injector' },
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: Math.min(nowMs + lifetimes.leafMs, ca.value.notAfterMs),
    publicKey: keys.publicKey,
    sans: names.map((value) => ({ type: 'dns', value })),
    isCa: false,
    pathLength: undefined,
    keyUsage: ['digitalSignature'],
    extKeyUsage: ['serverAuth'],
    authorityKeyId: keyId(ca.value.publicKey),
    sign: keySigner(createPrivateKey(authority.key)),
  });
  return { cert: encodePem('CERTIFICATE', der), key: pemKey(keys.privateKey) };
}

/** New material in place of the old; what of the old authorities is still good stays in the bundle. */
export async function renew(
  old: CertificateMaterial | undefined,
  what: 'leaf' | 'authority',
  names: readonly string[],
  nowMs: number,
  lifetimes: Lifetimes = LIFETIMES,
): Promise<CertificateMaterial> {
  if (what === 'leaf' && old !== undefined) {
    const leaf = await makeLeaf({ cert: old.caBundle, key: old.caKey }, names, nowMs, lifetimes);
    return { caBundle: old.caBundle, caKey: old.caKey, ...leaf };
  }
  const authority = await makeAuthority(nowMs, lifetimes);
  const still = pemBlocks(old?.caBundle ?? '')
    .filter((der) => {
      const parsed = parseCertificate(der);
      return parsed.ok && parsed.value.notAfterMs > nowMs;
    })
    .map((der) => encodePem('CERTIFICATE', der));
  const caBundle = [authority.cert, ...still].slice(0, BUNDLE_CERTIFICATES_MAX).join('');
  const leaf = await makeLeaf(authority, names, nowMs, lifetimes);
  return { caBundle, caKey: authority.key, ...leaf };
}
