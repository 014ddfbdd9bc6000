import type { ProxyError } from '../../http/errors.ts';
import type {
  Downstream,
  DownstreamConnection,
  RequestHead,
  RequestReceiver,
  ResponseHead,
} from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';

/** Bodies that authorizers are to see, of all requests of a thread that are held together. */
const TAPPED_BYTES_MAX = 67_108_864;

let tappedBytes = 0;

export type TapEnd = 'whole' | 'full' | 'overflow';

/**
 * Stands between codec and stream and keeps the beginning of the body, which goes on to the stream as well. The client
 * gets its credits for that at once, since nothing else takes the body while the request is held; what the stream gives
 * back later is taken off.
 */
export class BodyTap implements Downstream, RequestReceiver {
  receiver: RequestReceiver | undefined;
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  readonly connection: DownstreamConnection;
  private readonly inner: Downstream;
  private readonly bytesMax: number;
  private onEnd: ((end: TapEnd) => void) | undefined;
  private chunks: Buffer[] = [];
  private bytes = 0;
  private prepaidBytes = 0;

  constructor(inner: Downstream, bytesMax: number, onEnd: (end: TapEnd) => void) {
    this.inner = inner;
    this.head = inner.head;
    this.endOfRequest = inner.endOfRequest;
    this.connection = inner.connection;
    this.receiver = inner.receiver;
    inner.receiver = this;
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
  stop(): void {
    tappedBytes -= this.bytes;
    this.bytes = 0;
    this.chunks = [];
    this.onEnd = undefined;
  }

  get bytesReceived(): number {
    return this.inner.bytesReceived;
  }

  get bytesSent(): number {
    return this.inner.bytesSent;
  }

  consumed(bytes: number): void {
    const paid = Math.min(bytes, this.prepaidBytes);
    this.prepaidBytes -= paid;
    if (bytes > paid || bytes === 0) this.inner.consumed(bytes - paid);
  }

  interim(head: ResponseHead): void {
    this.inner.interim(head);
  }

  respond(head: ResponseHead, end: boolean): void {
    this.inner.respond(head, end);
  }

  write(chunk: Buffer, end: boolean): boolean {
    return this.inner.write(chunk, end);
  }

  trailers(trailers: Headers): void {
    this.inner.trailers(trailers);
  }

  reset(error: ProxyError): void {
    this.stop();
    this.inner.reset(error);
  }

  onData(chunk: Buffer, end: boolean): void {
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

  onTrailers(trailers: Headers): void {
    this.receiver?.onTrailers(trailers);
    this.finish('whole');
  }

  onReset(error: ProxyError): void {
    this.stop();
    this.receiver?.onReset(error);
  }

  onWritable(): void {
    this.receiver?.onWritable();
  }

  onDone(): void {
    this.stop();
    this.receiver?.onDone();
  }

  private finish(end: TapEnd): void {
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.(end);
  }
}
