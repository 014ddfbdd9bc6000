import type { RandomWords } from './words.ts';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hex(bits: number): string {
  return (
    (HEX[(bits >>> 24) & 0xff] ?? '') +
    (HEX[(bits >>> 16) & 0xff] ?? '') +
    (HEX[(bits >>> 8) & 0xff] ?? '') +
    (HEX[bits & 0xff] ?? '')
  );
}

const ZERO_SPAN = '0'.repeat(16);

function hex32(words: RandomWords): string {
  return hex(words.next());
}

/** 8 bytes as hex, never all zero (W3C Trace Context section 3.2.2.4). */
export function newSpanId(words: RandomWords): string {
  const id = hex32(words) + hex32(words);
  return id === ZERO_SPAN ? '0000000000000001' : id;
}

/** 16 bytes as hex, never all zero (W3C Trace Context section 3.2.2.3). */
export function newTraceId(words: RandomWords): string {
  return newSpanId(words) + newSpanId(words);
}

/** A version 4 UUID (RFC 9562 section 5.4). */
export function newRequestId(words: RandomWords): string {
  const a = words.next();
  const b = words.next();
  const c = words.next();
  const version = HEX[((b >>> 8) & 0x0f) | 0x40] ?? '';
  const variant = HEX[((c >>> 24) & 0x3f) | 0x80] ?? '';
  const middle = `${HEX[(b >>> 24) & 0xff]}${HEX[(b >>> 16) & 0xff]}-${version}${HEX[b & 0xff]}`;
  return `${hex(a)}-${middle}-${variant}${HEX[(c >>> 16) & 0xff]}-${HEX[(c >>> 8) & 0xff]}${HEX[c & 0xff]}${hex32(words)}`;
}
