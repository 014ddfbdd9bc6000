import { malformedResponse, type ProxyError } from '../errors.ts';
import {
  type HttpVersion,
  meansContent,
  type RequestHead,
  type ResponseHead,
  type ResponseReceiver,
  type Upstream,
} from '../exchange.ts';
import type { Headers } from '../headers.ts';
import { ErrorCode, errorCodeName } from './frames.ts';
import type { H2Error } from './h2-error.ts';
import type { ByteWriter } from './hpack/byte-writer.ts';
import type { Session } from './session.ts';
import { EMPTY, H2Stream, QUEUE_BYTES_MAX } from './stream.ts';
import { acceptOf, isWebSocketField } from './websocket.ts';

/** Interim responses to one request; more is an upstream gone wrong. */
export const INTERIM_RESPONSES_MAX = 32;

export interface ClientStreamOwner {
  readonly session: Session;
  readonly mesh: boolean;
  /** Given up before it was sent. */
  onWithdrawn(stream: ClientStream): void;
}

/** One request on an upstream connection, with what is known of its response. */
export class ClientStream extends H2Stream implements Upstream {
  readonly head: RequestHead;
  /** What the far side is to speak to its application. */
  private readonly version: HttpVersion;
  readonly receiver: ResponseReceiver;
  override headSeen = false;
  interims = 0;
  /** Bytes that the connection had received when it was opened. */
  readonly receivedBefore: number;
  private readonly owner: ClientStreamOwner;
  /** Waits for the peer's SETTINGS. */
  private sent = false;
  private tunnel = false;
  /** The receiver has been told the end, or has given up. */
  private over = false;
  /** Content that was declared and is still to be written, -1: not declared. */
  private remaining = -1;
  private endOfRequest = false;

  constructor(
    owner: ClientStreamOwner,
    id: number,
    head: RequestHead,
    receiver: ResponseReceiver,
    version: HttpVersion,
  ) {
    super(id, owner.session.peer.initialWindowBytes, owner.session.options.http2.streamWindowBytes);
    this.owner = owner;
    this.head = head;
    this.version = version;
    this.receiver = receiver;
    this.receivedBefore = owner.session.receivedBytes;
  }

  get wantsTunnel(): boolean {
    return this.head.protocol !== undefined;
  }

  /** Writes the request's head; `end`: there is nothing else (RFC 9113 section 8.3.1, RFC 8441 section 4). */
  begin(end: boolean): void {
    const { session, mesh } = this.owner;
    const { head } = this;
    this.sent = true;
    this.sendWindow = session.peer.initialWindowBytes;
    const writer = session.beginBlock();
    const { encoder } = session;
    const { protocol } = head;
    // Between sidecars the method of an HTTP/1 Upgrade is kept.
    const method = protocol === undefined || mesh ? head.method : 'CONNECT';
    encoder.pseudo(':method', method, writer);
    if (protocol !== '') encoder.pseudo(':scheme', head.scheme, writer);
    encoder.pseudo(':authority', head.authority, writer);
    if (protocol !== '') encoder.pseudo(':path', head.path, writer);
    if (protocol !== undefined && protocol !== '') encoder.pseudo(':protocol', protocol, writer);
    if (mesh && this.version !== 20) encoder.pseudo(':weft-version', this.version === 11 ? '1.1' : '1.0', writer);
    this.writeFields(end, writer);
    session.endBlock(this, end && protocol === undefined);
  }

  private writeFields(end: boolean, writer: ByteWriter): void {
    const { session, mesh } = this.owner;
    const { encoder } = session;
    const { head } = this;
    const { headers } = head;
    const count = headers.length;
    const dropsKey = !mesh && head.protocol === 'websocket';
    for (let i = 0; i < count; i++) {
      if (dropsKey && isWebSocketField(headers.lowerAt(i))) continue;
      session.writeField(headers, i, writer);
    }
    if (head.protocol !== undefined) return;
    const length = head.contentLength;
    if (!end) this.remaining = length;
    if (end ? meansContent(head.method) : length >= 0) {
      encoder.field('content-length', 'content-length', end ? '0' : `${length}`, writer);
    }
    if (head.expectContinue && !end) encoder.field('expect', 'expect', '100-continue', writer);
  }

  // What the dispatcher does.

  consumed(bytes: number): void {
    this.owner.session.returnCredit(this, bytes);
  }

  write(chunk: Buffer, end: boolean): boolean {
    if (this.over || this.closed || this.endOfRequest) return true;
    if (this.remaining >= 0) {
      this.remaining -= chunk.length;
      if (this.remaining < 0 || (end && this.remaining > 0)) {
        this.breakOff();
        return true;
      }
    }
    if (end) this.endOfRequest = true;
    if (this.sent) {
      this.owner.session.sendData(this, chunk, end);
    } else {
      this.enqueue(chunk);
      this.endQueued = end;
    }
    // Stays until `onWritable`: who is told to wait is owed that call, however much has left in between.
    if (this.queuedBytes >= QUEUE_BYTES_MAX) this.producerWaits = true;
    return !this.producerWaits;
  }

  trailers(trailers: Headers): void {
    if (this.over || this.closed || this.endOfRequest) return;
    if (this.remaining > 0) {
      this.breakOff();
      return;
    }
    this.endOfRequest = true;
    if (this.sent) this.owner.session.sendTrailers(this, trailers);
    else this.trailersQueued = trailers;
  }

  reset(_error: ProxyError): void {
    if (this.over && this.closed) return;
    this.over = true;
    if (!this.sent) this.owner.onWithdrawn(this);
    // After a complete response the rest of the request is merely of no use any more.
    else this.owner.session.resetStream(this, this.remoteEnded ? ErrorCode.NO_ERROR : ErrorCode.CANCEL);
  }

  // What the connection tells.

  onInterim(head: ResponseHead): void {
    if (!this.over) this.receiver.onInterim(head);
  }

  onHead(head: ResponseHead, end: boolean): void {
    this.headSeen = true;
    const { status } = head;
    this.tunnel = this.wantsTunnel && status >= 200 && status < 300;
    if (this.tunnel) {
      head.contentLength = -1;
      if (this.head.protocol !== '') this.toUpgrade(head);
    } else {
      // RFC 9110 sections 9.3.2 and 15.4.5: the length is that of another response, and there is no content.
      const empty = this.head.method === 'HEAD' || status === 304;
      if (empty) this.expectedBytes = 0;
      else if (head.contentLength >= 0) this.expectedBytes = head.contentLength;
      if (this.wantsTunnel) this.refuseTunnel();
    }
    if (end) this.remoteEnded = true;
    if (!this.over) {
      this.receiver.onHead(head, end && !this.tunnel);
      if (end && this.tunnel && !this.over) this.receiver.onData(EMPTY, true);
    }
    if (end) this.finishResponse();
  }

  onData(chunk: Buffer, end: boolean): void {
    if (!this.over) this.receiver.onData(chunk, end);
    if (end) this.finishResponse();
  }

  onTrailers(trailers: Headers): void {
    if (!this.over) this.receiver.onTrailers(trailers);
    this.finishResponse();
  }

  onWritable(): void {
    if (!this.over) this.receiver.onWritable();
  }

  onLocalEnd(): void {
    if (this.remoteEnded) this.owner.session.endStream(this);
  }

  onPeerReset(code: number): void {
    const refused = code === ErrorCode.REFUSED_STREAM;
    // The server and we do not agree on the protocol: told apart from a server that merely gave up.
    const protocol = code === ErrorCode.PROTOCOL_ERROR;
    this.fail({
      source: 'upstream',
      flag: protocol ? 'UPE' : 'UR',
      status: protocol ? 502 : 503,
      retry: refused ? 'yes' : this.headSeen ? 'no' : 'idempotent',
      detail: `upstream reset the stream: ${errorCodeName(code)}`,
    });
  }

  beforeReset(_error: H2Error): void {
    // Nothing can be said before a reset to a server.
  }

  onError(error: H2Error): void {
    const failure = malformedResponse(error);
    this.fail(this.headSeen ? { ...failure, retry: 'no' } : failure);
  }

  /** The stream is closed already. After a complete response nobody waits for anything any more. */
  fail(error: ProxyError): void {
    const told = this.over || this.remoteEnded;
    this.over = true;
    if (!told) this.receiver.onReset(error);
  }

  private finishResponse(): void {
    if (this.localEnded) this.owner.session.endStream(this);
  }

  /** Status 101 and the answer to its key are what an HTTP/1 client waits for. */
  private toUpgrade(head: ResponseHead): void {
    head.status = 101;
    const key = this.head.headers.get('sec-websocket-key');
    if (this.head.protocol === 'websocket' && key !== undefined && !head.headers.has('sec-websocket-accept')) {
      head.headers.append('Sec-WebSocket-Accept', acceptOf(key));
    }
  }

  /** Nothing follows the request that asked; what was sent ahead is dropped with the tunnel. */
  private refuseTunnel(): void {
    this.dropQueue();
    if (this.localEnded) return;
    this.endOfRequest = true;
    this.owner.session.sendData(this, EMPTY, true);
  }

  private breakOff(): void {
    this.over = true;
    this.owner.session.resetStream(this, ErrorCode.CANCEL);
    this.receiver.onReset({
      source: 'internal',
      flag: 'UPE',
      status: 502,
      retry: 'no',
      detail: 'the request body is not as long as declared (RFC 9113 section 8.1.1)',
    });
  }
}
