import type { Prng } from '@weft/policies/kit/prng';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const TWO_TO_32 = 4_294_967_296;

function hex32(prng: Prng): string {
  const bits = prng.next() * TWO_TO_32;
  return (
    (HEX[(bits >>> 24) & 0xff] ?? '') +
    (HEX[(bits >>> 16) & 0xff] ?? '') +
    (HEX[(bits >>> 8) & 0xff] ?? '') +
    (HEX[bits & 0xff] ?? '')
  );
}

const ZERO_SPAN = '0'.repeat(16);

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
  const hex = newTraceId(prng);
  const variant = '89ab'[Number.parseInt(hex[16] ?? '0', 16) & 3] ?? '8';
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
