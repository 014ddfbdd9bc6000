import asn1, { type Asn1 } from 'node-forge/lib/asn1.js';
import { err, ok, type Result } from '../../kit/result.ts';

/** Distinguished Encoding Rules (X.690) over node-forge's ASN.1: bytes in and out, no binary strings outside. */

export type DerNode = Asn1;

const universal = 0x00;
const contextSpecific = 0x80;

/** Universal tags, X.680 section 8.4. */
export const tag = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  utf8String: 12,
  sequence: 16,
  set: 17,
  printableString: 19,
  ia5String: 22,
  utcTime: 23,
  generalizedTime: 24,
} as const;

/** One character an octet, which is how node-forge holds bytes. */
const toBinary = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
const fromBinary = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

const primitive = (type: number, bytes: Uint8Array): DerNode => asn1.create(universal, type, false, toBinary(bytes));

export const sequence = (...children: readonly DerNode[]): DerNode =>
  asn1.create(universal, tag.sequence, true, [...children]);
export const set = (...children: readonly DerNode[]): DerNode => asn1.create(universal, tag.set, true, [...children]);
export const boolean = (value: boolean): DerNode => primitive(tag.boolean, Uint8Array.of(value ? 0xff : 0));
export const objectIdentifier = (oid: string): DerNode =>
  asn1.create(universal, tag.oid, false, asn1.oidToDer(oid).getBytes());
export const octetString = (bytes: Uint8Array): DerNode => primitive(tag.octetString, bytes);
export const text = (type: number, value: string): DerNode => primitive(type, Buffer.from(value, 'utf8'));

/** Non-negative, big-endian; a leading zero octet is added where the sign bit would be set (X.690 section 8.3). */
export function unsignedInteger(bytes: Uint8Array): DerNode {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(start);
  const padded = (digits[0] ?? 0) >= 0x80 ? Uint8Array.of(0, ...digits) : digits;
  return primitive(tag.integer, padded);
}

export const smallInteger = (value: number): DerNode =>
  unsignedInteger(Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff));

export const bitString = (bytes: Uint8Array, unusedBits = 0): DerNode =>
  primitive(tag.bitString, Uint8Array.of(unusedBits, ...bytes));

/** `[n]` with children (constructed) or with content octets (IMPLICIT primitive). */
export const context = (number: number, content: readonly DerNode[] | Uint8Array): DerNode =>
  content instanceof Uint8Array
    ? asn1.create(contextSpecific, number, false, toBinary(content))
    : asn1.create(contextSpecific, number, true, [...content]);

export const encode = (node: DerNode): Uint8Array => fromBinary(asn1.toDer(node).getBytes());

/**
 * Refuses what is not DER: a second encoding of the same value would give a signature two meanings,
 * so the input must be what encoding the result gives (X.690 section 10).
 */
export function decode(bytes: Uint8Array): Result<DerNode, string> {
  const input = toBinary(bytes);
  try {
    const node = asn1.fromDer(input, { strict: true, parseAllBytes: true, decodeBitStrings: false });
    return asn1.toDer(node).getBytes() === input ? ok(node) : err('not distinguished encoding (DER)');
  } catch (error) {
    return err(`not ASN.1: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export const isUniversal = (node: DerNode | undefined, type: number): node is DerNode =>
  node !== undefined && node.tagClass === universal && node.type === type;
export const isContext = (node: DerNode | undefined, number: number): node is DerNode =>
  node !== undefined && node.tagClass === contextSpecific && node.type === number;

export const children = (node: DerNode | undefined): readonly DerNode[] =>
  node === undefined || typeof node.value === 'string' ? [] : node.value;
export const content = (node: DerNode): Uint8Array =>
  typeof node.value === 'string' ? fromBinary(node.value) : new Uint8Array(0);
export const contentText = (node: DerNode): string => Buffer.from(content(node)).toString('utf8');

export function oidOf(node: DerNode | undefined): string {
  if (!isUniversal(node, tag.oid) || typeof node.value !== 'string') return '';
  try {
    return asn1.derToOid(node.value) ?? '';
  } catch {
    return '';
  }
}

/** The octets of a BIT STRING without unused bits, as keys and signatures are. */
export function bitsOf(node: DerNode | undefined): Uint8Array | undefined {
  if (!isUniversal(node, tag.bitString)) return undefined;
  const bytes = content(node);
  return bytes[0] === 0 ? bytes.subarray(1) : undefined;
}
