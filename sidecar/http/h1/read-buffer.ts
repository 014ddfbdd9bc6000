export const EMPTY: Buffer = Buffer.alloc(0);
const SPARE_BYTES_MIN = 1024;

/**
 * Bytes that were read and not parsed yet. In the usual case it is the chunk of the socket itself; only what is left
 * over when more arrives is copied, into a buffer that doubles, so that a head sent octet by octet costs linear time.
 * A borrowed chunk is only lent for the time of one read: `settle` ends it.
 */
export class ReadBuffer {
  bytes: Buffer = EMPTY;
  at = 0;
  end = 0;
  private owned = false;
  private borrowed = false;

  get length(): number {
    return this.end - this.at;
  }

  push(chunk: Buffer, borrowed = false): void {
    if (this.at === this.end) {
      this.borrowed = borrowed;
      this.bytes = chunk;
      this.at = 0;
      this.end = chunk.length;
      this.owned = false;
      return;
    }
    const held = this.end - this.at;
    // Slices of what came before may be in the hands of a receiver: bytes are only ever added behind `end`.
    if (!this.owned || this.end + chunk.length > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(2 * (held + chunk.length) + SPARE_BYTES_MIN);
      this.bytes.copy(grown, 0, this.at, this.end);
      this.bytes = grown;
      this.at = 0;
      this.end = held;
      this.owned = true;
    }
    chunk.copy(this.bytes, this.end);
    this.end += chunk.length;
  }

  /** What was lent is given back: what is left of it is copied. */
  settle(): void {
    if (!this.borrowed) return;
    this.borrowed = false;
    if (this.at === this.end) {
      this.clear();
      return;
    }
    const held = Buffer.allocUnsafe(this.end - this.at);
    this.bytes.copy(held, 0, this.at, this.end);
    this.bytes = held;
    this.at = 0;
    this.end = held.length;
    this.owned = false;
  }

  /** The next `count` bytes, or all that there are; they stay valid. */
  take(count: number): Buffer {
    const to = Math.min(this.end, this.at + count);
    const taken = this.part(this.at, to);
    this.skip(to - this.at);
    return taken;
  }

  private part(from: number, to: number): Buffer {
    const { bytes } = this;
    if (!this.borrowed) return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    const copy = Buffer.allocUnsafe(to - from);
    bytes.copy(copy, 0, from, to);
    return copy;
  }

  /** A part of these bytes that stays valid. */
  own(part: Buffer): Buffer {
    return this.borrowed ? Buffer.from(part) : part;
  }

  skip(count: number): void {
    this.at += count;
    if (this.at === this.end) this.clear();
  }

  /** Where the first CRLF is, or -1. What lies behind `end` was never received. */
  lineEnd(): number {
    const found = this.bytes.indexOf('\r\n', this.at, 'latin1');
    return found === -1 || found + 2 > this.end ? -1 : found;
  }

  clear(): void {
    this.bytes = EMPTY;
    this.at = 0;
    this.end = 0;
    this.owned = false;
    this.borrowed = false;
  }
}

export const HEAD_INCOMPLETE = -1;
export const HEAD_TOO_LARGE = -2;

const CR = 0x0d;
const LF = 0x0a;
/** Up to here a loop finds it sooner than a call into Node. */
const LOOP_BYTES_MAX = 1_024;

/** The first CRLF CRLF, or -1. Looks at every fourth octet as long as none of those is a part of it. */
function emptyLineAt(bytes: Buffer, at: number, end: number): number {
  const loopEnd = Math.min(end, at + LOOP_BYTES_MAX);
  let last = at + 3;
  while (last < loopEnd) {
    const octet = bytes[last];
    if (octet === CR) last++;
    else if (octet !== LF) last += 4;
    else if (bytes[last - 1] === CR && bytes[last - 2] === LF && bytes[last - 3] === CR) return last - 3;
    else last += 2;
  }
  return loopEnd === end ? -1 : bytes.indexOf('\r\n\r\n', loopEnd - 3, 'latin1');
}

/**
 * Where the head ends that begins at `buffer.at`: the offset of the line end before the empty line, HEAD_INCOMPLETE
 * or HEAD_TOO_LARGE. An empty line after a bare LF ends a head too, so that the parser can refuse it at once instead
 * of waiting for more.
 */
export function findHeadEnd(buffer: ReadBuffer, bytesMax: number): number {
  const { bytes, at, end } = buffer;
  const limit = at + bytesMax;
  const strict = emptyLineAt(bytes, at, end);
  if (strict !== -1 && strict + 4 <= end) return strict <= limit ? strict : lenientEnd(buffer, limit, HEAD_TOO_LARGE);
  return lenientEnd(buffer, limit, end - at > bytesMax + 4 ? HEAD_TOO_LARGE : HEAD_INCOMPLETE);
}

function lenientEnd(buffer: ReadBuffer, limit: number, otherwise: number): number {
  const { bytes, at, end } = buffer;
  let lf = bytes.indexOf(LF, at);
  while (lf !== -1 && lf < end && lf <= limit) {
    // The bare LF is left in the text: the parser names it, or what is wrong before it.
    if (lf === at || bytes[lf - 1] !== CR) return lf + 1;
    lf = bytes.indexOf(LF, lf + 1);
  }
  return otherwise;
}
