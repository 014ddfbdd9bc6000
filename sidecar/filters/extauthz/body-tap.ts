import type { Downstream } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import { InterposedExchange } from '../../http/interposed.ts';

/** Bodies that authorizers are to see, of all requests of a thread that are held together. */
const TAPPED_BYTES_MAX = 67_108_864;

let tappedBytes = 0;

export type TapEnd = 'whole' | 'full' | 'overflow';

/**
 * Keeps the beginning of the body, which goes on to the stream as well. The client gets its credits for that at once,
 * since nothing else takes the body while the request is held; what the stream gives back later is taken off.
 */
export class BodyTap extends InterposedExchange {
  private readonly bytesMax: number;
  private onEnd: ((end: TapEnd) => void) | undefined;
  private chunks: Buffer[] = [];
  private bytes = 0;
  private prepaidBytes = 0;

  constructor(inner: Downstream, bytesMax: number, onEnd: (end: TapEnd) => void) {
    super(inner);
    this.bytesMax = bytesMax;
    this.onEnd = onEnd;
  }

  /** Asks a client that waits for that to go on (RFC 9110 section 10.1.1). */
  start(): void {
    this.inner.consumed(0);
  }

  /** What came so far, at most so much as is wanted. */
  take(): Buffer {
    const taken = Buffer.concat(this.chunks).subarray(0, this.bytesMax);
    this.stop();
    return taken;
  }

  /** Nothing more is kept. */
  override stop(): void {
    tappedBytes -= this.bytes;
    this.bytes = 0;
    this.chunks = [];
    this.onEnd = undefined;
  }

  override consumed(bytes: number): void {
    const paid = Math.min(bytes, this.prepaidBytes);
    this.prepaidBytes -= paid;
    if (bytes > paid || bytes === 0) this.inner.consumed(bytes - paid);
  }

  override onData(chunk: Buffer, end: boolean): void {
    this.receiver?.onData(chunk, end);
    if (this.onEnd === undefined) return;
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    tappedBytes += chunk.length;
    if (this.bytes > this.bytesMax) this.finish('full');
    else if (end) this.finish('whole');
    else if (tappedBytes > TAPPED_BYTES_MAX) this.finish('overflow');
    else {
      this.prepaidBytes += chunk.length;
      this.inner.consumed(chunk.length);
    }
  }

  override onTrailers(trailers: Headers): void {
    this.receiver?.onTrailers(trailers);
    this.finish('whole');
  }

  private finish(end: TapEnd): void {
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.(end);
  }
}
