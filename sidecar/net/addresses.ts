import { isIPv4, isIPv6 } from 'node:net';
import type { CidrRange } from '@weft/policies/model/address';

/** An IP as a number of its family; IPv4-mapped IPv6 is IPv4. */
interface ParsedIp {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

const V4_MAPPED_HIGH = 0xffffn;

function parseV4(text: string): bigint {
  let value = 0n;
  for (const part of text.split('.')) value = (value << 8n) | BigInt(part);
  return value;
}

function parseV6(text: string): bigint {
  let source = text;
  const dotted = source.lastIndexOf(':') + 1;
  if (source.includes('.')) {
    const v4 = parseV4(source.slice(dotted));
    source = `${source.slice(0, dotted)}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = source.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  let value = 0n;
  for (const group of groups) value = (value << 16n) | BigInt(`0x${group}`);
  return value;
}

function parseIp(text: string): ParsedIp | undefined {
  if (isIPv4(text)) return { bits: 32, value: parseV4(text) };
  const zone = text.indexOf('%');
  const plain = zone === -1 ? text : text.slice(0, zone);
  if (!isIPv6(plain)) return undefined;
  const value = parseV6(plain);
  if (value >> 32n === V4_MAPPED_HIGH) return { bits: 32, value: value & 0xffffffffn };
  return { bits: 128, value };
}

function formatV4(value: bigint): string {
  return `${value >> 24n}.${(value >> 16n) & 0xffn}.${(value >> 8n) & 0xffn}.${value & 0xffn}`;
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two zero groups or more as `::`. */
function formatV6(value: bigint): string {
  const groups: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((value >> shift) & 0xffffn).toString(16));
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === '0') length++;
    if (length > bestLength) {
      best = i;
      bestLength = length;
    }
  }
  if (best === -1) return groups.join(':');
  return `${groups.slice(0, best).join(':')}::${groups.slice(best + bestLength).join(':')}`;
}

/** Canonical text: RFC 5952 for IPv6, without brackets or zone; IPv4-mapped as IPv4. Undefined: not an IP. */
export function canonicalIp(text: string): string | undefined {
  // What the kernel reports for nearly every connection: IPv4, plain or mapped on a dual-stack socket.
  const plain = text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text;
  if (isIPv4(plain)) return plain;
  const ip = parseIp(text);
  if (ip === undefined) return undefined;
  return ip.bits === 32 ? formatV4(ip.value) : formatV6(ip.value);
}

/** For addresses that the kernel reported; empty if the socket is gone. */
export function socketIp(address: string | undefined): string {
  return address === undefined ? '' : (canonicalIp(address) ?? '');
}

/** A range that was parsed once, for matching connections against. */
export class IpRange {
  readonly prefixBits: number;
  private readonly family: 32 | 128;
  private readonly prefix: bigint;
  private readonly shift: bigint;

  constructor(range: CidrRange) {
    const ip = parseIp(range.ip) ?? { bits: 128, value: 0n };
    this.family = ip.bits;
    this.prefixBits = Math.min(range.prefixBits, ip.bits);
    this.shift = BigInt(ip.bits - this.prefixBits);
    this.prefix = ip.value >> this.shift;
  }

  contains(ip: string): boolean {
    const parsed = parseIp(ip);
    return parsed !== undefined && parsed.bits === this.family && parsed.value >> this.shift === this.prefix;
  }
}

/** Of the addresses that were asked for last; one of a connection is asked for with each of its requests. */
const BITS_KEPT_MAX = 1_024;
const bitsKept = new Map<string, string>();

const digits = (ip: ParsedIp): string => (ip.bits === 32 ? '4' : '6') + ip.value.toString(2).padStart(ip.bits, '0');

/** The family and each bit as a character, so that a range is a prefix. Empty: not an address. */
export function ipDigits(ip: string): string {
  const kept = bitsKept.get(ip);
  if (kept !== undefined) return kept;
  const parsed = parseIp(ip);
  const made = parsed === undefined ? '' : digits(parsed);
  if (bitsKept.size >= BITS_KEPT_MAX) bitsKept.clear();
  bitsKept.set(ip, made);
  return made;
}

/** What the digits of all addresses of a range begin with. */
export function rangeDigits({ ip, prefixBits }: CidrRange): string {
  const parsed = parseIp(ip);
  // No address begins with it.
  return parsed === undefined ? '-' : digits(parsed).slice(0, 1 + prefixBits);
}

/** The network of so many bits that the address is in, in CIDR notation; undefined: it is no address. */
export function networkOf(ip: string, prefixBits: number): string | undefined {
  const parsed = parseIp(ip);
  if (parsed === undefined) return undefined;
  const bits = Math.min(prefixBits, parsed.bits);
  const shift = BigInt(parsed.bits - bits);
  const value = (parsed.value >> shift) << shift;
  return `${parsed.bits === 32 ? formatV4(value) : formatV6(value)}/${bits}`;
}
