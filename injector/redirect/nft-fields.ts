import { isIPv4, isIPv6 } from 'node:net';
import { hostU32, networkU32, u32 } from './attributes.ts';
import type { Field, Scalar } from './ruleset.ts';

/**
 * The fields of a packet or connection that rules and sets look at: how each is loaded into a register, how wide it is, how a value of it is written
 * as bytes, and what nft(8) calls its type (the numbers of its datatype table, needed only so that `nft list ruleset` prints elements as what they are).
 */

/** A check that nft(8) puts before a header field, since offsets mean something else in other packets. */
export interface Guard {
  readonly field: 'meta nfproto' | 'meta l4proto';
  readonly value: number;
}

type Format = 'ipv4' | 'ipv6' | 'port' | 'byte' | 'hostU32' | 'interface';

export interface FieldInfo {
  readonly bytes: number;
  readonly nftType: number;
  readonly format: Format;
  readonly guard?: Guard;
  readonly expression: string;
  /** The attributes of the expression that loads the field into a register. */
  readonly load: (register: number) => Buffer[];
  readonly names?: Readonly<Record<string, number>>;
}

export const NFPROTO = { inet: 1, ipv4: 2, ipv6: 10 } as const;
export const IPPROTO = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;
const INTERFACE_NAME_BYTES = 16;

/** Bits of a type number that nft(8) leaves to each part of a concatenation. */
const CONCAT_TYPE_BITS = 6;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;

const payload = (base: number, offset: number, bytes: number): Pick<FieldInfo, 'expression' | 'load' | 'bytes'> => ({
  expression: 'payload',
  bytes,
  load: (register) => [u32(1, register), u32(2, base), u32(3, offset), u32(4, bytes)],
});
const meta = (key: number): Pick<FieldInfo, 'expression' | 'load'> => ({
  expression: 'meta',
  load: (register) => [u32(1, register), u32(2, key)],
});
const ct = (key: number): Pick<FieldInfo, 'expression' | 'load'> => ({
  expression: 'ct',
  load: (register) => [u32(1, register), u32(2, key)],
});

const ipv4: Guard = { field: 'meta nfproto', value: NFPROTO.ipv4 };
const ipv6: Guard = { field: 'meta nfproto', value: NFPROTO.ipv6 };
const tcp: Guard = { field: 'meta l4proto', value: IPPROTO.tcp };
const udp: Guard = { field: 'meta l4proto', value: IPPROTO.udp };

const address4 = (offset: number): FieldInfo => ({
  ...payload(NETWORK_HEADER, offset, 4),
  nftType: 7,
  format: 'ipv4',
  guard: ipv4,
});
const address6 = (offset: number): FieldInfo => ({
  ...payload(NETWORK_HEADER, offset, 16),
  nftType: 8,
  format: 'ipv6',
  guard: ipv6,
});
const port = (offset: number, guard?: Guard): FieldInfo => ({
  ...payload(TRANSPORT_HEADER, offset, 2),
  nftType: 13,
  format: 'port',
  ...(guard === undefined ? {} : { guard }),
});

export const FIELDS: Readonly<Record<Field, FieldInfo>> = {
  // Offsets: RFC 791 section 3.1, RFC 8200 section 3, RFC 9293 section 3.1 and RFC 768 (both ports stand first in TCP and in UDP).
  'ip saddr': address4(12),
  'ip daddr': address4(16),
  'ip6 saddr': address6(8),
  'ip6 daddr': address6(24),
  'tcp sport': port(0, tcp),
  'tcp dport': port(2, tcp),
  'udp sport': port(0, udp),
  'udp dport': port(2, udp),
  'th sport': port(0),
  'th dport': port(2),
  'meta l4proto': { ...meta(16), bytes: 1, nftType: 12, format: 'byte', names: IPPROTO },
  'meta nfproto': { ...meta(15), bytes: 1, nftType: 2, format: 'byte', names: NFPROTO },
  'meta skuid': { ...meta(10), bytes: 4, nftType: 24, format: 'hostU32' },
  'meta skgid': { ...meta(11), bytes: 4, nftType: 25, format: 'hostU32' },
  'meta mark': { ...meta(3), bytes: 4, nftType: 19, format: 'hostU32' },
  'meta iifname': { ...meta(6), bytes: INTERFACE_NAME_BYTES, nftType: 41, format: 'interface' },
  'meta oifname': { ...meta(7), bytes: INTERFACE_NAME_BYTES, nftType: 41, format: 'interface' },
  'ct state': {
    ...ct(0),
    bytes: 4,
    nftType: 26,
    format: 'hostU32',
    names: { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 },
  },
  'ct direction': { ...ct(1), bytes: 1, nftType: 27, format: 'byte', names: { original: 0, reply: 1 } },
  'ct status': { ...ct(2), bytes: 4, nftType: 28, format: 'hostU32' },
  'ct mark': { ...ct(3), bytes: 4, nftType: 19, format: 'hostU32' },
  'fib daddr type': {
    expression: 'fib',
    load: (register) => [u32(1, register), u32(2, 3), u32(3, 2)],
    bytes: 4,
    nftType: 38,
    format: 'hostU32',
    names: { unicast: 1, local: 2, broadcast: 3, multicast: 5, blackhole: 6, unreachable: 7, prohibit: 8 },
  },
};

/** Ranges compare bytes from the left, which works for values in network order only. */
export const isOrdered = (field: FieldInfo): boolean =>
  field.format === 'ipv4' || field.format === 'ipv6' || field.format === 'port' || field.format === 'byte';

export const concatType = (fields: readonly FieldInfo[]): number =>
  fields.reduce((type, field) => (type << CONCAT_TYPE_BITS) | field.nftType, 0);

export function encodeIp(address: string): Buffer | undefined {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (!isIPv6(address) || address.includes('%')) return undefined;
  // A dotted tail (RFC 4291 section 2.2) is two groups.
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const groupsText =
    dotted === null
      ? address
      : `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`;
  const [head = '', tail] = groupsText.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  const bytes = Buffer.alloc(16);
  groups.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  });
  return bytes;
}

function encodeInteger(field: FieldInfo, value: number): Buffer | undefined {
  const max = field.bytes === 1 ? 0xff : field.bytes === 2 ? 0xffff : 0xffff_ffff;
  if (!Number.isInteger(value) || value < 0 || value > max) return undefined;
  if (field.bytes === 1) return Buffer.from([value]);
  if (field.bytes === 2) return networkU32(value).subarray(2);
  return hostU32(value);
}

/** A value of a field as the bytes the kernel compares, or undefined when it is none. */
export function encodeScalar(field: FieldInfo, value: Scalar): Buffer | undefined {
  switch (field.format) {
    case 'ipv4':
      return typeof value === 'string' && isIPv4(value) ? encodeIp(value) : undefined;
    case 'ipv6':
      return typeof value === 'string' && isIPv6(value) ? encodeIp(value) : undefined;
    case 'interface': {
      if (typeof value !== 'string' || value === '' || Buffer.byteLength(value) >= INTERFACE_NAME_BYTES)
        return undefined;
      const bytes = Buffer.alloc(INTERFACE_NAME_BYTES);
      bytes.write(value);
      return bytes;
    }
    case 'port':
    case 'byte':
    case 'hostU32': {
      const number = typeof value === 'number' ? value : field.names?.[value];
      return number === undefined ? undefined : encodeInteger(field, number);
    }
  }
}

/** Splits `address/length`; undefined when the text is not a prefix of the field's own family. */
export function parsePrefix(field: FieldInfo, value: Scalar): { address: Buffer; mask: Buffer } | undefined {
  if (typeof value !== 'string' || (field.format !== 'ipv4' && field.format !== 'ipv6')) return undefined;
  const parts = /^([^/]+)\/(\d{1,3})$/.exec(value);
  const address = parts?.[1] === undefined ? undefined : encodeScalar(field, parts[1]);
  const length = Number(parts?.[2]);
  if (address === undefined || length > field.bytes * 8) return undefined;
  const mask = Buffer.alloc(field.bytes);
  for (let bit = 0; bit < length; bit++) mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return { address: Buffer.from(address.map((byte, index) => byte & (mask[index] ?? 0))), mask };
}

/** A key part inside a concatenation: each starts on a 32 bit register. */
export function padToRegister(value: Buffer): Buffer {
  const padded = Buffer.alloc((value.length + 3) & ~3);
  value.copy(padded);
  return padded;
}
