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

const HYPHEN = 0x2d;
const VERSION_4 = 0x34;

/** The last four bits as a digit in lower case. */
function digit(bits: number): number {
  const value = bits & 0x0f;
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** A version 4 UUID (RFC 9562 section 5.4), made in one piece: every request that comes without an id gets one. */
export function newRequestId(words: RandomWords): string {
  const a = words.next();
  const b = words.next();
  const c = words.next();
  const d = words.next();
  // biome-ignore format: a line for each part
  return String.fromCharCode(
    digit(a >>> 28), digit(a >>> 24), digit(a >>> 20), digit(a >>> 16), digit(a >>> 12), digit(a >>> 8), digit(a >>> 4), digit(a), HYPHEN,
    digit(b >>> 28), digit(b >>> 24), digit(b >>> 20), digit(b >>> 16), HYPHEN,
    VERSION_4, digit(b >>> 8), digit(b >>> 4), digit(b), HYPHEN,
    digit(((c >>> 28) & 0x03) | 0x08), digit(c >>> 24), digit(c >>> 20), digit(c >>> 16), HYPHEN,
    digit(c >>> 12), digit(c >>> 8), digit(c >>> 4), digit(c),
    digit(d >>> 28), digit(d >>> 24), digit(d >>> 20), digit(d >>> 16), digit(d >>> 12), digit(d >>> 8), digit(d >>> 4), digit(d),
  );
}
