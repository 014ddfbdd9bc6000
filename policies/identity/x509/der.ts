import { err, ok, type Result } from '../../kit/result.ts';

/** Distinguished Encoding Rules (X.690), as much as certificates and requests need: definite lengths, tags below 31. */

export interface DerNode {
  readonly tagClass: number;
  readonly type: number;
  readonly constructed: boolean;
  /** Content octets of a primitive; empty for a constructed one. */
  readonly octets: Uint8Array;
  readonly children: readonly DerNode[];
  /** Tag, length and content as they were read: what a signature covers is never encoded again. */
  readonly encoded: Uint8Array | undefined;
}

const universal = 0x00;
const contextSpecific = 0x80;
const constructedBit = 0x20;

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

const noOctets = new Uint8Array(0);
const noChildren: readonly DerNode[] = [];

const constructed = (tagClass: number, type: number, children: readonly DerNode[]): DerNode => ({
  tagClass,
  type,
  constructed: true,
  octets: noOctets,
  children,
  encoded: undefined,
});

const primitiveOf = (tagClass: number, type: number, octets: Uint8Array): DerNode => ({
  tagClass,
  type,
  constructed: false,
  octets,
  children: noChildren,
  encoded: undefined,
});

const primitive = (type: number, octets: Uint8Array): DerNode => primitiveOf(universal, type, octets);

export const sequence = (...nodes: readonly DerNode[]): DerNode => constructed(universal, tag.sequence, nodes);
export const set = (...nodes: readonly DerNode[]): DerNode => constructed(universal, tag.set, nodes);
export const boolean = (value: boolean): DerNode => primitive(tag.boolean, Uint8Array.of(value ? 0xff : 0));
export const octetString = (bytes: Uint8Array): DerNode => primitive(tag.octetString, bytes);
export const text = (type: number, value: string): DerNode => primitive(type, Buffer.from(value, 'utf8'));

/** Each identifier is written in the sources once and used for every certificate. */
const oidOctets = new Map<string, Uint8Array>();

export function objectIdentifier(oid: string): DerNode {
  let octets = oidOctets.get(oid);
  if (octets === undefined) {
    octets = encodeOid(oid);
    if (oidOctets.size < 256) oidOctets.set(oid, octets);
  }
  return primitive(tag.oid, octets);
}

/** X.690 section 8.19: base 128, the first two arcs in one. */
function encodeOid(oid: string): Uint8Array {
  const [first = Number.NaN, second = Number.NaN, ...rest] = oid.split('.').map(Number);
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    if (!Number.isSafeInteger(arc) || arc < 0) throw new RangeError(`"${oid}" is not an object identifier`);
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left % 128) | 0x80);
    octets.push(...digits);
  }
  return Uint8Array.from(octets);
}

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

export function bitString(bytes: Uint8Array, unusedBits = 0): DerNode {
  const octets = new Uint8Array(bytes.length + 1);
  octets[0] = unusedBits;
  octets.set(bytes, 1);
  return primitive(tag.bitString, octets);
}

/** `[n]` with children (constructed) or with content octets (IMPLICIT primitive). */
export const context = (number: number, content: readonly DerNode[] | Uint8Array): DerNode =>
  content instanceof Uint8Array
    ? primitiveOf(contextSpecific, number, content)
    : constructed(contextSpecific, number, content);

/** Bytes that are DER already: read before, or made for many. */
export const raw = (bytes: Uint8Array): DerNode => ({
  tagClass: (bytes[0] ?? 0) & 0xc0,
  type: (bytes[0] ?? 0) & 0x1f,
  constructed: ((bytes[0] ?? 0) & constructedBit) !== 0,
  octets: noOctets,
  children: noChildren,
  encoded: bytes,
});

const lengthOctets = (length: number): number =>
  length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : length < 0x1000000 ? 4 : 5;

function contentLength(node: DerNode): number {
  if (!node.constructed) return node.octets.length;
  let sum = 0;
  for (const child of node.children) sum += sizeOf(child);
  return sum;
}

function sizeOf(node: DerNode): number {
  if (node.encoded !== undefined) return node.encoded.length;
  const length = contentLength(node);
  return 1 + lengthOctets(length) + length;
}

export function encode(node: DerNode): Uint8Array {
  if (node.encoded !== undefined) return node.encoded;
  const out = new Uint8Array(sizeOf(node));
  write(out, 0, node);
  return out;
}

function write(out: Uint8Array, start: number, node: DerNode): number {
  if (node.encoded !== undefined) {
    out.set(node.encoded, start);
    return start + node.encoded.length;
  }
  let at = start;
  out[at++] = node.tagClass | (node.constructed ? constructedBit : 0) | node.type;
  at = writeLength(out, at, contentLength(node));
  if (!node.constructed) {
    out.set(node.octets, at);
    return at + node.octets.length;
  }
  for (const child of node.children) at = write(out, at, child);
  return at;
}

function writeLength(out: Uint8Array, start: number, length: number): number {
  let at = start;
  const octets = lengthOctets(length);
  if (octets === 1) {
    out[at++] = length;
    return at;
  }
  out[at++] = 0x80 | (octets - 1);
  for (let shift = (octets - 2) * 8; shift >= 0; shift -= 8) out[at++] = (length >>> shift) & 0xff;
  return at;
}

const DEPTH_MAX = 24;

/** What is wrong is thrown inside, so that the reader stays plain; `decode` catches it. */
class Malformed extends Error {}

/**
 * Refuses what is not DER: a second encoding of the same value would give a signature two meanings (X.690 section 10).
 * The nodes are views of `bytes`.
 */
export function decode(bytes: Uint8Array): Result<DerNode, string> {
  // A Buffer's parts would be Buffers.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const node = read(plain, 0, plain.length, 0);
    return node.size === bytes.length ? ok(node.node) : err('not ASN.1: octets behind the end');
  } catch (error) {
    if (error instanceof Malformed) return err(error.message);
    throw error;
  }
}

interface Read {
  readonly node: DerNode;
  readonly size: number;
}

function read(bytes: Uint8Array, start: number, end: number, depth: number): Read {
  if (depth > DEPTH_MAX) throw new Malformed(`not ASN.1 of a certificate: nested deeper than ${DEPTH_MAX}`);
  const identifier = bytes[start];
  const first = bytes[start + 1];
  if (start + 2 > end || identifier === undefined || first === undefined) throw new Malformed('not ASN.1: cut off');
  const type = identifier & 0x1f;
  if (type === 0x1f) throw new Malformed('not ASN.1 of a certificate: tag above 30');
  let from = start + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4 || from + octets > end)
      throw new Malformed('not distinguished encoding (DER): length');
    length = 0;
    for (let at = 0; at < octets; at++) length = length * 256 + (bytes[from + at] ?? 0);
    if (lengthOctets(length) !== octets + 1) throw new Malformed('not distinguished encoding (DER): length');
    from += octets;
  }
  const to = from + length;
  if (to > end) throw new Malformed('not ASN.1: cut off');
  const tagClass = identifier & 0xc0;
  const isConstructed = (identifier & constructedBit) !== 0;
  if (tagClass === universal && isConstructed !== (type === tag.sequence || type === tag.set))
    throw new Malformed('not distinguished encoding (DER): constructed where primitive is due, or the reverse');
  const encoded = bytes.subarray(start, to);
  if (isConstructed) {
    const nodes: DerNode[] = [];
    for (let at = from; at < to; ) {
      const child = read(bytes, at, to, depth + 1);
      nodes.push(child.node);
      at += child.size;
    }
    return {
      node: { tagClass, type, constructed: true, octets: noOctets, children: nodes, encoded },
      size: to - start,
    };
  }
  const octets = bytes.subarray(from, to);
  if (tagClass === universal) checkPrimitive(type, octets);
  return {
    node: { tagClass, type, constructed: false, octets, children: noChildren, encoded },
    size: to - start,
  };
}

/** The one form that DER leaves of each value (X.690 sections 8.2, 8.3, 8.8, 11.1, 11.2.1). */
function checkPrimitive(type: number, octets: Uint8Array): void {
  const [first = 0, second = 0] = octets;
  const last = octets[octets.length - 1] ?? 0;
  let good = true;
  if (type === tag.boolean) good = octets.length === 1 && (first === 0 || first === 0xff);
  else if (type === tag.integer) {
    const padded = octets.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    good = octets.length > 0 && !padded;
  } else if (type === tag.bitString) {
    const spare = octets.length > 1 ? last & ((1 << first) - 1) : first;
    good = octets.length > 0 && first < 8 && spare === 0;
  } else if (type === tag.null) good = octets.length === 0;
  else if (type === tag.oid) good = octets.length > 0 && last < 0x80;
  if (!good) throw new Malformed('not distinguished encoding (DER): value');
}

export const isUniversal = (node: DerNode | undefined, type: number): node is DerNode =>
  node !== undefined && node.tagClass === universal && node.type === type;
export const isContext = (node: DerNode | undefined, number: number): node is DerNode =>
  node !== undefined && node.tagClass === contextSpecific && node.type === number;

export const children = (node: DerNode | undefined): readonly DerNode[] => node?.children ?? noChildren;
export const content = (node: DerNode): Uint8Array => node.octets;
export const contentText = (node: DerNode): string =>
  Buffer.from(node.octets.buffer, node.octets.byteOffset, node.octets.byteLength).toString('utf8');

const oidTexts = new Map<string, string>();

export function oidOf(node: DerNode | undefined): string {
  if (!isUniversal(node, tag.oid)) return '';
  const { octets } = node;
  const key = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');
  let found = oidTexts.get(key);
  if (found === undefined) {
    found = decodeOid(octets);
    // Foreign certificates bring any; the known ones come first.
    if (oidTexts.size < 256) oidTexts.set(key, found);
  }
  return found;
}

function decodeOid(octets: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of octets) {
    // X.690 section 8.19.2: no leading 0x80; arcs beyond 53 bits name nothing that is looked for here.
    if ((arc === 0 && octet === 0x80) || arc > 2 ** 45) return '';
    arc = arc * 128 + (octet & 0x7f);
    if (octet >= 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(Math.floor(arc / 40), 2), arc - 40 * Math.min(Math.floor(arc / 40), 2));
    else arcs.push(arc);
    arc = 0;
  }
  return arcs.join('.');
}

/** The octets of a BIT STRING without unused bits, as keys and signatures are. */
export function bitsOf(node: DerNode | undefined): Uint8Array | undefined {
  if (!isUniversal(node, tag.bitString)) return undefined;
  return node.octets[0] === 0 ? node.octets.subarray(1) : undefined;
}
