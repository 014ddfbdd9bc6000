/** SPIFFE bundles: the anchors of a trust domain as a JWK Set (SPIFFE Trust Domain and Bundle section 4). */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { err, ok, type Result } from '../kit/result.ts';
import { publicKeysOf } from './jwks.ts';
import { parseCertificate } from './x509/certificate.ts';
import { encodePem } from './x509/pem.ts';

export const BUNDLE_CHARS_MAX = 262_144;
const ANCHORS_MAX = 64;

export interface SpiffeBundle {
  readonly anchors: readonly Uint8Array[];
  readonly anchorsPem: string;
  /** Keys by which its JWT-SVIDs are verified, as JWKs of public members alone. */
  readonly jwtKeys: readonly object[];
  /** 0: it says none. */
  readonly sequence: number;
  readonly refreshHintSeconds: number;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const wholeOf = (value: unknown): number => (Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : 0);

export function parseSpiffeBundle(text: string): Result<SpiffeBundle, string> {
  if (text.length > BUNDLE_CHARS_MAX) return err(`the bundle is longer than ${BUNDLE_CHARS_MAX} characters`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return err('the bundle is not JSON');
  }
  const keys = isRecord(json) ? json['keys'] : undefined;
  if (!isRecord(json) || !Array.isArray(keys)) return err('the bundle is no JWK Set: it has no list "keys"');
  const anchors: Uint8Array[] = [];
  for (const [i, key] of keys.entries()) {
    // Section 4.2.2: what has no use, or one that is not known, is ignored.
    if (!isRecord(key) || key['use'] !== 'x509-svid') continue;
    const x5c = key['x5c'];
    // X509-SVID section 6.2: exactly one.
    if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string')
      return err(`keys[${i}].x5c must hold exactly one certificate`);
    const der = Buffer.from(x5c[0], 'base64');
    const certificate = parseCertificate(der);
    if (!certificate.ok) return err(`keys[${i}].x5c: ${certificate.error}`);
    if (!certificate.value.isCa) return err(`keys[${i}].x5c: the certificate is not one of an authority`);
    anchors.push(Uint8Array.from(der));
  }
  if (anchors.length === 0) return err('the bundle has no key with use x509-svid: it vouches for nobody');
  if (anchors.length > ANCHORS_MAX) return err(`the bundle has more than ${ANCHORS_MAX} anchors`);
  return ok({
    anchors,
    anchorsPem: anchors.map((der) => encodePem('CERTIFICATE', der)).join(''),
    jwtKeys: jwtKeysOf(keys),
    sequence: wholeOf(json['spiffe_sequence']),
    refreshHintSeconds: wholeOf(json['spiffe_refresh_hint']),
  });
}

/** JWT-SVID section 6.2: each has a key ID. What nobody could verify with is left out: it vouches for nothing. */
function jwtKeysOf(keys: readonly unknown[]): readonly object[] {
  const wanted = keys.filter((key) => isRecord(key) && key['use'] === 'jwt-svid' && typeof key['kid'] === 'string');
  return (publicKeysOf(JSON.stringify({ keys: wanted })) ?? []).filter((key) => {
    try {
      createPublicKey({ key, format: 'jwk' });
      return true;
    } catch {
      return false;
    }
  });
}

export interface BundleParts {
  readonly anchors: readonly Uint8Array[];
  /** Public keys as JWKs, `use` among their members. */
  readonly jwtKeys: readonly object[];
  readonly sequence: number;
  readonly refreshHintSeconds: number;
}

export function formatSpiffeBundle({ anchors, jwtKeys, sequence, refreshHintSeconds }: BundleParts): string {
  const keys = anchors.flatMap((der) => {
    const parsed = parseCertificate(der);
    if (!parsed.ok) return [];
    return [{ ...membersOf(parsed.value.publicKey), use: 'x509-svid', x5c: [Buffer.from(der).toString('base64')] }];
  });
  return JSON.stringify({
    keys: [...keys, ...jwtKeys],
    spiffe_sequence: sequence,
    spiffe_refresh_hint: refreshHintSeconds,
  });
}

/** Of a key for which JWK has no members, as on curves that RFC 7518 does not name, the certificate says all. */
function membersOf(publicKey: KeyObject): object {
  try {
    return publicKey.export({ format: 'jwk' });
  } catch {
    return { kty: publicKey.asymmetricKeyType === 'ec' ? 'EC' : 'RSA' };
  }
}
