import type { Clock } from '@weft/policies/kit/clock';
import type { ProxyError } from '../../http/errors.ts';
import type {
  Downstream,
  DownstreamConnection,
  RequestHead,
  RequestReceiver,
  ResponseHead,
} from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import { Pace } from '../../net/pace.ts';

/** An exchange whose bodies go slowly. It stands between the codec and the request's stream, and neither knows. */
export class ThrottledExchange implements Downstream, RequestReceiver {
  receiver: RequestReceiver | undefined;
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  readonly connection: DownstreamConnection;
  private readonly inner: Downstream;
  private readonly up: Pace | undefined;
  private readonly down: Pace | undefined;

  /** KiB a second; 0: as fast as it goes. */
  constructor(inner: Downstream, requestRate: number, responseRate: number, clock: Clock) {
    this.inner = inner;
    this.head = inner.head;
    this.endOfRequest = inner.endOfRequest;
    this.connection = inner.connection;
    this.receiver = inner.receiver;
    inner.receiver = this;
    this.up =
      requestRate === 0
        ? undefined
        : new Pace(requestRate, clock, {
            onBytes: (chunk, end) => {
              this.receiver?.onData(chunk, end);
              return true;
            },
            onTrailers: (trailers) => this.receiver?.onTrailers(trailers),
            onDrained: () => undefined,
          });
    this.down =
      responseRate === 0
        ? undefined
        : new Pace(responseRate, clock, {
            onBytes: (chunk, end) => inner.write(chunk, end),
            onTrailers: (trailers) => inner.trailers(trailers),
            onDrained: () => this.receiver?.onWritable(),
          });
  }

  get bytesReceived(): number {
    return this.inner.bytesReceived;
  }

  get bytesSent(): number {
    return this.inner.bytesSent;
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
    if (this.down === undefined) return this.inner.write(chunk, end);
    this.down.push(chunk, end);
    return !this.down.waiting;
  }

  trailers(trailers: Headers): void {
    if (this.down === undefined) this.inner.trailers(trailers);
    else this.down.pushTrailers(trailers);
  }

  reset(error: ProxyError): void {
    this.stop();
    this.inner.reset(error);
  }

  onData(chunk: Buffer, end: boolean): void {
    if (this.up === undefined) this.receiver?.onData(chunk, end);
    else this.up.push(chunk, end);
  }

  onTrailers(trailers: Headers): void {
    if (this.up === undefined) this.receiver?.onTrailers(trailers);
    else this.up.pushTrailers(trailers);
  }

  onReset(error: ProxyError): void {
    this.stop();
    this.receiver?.onReset(error);
  }

  onWritable(): void {
    if (this.down === undefined) this.receiver?.onWritable();
    else this.down.resume();
  }

  onDone(): void {
    this.stop();
    this.receiver?.onDone();
  }

  private stop(): void {
    this.up?.stop();
    this.down?.stop();
  }
}
