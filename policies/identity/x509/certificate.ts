import { createHash, type KeyObject } from 'node:crypto';
import { err, ok, type Result } from '../../kit/result.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';
import * as der from './der.ts';
import * as extension from './extensions.ts';
import { decodeNameConstraints, type NameConstraints } from './name-constraints.ts';
import { type DistinguishedName, decodeName, type EncodedName, encodeName, type SubjectAltName } from './names.ts';
import { algorithmIdentifier, decodePublicKey, encodePublicKey, type Signer, signed } from './signature.ts';
import { decodeTime, encodeTime } from './time.ts';

export interface CertificateTemplate {
  /** Positive, at most 20 octets (RFC 5280 section 4.1.2.2); see `serialNumber`. */
  readonly serial: Uint8Array;
  readonly issuer: DistinguishedName | EncodedName;
  readonly subject: DistinguishedName;
  /** Milliseconds since the epoch; a certificate holds whole seconds, the fraction is dropped. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: KeyObject;
  readonly sans: readonly SubjectAltName[];
  readonly isCa: boolean;
  /** CA certificates below this one; undefined: any number. */
  readonly pathLength: number | undefined;
  readonly keyUsage: readonly extension.KeyUsage[];
  readonly extKeyUsage: readonly extension.ExtKeyUsage[];
  /** The issuer's subject key id; undefined only in a root (RFC 5280 section 4.2.1.1). */
  readonly authorityKeyId: Uint8Array | undefined;
  /** By the issuer's key. */
  readonly sign: Signer;
}

export interface Certificate {
  readonly serial: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly issuerDer: Uint8Array;
  readonly subject: DistinguishedName;
  readonly subjectDer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Of any algorithm that node:crypto knows: users bring their own roots. */
  readonly publicKey: KeyObject;
  readonly sans: readonly SubjectAltName[];
  /** URI SANs that are SPIFFE IDs; a valid SVID has exactly one (X509-SVID section 2). */
  readonly spiffeIds: readonly SpiffeId[];
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly keyUsage: readonly extension.KeyUsage[];
  readonly extKeyUsage: readonly extension.ExtKeyUsage[];
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
}

const CERTIFICATE_BYTES_MAX = 65_536;

/** A serial number out of 16 random octets: positive, not zero, never longer than 16 octets. */
export function serialNumber(random: Uint8Array): Uint8Array {
  if (random.length !== 16) throw new RangeError('a serial number takes 16 random octets');
  const serial = Uint8Array.from(random);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

/** RFC 7093 section 2 method 1: the leftmost 160 bits of SHA-256 over the key's BIT STRING. */
export function keyId(publicKey: KeyObject): Uint8Array {
  const bits = der.bitsOf(der.children(encodePublicKey(publicKey))[1]);
  if (bits === undefined) throw new Error('public key has no BIT STRING');
  return new Uint8Array(createHash('sha256').update(bits).digest().subarray(0, 20));
}

/** DER of an X.509 v3 certificate (RFC 5280), signed with ECDSA P-256 and SHA-256. A wrong template throws. */
export async function buildCertificate(template: CertificateTemplate): Promise<Uint8Array> {
  checkTemplate(template);
  const subject = encodeName(template.subject);
  const subjectIsEmpty = der.children(subject).length === 0;
  const extensions = [
    extension.basicConstraints(template.isCa, template.pathLength),
    extension.keyUsage(template.keyUsage),
    ...(template.extKeyUsage.length === 0 ? [] : [extension.extKeyUsage(template.extKeyUsage)]),
    extension.subjectKeyId(keyId(template.publicKey)),
    ...(template.authorityKeyId === undefined ? [] : [extension.authorityKeyId(template.authorityKeyId)]),
    ...(template.sans.length === 0 ? [] : [extension.subjectAltName(template.sans, subjectIsEmpty)]),
  ];
  const toBeSigned = der.sequence(
    der.context(0, [der.smallInteger(2)]),
    der.unsignedInteger(template.serial),
    algorithmIdentifier(),
    encodeIssuer(template.issuer),
    der.sequence(encodeTime(template.notBeforeMs), encodeTime(template.notAfterMs)),
    subject,
    encodePublicKey(template.publicKey),
    der.context(3, [extension.encodeExtensions(extensions)]),
  );
  return signed(toBeSigned, template.sign);
}

function checkTemplate(template: CertificateTemplate): void {
  const { serial, isCa } = template;
  const encodedOctets = serial.length + ((serial[0] ?? 0) >= 0x80 ? 1 : 0);
  if (encodedOctets > 20 || serial.every((octet) => octet === 0)) {
    throw new RangeError('serial number is not positive or longer than 20 octets');
  }
  if (!(template.notAfterMs > template.notBeforeMs)) throw new RangeError('certificate ends before it begins');
  // RFC 5280 section 4.2.1.3: keyCertSign and cA go together.
  if (isCa !== template.keyUsage.includes('keyCertSign')) throw new RangeError('keyCertSign goes with isCa');
  if (!isCa && template.pathLength !== undefined) throw new RangeError('pathLength is for a CA');
  const { commonName, organization } = template.subject;
  const nameless = commonName === undefined && organization === undefined;
  // RFC 5280 section 4.1.2.6: an issuer has a name; a subject without one is named by its SANs.
  if (nameless && (isCa || template.sans.length === 0)) throw new RangeError('certificate names nobody');
}

function encodeIssuer(issuer: DistinguishedName | EncodedName): der.DerNode {
  if (!('der' in issuer)) return encodeName(issuer);
  const node = der.decode(issuer.der);
  if (!node.ok) throw new RangeError(`issuer name: ${node.error}`);
  return node.value;
}

/** Reads the fields; it verifies neither signature nor validity: that is the work of TLS and of the chain's builder. */
export function parseCertificate(bytes: Uint8Array): Result<Certificate, string> {
  const parsed = parseFields(bytes);
  return parsed.ok ? parsed : err(`certificate: ${parsed.error}`);
}

function parseFields(bytes: Uint8Array): Result<Certificate, string> {
  if (bytes.length > CERTIFICATE_BYTES_MAX) return err(`longer than ${CERTIFICATE_BYTES_MAX} bytes`);
  const root = der.decode(bytes);
  if (!root.ok) return root;
  if (!der.isUniversal(root.value, der.tag.sequence)) return err('not a SEQUENCE');
  const fields = der.children(der.children(root.value)[0]);
  const [version, serial, , issuerNode, validity, subjectNode, keyNode, ...optional] = fields;
  const versionNumber = der.children(version)[0];
  if (!der.isContext(version, 0) || versionNumber === undefined || der.content(versionNumber)[0] !== 2) {
    return err('version is not 3');
  }
  if (!der.isUniversal(serial, der.tag.integer)) return err('serial number is not an INTEGER');
  const [beforeNode, afterNode] = der.children(validity);
  const issuer = decodeName(issuerNode);
  if (!issuer.ok) return err(`issuer: ${issuer.error}`);
  const subject = decodeName(subjectNode);
  if (!subject.ok) return err(`subject: ${subject.error}`);
  const notBefore = decodeTime(beforeNode);
  if (!notBefore.ok) return err(`not before: ${notBefore.error}`);
  const notAfter = decodeTime(afterNode);
  if (!notAfter.ok) return err(`not after: ${notAfter.error}`);
  const publicKey = decodePublicKey(keyNode);
  if (!publicKey.ok) return publicKey;
  const extensions = extension.decodeExtensions(der.children(optional.find((node) => der.isContext(node, 3)))[0]);
  if (!extensions.ok) return extensions;
  const sans = extension.decodeSubjectAltName(extensions.value, 'skip');
  if (!sans.ok) return sans;
  const nameConstraints = decodeNameConstraints(extensions.value);
  if (!nameConstraints.ok) return nameConstraints;
  return ok({
    serial: withoutSign(der.content(serial)),
    issuer: issuer.value,
    issuerDer: issuerNode === undefined ? new Uint8Array(0) : der.encode(issuerNode),
    subject: subject.value,
    subjectDer: subjectNode === undefined ? new Uint8Array(0) : der.encode(subjectNode),
    notBeforeMs: notBefore.value,
    notAfterMs: notAfter.value,
    publicKey: publicKey.value,
    sans: sans.value,
    spiffeIds: spiffeIdsOf(sans.value),
    ...extension.decodeBasicConstraints(extensions.value),
    keyUsage: extension.decodeKeyUsage(extensions.value),
    extKeyUsage: extension.decodeExtKeyUsage(extensions.value),
    nameConstraints: nameConstraints.value,
    ...extension.decodeKeyIds(extensions.value),
  });
}

/** The octet that keeps a positive INTEGER positive is not part of the number. */
const withoutSign = (octets: Uint8Array): Uint8Array =>
  octets.length > 1 && octets[0] === 0 ? octets.subarray(1) : octets;

function spiffeIdsOf(sans: readonly SubjectAltName[]): readonly SpiffeId[] {
  return sans.flatMap((san) => {
    if (san.type !== 'uri') return [];
    const id = parseSpiffeId(san.value);
    return id.ok ? [id.value] : [];
  });
}
