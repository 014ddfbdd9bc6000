import type { ProxyError } from './errors.ts';
import type { Downstream, DownstreamConnection, RequestHead, RequestReceiver, ResponseHead } from './exchange.ts';
import type { Headers } from './headers.ts';

/** Stands between the codec and the stream of a request, and neither knows. It passes on whatever is not overridden. */
export abstract class InterposedExchange implements Downstream, RequestReceiver {
  receiver: RequestReceiver | undefined;
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  readonly connection: DownstreamConnection;
  protected readonly inner: Downstream;

  constructor(inner: Downstream) {
    this.inner = inner;
    this.head = inner.head;
    this.endOfRequest = inner.endOfRequest;
    this.connection = inner.connection;
    this.receiver = inner.receiver;
    inner.receiver = this;
  }

  /** The exchange ends: may be called more than once. */
  protected abstract stop(): void;

  get bytesReceived(): number {
    return this.inner.bytesReceived;
  }

  get bytesSent(): number {
    return this.inner.bytesSent;
  }

  get idleTimeoutMs(): number {
    return this.inner.idleTimeoutMs;
  }

  set idleTimeoutMs(timeoutMs: number) {
    this.inner.idleTimeoutMs = timeoutMs;
  }

  consumed(bytes: number): void {
    this.inner.consumed(bytes);
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
  }

  onTrailers(trailers: Headers): void {
    this.receiver?.onTrailers(trailers);
  }

  onReset(error: ProxyError): void {
    this.stop();
    this.receiver?.onReset(error);
  }

  onFailure(error: ProxyError): void {
    const { receiver } = this;
    if (receiver?.onFailure === undefined) this.onReset(error);
    else receiver.onFailure(error);
  }

  onWritable(): void {
    this.receiver?.onWritable();
  }

  onDone(): void {
    this.stop();
    this.receiver?.onDone();
  }
}
