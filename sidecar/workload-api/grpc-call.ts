/** One call of a gRPC server as its handler sees it, and as the exchange that carries it. */
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { frameMessage, MessageReader } from '../grpc/messages.ts';
import type { Downstream, RequestReceiver } from '../http/exchange.ts';
import { GrpcCode } from '../http/grpc-status.ts';
import { Headers } from '../http/headers.ts';
import type { PeerCredentials } from '../net/peer-credentials.ts';

export interface ServerCall {
  readonly peer: PeerCredentials;
  readonly metadata: Headers;
  send(message: Uint8Array): void;
  end(code: number, message?: string): void;
  /** Called once, however the call ends. */
  onEnd(listener: () => void): void;
}

export interface CallEvents {
  /** The request is whole. */
  onRequest(call: ServerCall, request: Buffer): void;
  readonly clock: Clock;
}

/** The largest request is a JWT to validate. */
const REQUEST_BYTES_MAX = 65_536;
const REQUEST_TIMEOUT_MS = 10_000;
/** Who takes nothing while rotations pile up is let go. */
const UNSENT_BYTES_MAX = 1_048_576;

export class ExchangeCall implements ServerCall, RequestReceiver {
  readonly peer: PeerCredentials;
  private readonly exchange: Downstream;
  private readonly events: CallEvents;
  private readonly reader: MessageReader;
  private readonly listeners: (() => void)[] = [];
  private readonly cancelLate: Cancel;
  private request: Buffer | undefined = undefined;
  /** Nothing more is sent; the status may still wait for the rest of the request. */
  private over = false;
  private requestEnded: boolean;
  private begun = false;
  private status: Headers | undefined = undefined;
  /** Since the client took the last of it. */
  private unsentBytes = 0;
  private waiting = false;

  constructor(exchange: Downstream, peer: PeerCredentials, events: CallEvents) {
    this.exchange = exchange;
    this.peer = peer;
    this.events = events;
    this.requestEnded = exchange.endOfRequest;
    this.reader = new MessageReader(REQUEST_BYTES_MAX, (message) => {
      if (this.request === undefined) this.request = Buffer.from(message);
      else this.end(GrpcCode.internal, 'more than one message');
    });
    this.cancelLate = events.clock.after(REQUEST_TIMEOUT_MS, () => {
      this.end(GrpcCode.deadlineExceeded, 'no whole request came');
      this.requestEnded = true;
      this.conclude();
    });
  }

  get metadata(): Headers {
    return this.exchange.head.headers;
  }

  send(message: Uint8Array): void {
    if (this.over) return;
    if (!this.begun) {
      this.begun = true;
      this.exchange.respond({ status: 200, reason: '', headers: answerHead(), contentLength: -1 }, false);
    }
    const framed = frameMessage(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
    if (this.waiting) this.unsentBytes += framed.length;
    if (!this.exchange.write(framed, false)) this.waiting = true;
    if (this.unsentBytes > UNSENT_BYTES_MAX) this.end(GrpcCode.resourceExhausted, 'too much is waiting to be taken');
  }

  end(code: number, message = ''): void {
    if (this.over) return;
    const status = this.begun ? new Headers() : answerHead();
    status.append('grpc-status', String(code));
    // gRPC over HTTP/2: percent-encoded UTF-8.
    if (message !== '') status.append('grpc-message', encodeURIComponent(message).replaceAll('%20', ' '));
    this.status = status;
    this.closed();
    this.conclude();
  }

  onEnd(listener: () => void): void {
    if (this.over) listener();
    else this.listeners.push(listener);
  }

  onData(chunk: Buffer, end: boolean): void {
    this.exchange.consumed(chunk.length);
    if (!this.over) {
      const wrong = this.reader.push(chunk);
      if (wrong !== undefined) this.end(GrpcCode.resourceExhausted, wrong);
    }
    if (end) this.onRequestEnd();
  }

  onTrailers(): void {
    this.onRequestEnd();
  }

  onReset(): void {
    this.cancelLate();
    this.status = undefined;
    this.closed();
  }

  onWritable(): void {
    this.waiting = false;
    this.unsentBytes = 0;
  }

  onDone(): void {
    this.onReset();
  }

  private onRequestEnd(): void {
    this.requestEnded = true;
    this.cancelLate();
    if (this.over) this.conclude();
    else if (this.request === undefined || !this.reader.atBoundary)
      this.end(GrpcCode.internal, 'the request was cut off');
    else this.events.onRequest(this, this.request);
  }

  /** An answer before the whole request would be followed by a reset, which may overtake it in the client. */
  private conclude(): void {
    const { status } = this;
    if (status === undefined || !this.requestEnded) return;
    this.status = undefined;
    if (this.begun) this.exchange.trailers(status);
    else this.exchange.respond({ status: 200, reason: '', headers: status, contentLength: -1 }, true);
  }

  private closed(): void {
    if (this.over) return;
    this.over = true;
    for (const listener of this.listeners) listener();
  }
}

const answerHead = (): Headers => Headers.from(['content-type', 'application/grpc']);
