import type { ProxyError } from '../errors.ts';
import type { Downstream, DownstreamConnection, RequestHead, RequestReceiver, ResponseHead } from '../exchange.ts';
import { Headers } from '../headers.ts';
import { ErrorCode, errorCodeName } from './frames.ts';
import { type H2Error, requestError } from './h2-error.ts';
import type { Session } from './session.ts';
import { EMPTY, H2Stream, QUEUE_BYTES_MAX } from './stream.ts';
import { isWebSocketField } from './websocket.ts';

/** `head`: not begun; `body`: head is out; `ended`: complete; `dead`: reset, by either side. */
export type ResponseState = 'head' | 'body' | 'ended' | 'dead';

export interface ServerStreamOwner {
  readonly session: Session;
  readonly connection: DownstreamConnection;
  readonly mesh: boolean;
  readonly streamIdleTimeoutMs: number;
  /** `Date` of a response that has none. */
  date(): string;
  /** The receiver is to be told after the next flush that this was all. */
  finished(stream: ServerStream): void;
  refuse(stream: ServerStream, error: H2Error): void;
}

/** One request on an HTTP/2 connection, and the writing side of its response (RFC 9113 section 8.1). */
export class ServerStream extends H2Stream implements Downstream {
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  receiver: RequestReceiver | undefined = undefined;
  idleTimeoutMs: number;
  state: ResponseState = 'head';
  /** When the request began, on the connection's clock. */
  readonly startMs: number;
  private readonly owner: ServerStreamOwner;
  /** 100 was sent, or is not awaited. */
  private continued: boolean;
  private tunnel = false;
  /** Content that was declared and is still to be written, -1: not declared. */
  private remaining = -1;
  /** HEAD, 204 and 304: what is written as content is not sent. */
  private bodyless = false;

  constructor(owner: ServerStreamOwner, id: number, head: RequestHead, endStream: boolean, receiveWindow: number) {
    const { session } = owner;
    super(id, session.peer.initialWindowBytes, receiveWindow);
    this.owner = owner;
    this.head = head;
    this.endOfRequest = endStream && head.protocol === undefined;
    this.remoteEnded = endStream;
    this.continued = !head.expectContinue;
    if (head.contentLength > 0) this.expectedBytes = head.contentLength;
    else if (head.contentLength === 0 && !endStream && head.protocol === undefined) this.expectedBytes = 0;
    this.idleTimeoutMs = owner.streamIdleTimeoutMs;
    this.startMs = session.nowMs;
    this.activeMs = session.nowMs;
  }

  get connection(): DownstreamConnection {
    return this.owner.connection;
  }

  /** The time for the whole request runs; a client that is answered meanwhile may go on as long as it sends. */
  get waitsForRequest(): boolean {
    return !this.remoteEnded && this.state === 'head';
  }

  // What the dispatcher does.

  consumed(bytes: number): void {
    if (this.state === 'dead') return;
    // Accepting the content without an upstream that answers 100 itself (RFC 9110 section 10.1.1).
    if (!this.continued && this.state === 'head') {
      this.continued = true;
      this.writeHead(100, undefined, false);
    }
    this.owner.session.returnCredit(this, bytes);
  }

  interim(head: ResponseHead): void {
    // RFC 9110 section 15.2: never to an HTTP/1.0 client, which may be behind the other sidecar.
    if (this.state !== 'head' || this.head.version === 10 || head.status === 101) return;
    if (head.status === 100) this.continued = true;
    this.writeHead(head.status, head, false);
  }

  respond(head: ResponseHead, end: boolean): void {
    if (this.state !== 'head') return;
    this.state = 'body';
    const { status } = head;
    const wanted = this.head.protocol;
    this.tunnel = wanted !== undefined && (status === 101 || (wanted === '' && status >= 200 && status < 300));
    if (status === 101 && !this.tunnel) {
      this.abort(ErrorCode.INTERNAL_ERROR);
      return;
    }
    this.bodyless = !this.tunnel && (status === 204 || status === 304 || this.head.method === 'HEAD');
    this.remaining = this.tunnel || this.bodyless ? -1 : head.contentLength;
    if (end && this.remaining > 0) {
      this.abort(ErrorCode.INTERNAL_ERROR);
      return;
    }
    // RFC 8441 section 5: the tunnel is accepted by a status of the 200 range.
    this.writeHead(status === 101 ? 200 : status, head, end);
  }

  write(chunk: Buffer, end: boolean): boolean {
    if (this.state !== 'body') return true;
    if (this.remaining >= 0) {
      this.remaining -= chunk.length;
      // The client would take a content of another length for a broken message, and is told that it is one.
      if (this.remaining < 0 || (end && this.remaining > 0)) {
        this.abort(ErrorCode.INTERNAL_ERROR);
        return true;
      }
    }
    this.owner.session.sendData(this, this.bodyless ? EMPTY : chunk, end);
    // Stays until `onWritable`: who is told to wait is owed that call, however much has left in between.
    if (this.queuedBytes >= QUEUE_BYTES_MAX) this.producerWaits = true;
    return !this.producerWaits;
  }

  trailers(trailers: Headers): void {
    if (this.state !== 'body') return;
    if (this.remaining > 0) this.abort(ErrorCode.INTERNAL_ERROR);
    else this.owner.session.sendTrailers(this, trailers);
  }

  reset(error: ProxyError): void {
    if (this.state === 'dead' || this.state === 'ended') return;
    this.abort(resetCode(error));
  }

  // What the connection tells.

  onData(chunk: Buffer, end: boolean): void {
    const { receiver } = this;
    if (receiver !== undefined && this.state !== 'dead') {
      this.continued = true;
      receiver.onData(chunk, end);
    }
    if (end) this.finishIfDone();
  }

  onTrailers(trailers: Headers): void {
    if (this.state !== 'dead') this.receiver?.onTrailers(trailers);
    this.finishIfDone();
  }

  onWritable(): void {
    this.receiver?.onWritable();
  }

  onLocalEnd(): void {
    this.state = 'ended';
    if (!this.remoteEnded && !this.tunnel) {
      // RFC 9113 section 8.1: the rest of the request is of no use any more.
      this.owner.session.resetStream(this, ErrorCode.NO_ERROR);
      this.owner.finished(this);
    } else {
      this.finishIfDone();
    }
  }

  onPeerReset(code: number): void {
    const detail = `the client reset the stream: ${errorCodeName(code)}`;
    this.end({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail });
  }

  beforeReset(error: H2Error): void {
    // Who has it already gives it up, and has no answer for it: this is the answer.
    if (error.kind === 'content-too-large' && this.state === 'head' && this.receiver !== undefined) {
      this.timeOut(requestError(error));
      return;
    }
    if (this.state === 'head' && error.scope === 'message') this.owner.refuse(this, error);
  }

  onError(error: H2Error): void {
    const { state } = this;
    this.end(state === 'head' ? unanswered(requestError(error)) : requestError(error));
  }

  /** The exchange is over without the rest of it; the stream is closed already. */
  end(error: ProxyError): void {
    const { receiver } = this;
    const complete = this.state === 'ended' && !this.tunnel;
    this.receiver = undefined;
    this.state = 'dead';
    if (!complete) receiver?.onReset(error);
    receiver?.onDone();
  }

  /** The connection ends the exchange, with an answer where there is none yet: a deadline or a bound was passed. */
  timeOut(error: ProxyError): void {
    const { receiver } = this;
    if (this.state === 'head' && receiver?.onFailure !== undefined) {
      receiver.onFailure(error);
      if (this.answered) return;
    }
    this.receiver = undefined;
    if (this.state !== 'ended') receiver?.onReset(error);
    if (this.state === 'head') {
      this.respond({ status: error.status, reason: '', headers: new Headers(), contentLength: 0 }, true);
    } else {
      this.state = 'dead';
      this.owner.session.resetStream(this, ErrorCode.CANCEL);
    }
    receiver?.onDone();
  }

  private get answered(): boolean {
    return this.state !== 'head';
  }

  private finishIfDone(): void {
    if (!this.localEnded || !this.remoteEnded || this.closed) return;
    this.owner.session.endStream(this);
    this.owner.finished(this);
  }

  private abort(code: number): void {
    this.state = 'dead';
    this.owner.session.resetStream(this, code);
    this.owner.finished(this);
  }

  private writeHead(status: number, head: ResponseHead | undefined, end: boolean): void {
    const { session } = this.owner;
    const writer = session.beginBlock();
    const { encoder } = session;
    encoder.status(status, writer);
    if (head !== undefined) {
      const { headers } = head;
      const count = headers.length;
      // Its answer to the key that RFC 8441 has no use for; between sidecars the client behind the other one waits for it.
      const dropsAccept = this.tunnel && !this.owner.mesh;
      let dated = status < 200;
      for (let i = 0; i < count; i++) {
        const lower = headers.lowerAt(i);
        if (lower === 'date') dated = true;
        if (dropsAccept && isWebSocketField(lower)) continue;
        session.writeField(headers, i, writer);
      }
      if (!dated) encoder.field('date', 'date', this.owner.date(), writer);
      if (head.contentLength >= 0 && status >= 200 && status !== 204 && !this.tunnel) {
        encoder.field('content-length', 'content-length', lengthText(head.contentLength), writer);
      }
    }
    session.endBlock(this, end);
  }
}

function lengthText(length: number): string {
  return `${length}`;
}

/** Told to whom it concerns where the client is told nothing. */
export const unanswered = (error: ProxyError): ProxyError => ({ ...error, status: 0 });

function resetCode(error: ProxyError): number {
  if (error.flag === 'DR' || error.flag === 'OM') return ErrorCode.REFUSED_STREAM;
  return error.source === 'downstream' || error.flag === 'SI' || error.flag === 'DT'
    ? ErrorCode.CANCEL
    : ErrorCode.INTERNAL_ERROR;
}
