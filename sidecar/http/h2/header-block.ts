import { type H2Error, h2Error } from './h2-error.ts';

/** Frames of one block; those of a head within the usual bounds are far fewer. */
const FRAMES_MAX = 32;
/** Where heads may be so large that they need more than that: how full each frame has to be on average. */
const FRAME_BYTES_LEAST = 8_192;
const BYTES_MIN = 4_096;

/** A header block that comes in several frames (RFC 9113 section 4.3), within bounds. */
export class HeaderBlock {
  /** Of which stream, 0: no block is under way. */
  stream = 0;
  endStream = false;
  /** What was wrong with the frame that began it; said only once the block is decoded, for the table's sake. */
  error: H2Error | undefined = undefined;
  buffer: Buffer = Buffer.alloc(0);
  bytes = 0;
  private frames = 0;
  private readonly bytesMax: number;
  private readonly framesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
    this.framesMax = Math.max(FRAMES_MAX, Math.ceil(bytesMax / FRAME_BYTES_LEAST));
  }

  begin(stream: number, endStream: boolean, error: H2Error | undefined): void {
    this.stream = stream;
    this.endStream = endStream;
    this.error = error;
    this.bytes = 0;
    this.frames = 0;
  }

  append(buffer: Buffer, start: number, end: number): H2Error | undefined {
    const bytes = this.bytes + end - start;
    if (++this.frames > this.framesMax || bytes > this.bytesMax) {
      return h2Error('continuation-flood', `a header block of ${this.frames} frames and ${bytes} bytes`);
    }
    if (bytes > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.bytesMax, Math.max(BYTES_MIN, 2 * bytes)));
      this.buffer.copy(grown, 0, 0, this.bytes);
      this.buffer = grown;
    }
    buffer.copy(this.buffer, this.bytes, start, end);
    this.bytes = bytes;
    return undefined;
  }

  /** The block has been read: heads that large are rare, so its memory is not kept. */
  finish(): void {
    this.stream = 0;
    this.bytes = 0;
    this.buffer = Buffer.alloc(0);
    this.error = undefined;
  }
}
