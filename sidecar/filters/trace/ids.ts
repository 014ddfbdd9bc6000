import type { Prng } from '@weft/policies/kit/prng';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const TWO_TO_32 = 4_294_967_296;

function hex(bits: number): string {
  return (
    (HEX[(bits >>> 24) & 0xff] ?? '') +
    (HEX[(bits >>> 16) & 0xff] ?? '') +
    (HEX[(bits >>> 8) & 0xff] ?? '') +
    (HEX[bits & 0xff] ?? '')
  );
}

const ZERO_SPAN = '0'.repeat(16);

function hex32(prng: Prng): string {
  return hex(prng.next() * TWO_TO_32);
}

/** 8 bytes as hex, never all zero (W3C Trace Context section 3.2.2.4). */
export function newSpanId(prng: Prng): string {
  const id = hex32(prng) + hex32(prng);
  return id === ZERO_SPAN ? '0000000000000001' : id;
}

/** 16 bytes as hex, never all zero (W3C Trace Context section 3.2.2.3). */
export function newTraceId(prng: Prng): string {
  return newSpanId(prng) + newSpanId(prng);
}

/** A version 4 UUID (RFC 9562 section 5.4). */
export function newRequestId(prng: Prng): string {
  const a = prng.next() * TWO_TO_32;
  const b = prng.next() * TWO_TO_32;
  const c = prng.next() * TWO_TO_32;
  const version = HEX[((b >>> 8) & 0x0f) | 0x40] ?? '';
  const variant = HEX[((c >>> 24) & 0x3f) | 0x80] ?? '';
  const middle = `${HEX[(b >>> 24) & 0xff]}${HEX[(b >>> 16) & 0xff]}-${version}${HEX[b & 0xff]}`;
  return `${hex(a)}-${middle}-${variant}${HEX[(c >>> 16) & 0xff]}-${HEX[(c >>> 8) & 0xff]}${HEX[c & 0xff]}${hex32(prng)}`;
}
