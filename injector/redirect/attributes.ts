/**
 * Netlink attributes and messages as bytes (linux/netlink.h): a 16 bit length and type in host order, then the payload, padded to four bytes.
 * nf_tables sends its integers in network order.
 */

type HostOrder = 'LE' | 'BE';
/** Headers and some values are in the machine's own order. */
const HOST_ORDER: HostOrder = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 'LE' : 'BE';

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const ATTRIBUTE_HEADER_BYTES = 4;
export const ATTRIBUTE_BYTES_MAX = 0xffff;
const MESSAGE_HEADER_BYTES = 16;
const NFGEN_HEADER_BYTES = 4;

const align = (bytes: number): number => (bytes + 3) & ~3;

export function hostU16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  if (HOST_ORDER === 'LE') buffer.writeUInt16LE(value);
  else buffer.writeUInt16BE(value);
  return buffer;
}

export function hostU32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  if (HOST_ORDER === 'LE') buffer.writeUInt32LE(value >>> 0);
  else buffer.writeUInt32BE(value >>> 0);
  return buffer;
}

const readHostU16 = (buffer: Buffer, at: number): number =>
  HOST_ORDER === 'LE' ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at);
export const readHostU32 = (buffer: Buffer, at: number): number =>
  HOST_ORDER === 'LE' ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at);
export const readHostI32 = (buffer: Buffer, at: number): number =>
  HOST_ORDER === 'LE' ? buffer.readInt32LE(at) : buffer.readInt32BE(at);

export function networkU32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return buffer;
}

export function networkU16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

/** One attribute. A payload of more than 64 KiB cannot be said, and whoever builds one has to split it: that is a bug here. */
export function attribute(type: number, payload: Uint8Array, nested = false): Buffer {
  const length = ATTRIBUTE_HEADER_BYTES + payload.length;
  if (length > ATTRIBUTE_BYTES_MAX) throw new RangeError(`netlink attribute ${type} has ${length} bytes`);
  const buffer = Buffer.alloc(align(length));
  hostU16(length).copy(buffer, 0);
  hostU16(nested ? type | NESTED : type).copy(buffer, 2);
  buffer.set(payload, ATTRIBUTE_HEADER_BYTES);
  return buffer;
}

export const nested = (type: number, ...children: readonly Uint8Array[]): Buffer =>
  attribute(type, Buffer.concat(children), true);
export const u32 = (type: number, value: number): Buffer => attribute(type, networkU32(value));
export const text = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`, 'utf8'));

interface MessageHead {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Address family of nfgenmsg, and its res_id (network order): the subsystem in batch messages. */
  readonly family: number;
  readonly resourceId: number;
}

export function message(head: MessageHead, ...attributes: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(attributes);
  const length = MESSAGE_HEADER_BYTES + NFGEN_HEADER_BYTES + body.length;
  return Buffer.concat([
    hostU32(length),
    hostU16(head.type),
    hostU16(head.flags),
    hostU32(head.sequence),
    hostU32(0),
    Buffer.from([head.family, 0]),
    networkU16(head.resourceId),
    body,
  ]);
}

export interface DecodedAttribute {
  readonly type: number;
  readonly nested: boolean;
  readonly payload: Buffer;
}

/** The attributes in a buffer, or undefined when a length does not fit. */
export function decodeAttributes(buffer: Buffer): DecodedAttribute[] | undefined {
  const found: DecodedAttribute[] = [];
  let at = 0;
  while (at < buffer.length) {
    if (buffer.length - at < ATTRIBUTE_HEADER_BYTES) return undefined;
    const length = readHostU16(buffer, at);
    const type = readHostU16(buffer, at + 2);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > buffer.length) return undefined;
    found.push({
      type: type & TYPE_MASK,
      nested: (type & NESTED) !== 0,
      payload: buffer.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length),
    });
    at += align(length);
  }
  return found;
}

export interface DecodedMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Everything behind the netlink header. */
  readonly payload: Buffer;
}

/** The messages of one datagram, or undefined when a length does not fit. */
export function decodeMessages(datagram: Buffer): DecodedMessage[] | undefined {
  const found: DecodedMessage[] = [];
  let at = 0;
  while (at < datagram.length) {
    if (datagram.length - at < MESSAGE_HEADER_BYTES) return undefined;
    const length = readHostU32(datagram, at);
    if (length < MESSAGE_HEADER_BYTES || at + length > datagram.length) return undefined;
    found.push({
      type: readHostU16(datagram, at + 4),
      flags: readHostU16(datagram, at + 6),
      sequence: readHostU32(datagram, at + 8),
      payload: datagram.subarray(at + MESSAGE_HEADER_BYTES, at + length),
    });
    at += align(length);
  }
  return found;
}

export const findAttribute = (attributes: readonly DecodedAttribute[], type: number): Buffer | undefined =>
  attributes.find((candidate) => candidate.type === type)?.payload;

/** Text of an attribute without the closing NUL. */
export const readText = (payload: Buffer): string => payload.toString('utf8').replace(/\0.*$/s, '');
