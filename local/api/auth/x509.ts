import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';

/** X.509 v3 certificates (RFC 5280) with P-256 keys: the structure by node-forge's ASN.1, keys and signatures by node:crypto. */
const { asn1 } = forge;
const { Class, Type } = asn1;
type Node = forge.asn1.Asn1;

export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly publicKey: KeyObject;
  readonly issuer: { readonly commonName: string; readonly key: KeyObject };
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly usage: 'ca' | 'server' | 'client';
  readonly names?: readonly string[];
}

const oids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const sequence = (...items: Node[]): Node => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
const set = (...items: Node[]): Node => asn1.create(Class.UNIVERSAL, Type.SET, true, items);
const primitive = (type: number, bytes: string): Node => asn1.create(Class.UNIVERSAL, type, false, bytes);
const oid = (text: string): Node => primitive(Type.OID, asn1.oidToDer(text).getBytes());
const utf8 = (text: string): Node => primitive(Type.UTF8, forge.util.encodeUtf8(text));
const context = (tag: number, constructed: boolean, value: string | Node[]): Node =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, constructed, value);
const der = (node: Node): string => asn1.toDer(node).getBytes();
const algorithm = (): Node => sequence(oid(oids.ecdsaSha256));

function distinguishedName(commonName: string, organizations: readonly string[] = []): Node {
  const attribute = (type: string, value: string): Node => set(sequence(oid(type), utf8(value)));
  return sequence(
    ...organizations.map((organization) => attribute(oids.organization, organization)),
    attribute(oids.commonName, commonName),
  );
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime after. */
function time(ms: number): Node {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

function ipBytes(ip: string): string {
  if (isIP(ip) === 4) return String.fromCharCode(...ip.split('.').map(Number));
  const [head = '', tail] = ip.split('::');
  const words = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right];
  return all
    .map((word) => Number.parseInt(word, 16))
    .map((n) => String.fromCharCode(n >> 8, n & 0xff))
    .join('');
}

function extension(id: string, critical: boolean, value: Node): Node {
  const flags = critical ? [primitive(Type.BOOLEAN, '\xff')] : [];
  return sequence(oid(id), ...flags, primitive(Type.OCTETSTRING, der(value)));
}

function extensionsOf(request: CertificateRequest): Node[] {
  const isCa = request.usage === 'ca';
  // KeyUsage bits: digitalSignature 0, keyCertSign 5, cRLSign 6; the first byte counts unused bits.
  const bits = isCa ? '\x01\x06' : '\x07\x80';
  const constraints = isCa ? sequence(primitive(Type.BOOLEAN, '\xff')) : sequence();
  const extensions = [
    extension(oids.basicConstraints, true, constraints),
    extension(oids.keyUsage, true, primitive(Type.BITSTRING, bits)),
  ];
  if (!isCa) {
    const usage = request.usage === 'server' ? oids.serverAuth : oids.clientAuth;
    extensions.push(extension(oids.extendedKeyUsage, false, sequence(oid(usage))));
  }
  const names = [...new Set(request.names ?? [])];
  if (names.length > 0) {
    const general = names.map((name) =>
      isIP(name) === 0 ? context(2, false, name) : context(7, false, ipBytes(name)),
    );
    extensions.push(extension(oids.subjectAltName, false, sequence(...general)));
  }
  return extensions;
}

/** The PEM of a certificate signed by the issuer. */
export function issueCertificate(request: CertificateRequest): string {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const spki = request.publicKey.export({ type: 'spki', format: 'der' }).toString('binary');
  const tbs = sequence(
    context(0, true, [primitive(Type.INTEGER, '\x02')]),
    primitive(Type.INTEGER, serial.toString('binary')),
    algorithm(),
    distinguishedName(request.issuer.commonName),
    sequence(time(request.notBeforeMs), time(request.notAfterMs)),
    distinguishedName(request.commonName, request.organizations),
    asn1.fromDer(spki),
    context(3, true, [sequence(...extensionsOf(request))]),
  );
  const signature = sign('sha256', Buffer.from(der(tbs), 'binary'), request.issuer.key).toString('binary');
  const certificate = sequence(tbs, algorithm(), primitive(Type.BITSTRING, `\x00${signature}`));
  const body = Buffer.from(der(certificate), 'binary').toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${body.replace(/(.{64})(?=.)/g, '$1\n')}\n-----END CERTIFICATE-----\n`;
}

export const privateKeyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
export const readPrivateKey = (pem: string): KeyObject => createPrivateKey(pem);
export const publicOf = (key: KeyObject): KeyObject => createPublicKey(key);
