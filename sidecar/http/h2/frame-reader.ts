import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX, readUint31 } from './frames.ts';
import { type H2Error, h2Error } from './h2-error.ts';

export interface FrameHandler {
  /** The payload is `buffer` from `start` to `end`; false: read no further. */
  onFrame(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): boolean;
}

/**
 * Cuts what a socket brings into frames (RFC 9113 section 4.1), in place; only a frame that is not complete in its
 * chunk is copied. Payloads may be kept by whom they are given to.
 */
export class FrameReader {
  private readonly handler: FrameHandler;
  /** The beginning of a header that is not complete. */
  private readonly header: Buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  private headerBytes = 0;
  /** A frame that is not complete, with its header. */
  private partial: Buffer | undefined = undefined;
  private partialBytes = 0;

  constructor(handler: FrameHandler) {
    this.handler = handler;
  }

  /** A frame has begun that is not complete. */
  get incomplete(): boolean {
    return this.headerBytes > 0 || this.partial !== undefined;
  }

  push(chunk: Buffer): H2Error | undefined {
    let at = 0;
    if (this.incomplete) {
      at = this.complete(chunk);
      if (at === -1) return this.tooLarge(this.header, 0);
      if (at === -2) return undefined;
    }
    const length = chunk.length;
    while (length - at >= FRAME_HEADER_BYTES) {
      const payload = payloadLength(chunk, at);
      if (payload > FRAME_PAYLOAD_BYTES_MAX) return this.tooLarge(chunk, at);
      const start = at + FRAME_HEADER_BYTES;
      const end = start + payload;
      if (end > length) break;
      if (!this.emit(chunk, at, start, end)) return undefined;
      at = end;
    }
    if (at < length) this.keep(chunk, at);
    return undefined;
  }

  clear(): void {
    this.headerBytes = 0;
    this.partial = undefined;
  }

  private emit(buffer: Buffer, at: number, start: number, end: number): boolean {
    const id = readUint31(buffer, at + 5);
    return this.handler.onFrame(buffer[at + 3] ?? 0, buffer[at + 4] ?? 0, id, buffer, start, end);
  }

  private keep(chunk: Buffer, at: number): void {
    const rest = chunk.length - at;
    if (rest < FRAME_HEADER_BYTES) {
      chunk.copy(this.header, 0, at);
      this.headerBytes = rest;
      return;
    }
    this.partial = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payloadLength(chunk, at));
    chunk.copy(this.partial, 0, at);
    this.partialBytes = rest;
  }

  /** Fills up the frame that was begun. Returns where the chunk goes on, -1: too large, -2: stop. */
  private complete(chunk: Buffer): number {
    let at = 0;
    if (this.partial === undefined) {
      at = Math.min(FRAME_HEADER_BYTES - this.headerBytes, chunk.length);
      chunk.copy(this.header, this.headerBytes, 0, at);
      this.headerBytes += at;
      if (this.headerBytes < FRAME_HEADER_BYTES) return -2;
      const payload = payloadLength(this.header, 0);
      if (payload > FRAME_PAYLOAD_BYTES_MAX) return -1;
      this.partial = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload);
      this.header.copy(this.partial);
      this.partialBytes = FRAME_HEADER_BYTES;
      this.headerBytes = 0;
    }
    const partial = this.partial;
    const take = Math.min(partial.length - this.partialBytes, chunk.length - at);
    chunk.copy(partial, this.partialBytes, at, at + take);
    this.partialBytes += take;
    if (this.partialBytes < partial.length) return -2;
    this.partial = undefined;
    return this.emit(partial, 0, FRAME_HEADER_BYTES, partial.length) ? at + take : -2;
  }

  private tooLarge(buffer: Buffer, at: number): H2Error {
    return h2Error('frame-size', `a frame of ${payloadLength(buffer, at)} bytes is above MAX_FRAME_SIZE`);
  }
}

function payloadLength(buffer: Buffer, at: number): number {
  return ((buffer[at] ?? 0) << 16) | ((buffer[at + 1] ?? 0) << 8) | (buffer[at + 2] ?? 0);
}
