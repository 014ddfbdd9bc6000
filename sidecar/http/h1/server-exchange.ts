import type { ProxyError } from '../errors.ts';
import type { Downstream, DownstreamConnection, RequestHead, RequestReceiver, ResponseHead } from '../exchange.ts';
import { acceptOf } from '../h2/websocket.ts';
import type { Headers } from '../headers.ts';
import type { Output } from '../output.ts';
import { CHUNKED, UNTIL_CLOSE } from './framing.ts';
import { dateLine, lengthLine, statusLine } from './serialize.ts';

/** What an exchange needs of its connection. */
export interface ExchangeOwner {
  readonly output: Output;
  unixMs(): number;
  /** The receiver has returned credit. */
  onConsumed(exchange: ServerExchange, bytes: number): void;
  /** Asked once, when the final head is written: false if the connection has to close after this response. */
  keepsAlive(exchange: ServerExchange, delimited: boolean): boolean;
  onTunnel(exchange: ServerExchange): void;
  /** Bytes went out, or the response is complete. */
  onProgress(exchange: ServerExchange): void;
  /** The exchange cannot be completed: the connection ends. */
  onAbort(exchange: ServerExchange): void;
}

const ANNOUNCEABLE = 'HTTP/1.1 ';
const ANNOUNCED_AT_ONCE = 4;

/** `head`: not begun; `body`: head is out; `ended`: complete; `dead`: reset, by either side. */
export type ResponseState = 'head' | 'body' | 'ended' | 'dead';

/** One request on an HTTP/1.1 connection, with the writing side of its response (RFC 9112 section 6). */
export class ServerExchange implements Downstream {
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  readonly connection: DownstreamConnection;
  receiver: RequestReceiver | undefined = undefined;
  bytesReceived = 0;
  bytesSent = 0;
  state: ResponseState = 'head';
  /** 100 was sent, or is not awaited. */
  continued: boolean;
  /** Bytes handed to the receiver and not returned. */
  unconsumedBytes = 0;
  /** The request has been read to its end. */
  requestComplete: boolean;
  tunnel = false;
  /** Octets of the status line that are out ahead of it. */
  announced = 0;
  private readonly owner: ExchangeOwner;
  private idleMs: number;
  private readonly webSocketKey: string;
  /** Body bytes still to be written, CHUNKED, UNTIL_CLOSE; 0 also where no body may follow. */
  private framing = 0;
  private bodyless = false;

  constructor(
    owner: ExchangeOwner,
    head: RequestHead,
    endOfRequest: boolean,
    connection: DownstreamConnection,
    idleTimeoutMs: number,
  ) {
    this.owner = owner;
    this.idleMs = idleTimeoutMs;
    this.head = head;
    this.endOfRequest = endOfRequest;
    this.connection = connection;
    this.requestComplete = endOfRequest;
    this.continued = !head.expectContinue;
    this.webSocketKey = head.protocol === 'websocket' ? (head.headers.get('sec-websocket-key') ?? '') : '';
  }

  get idleTimeoutMs(): number {
    return this.idleMs;
  }

  set idleTimeoutMs(timeoutMs: number) {
    this.idleMs = timeoutMs;
    this.owner.onProgress(this);
  }

  /** The time for the whole request runs; a client that is answered meanwhile may go on as long as it sends. */
  get waitsForRequest(): boolean {
    return !this.requestComplete && this.state === 'head';
  }

  /** The receiver answers an error of the codec as it does those of its own; false: nobody has. */
  letAnswer(error: ProxyError): boolean {
    const { receiver } = this;
    if (this.state !== 'head' || receiver?.onFailure === undefined) return false;
    this.requestComplete = true;
    receiver.onFailure(error);
    return this.answered;
  }

  private get answered(): boolean {
    return this.state !== 'head';
  }

  /** Writes some of what every response begins with, ahead of it. False: there is nothing more to write so. */
  announce(): boolean {
    if (this.state !== 'head' || this.announced >= ANNOUNCEABLE.length) return false;
    const octets = ANNOUNCEABLE.slice(this.announced, this.announced + ANNOUNCED_AT_ONCE);
    this.announced += octets.length;
    this.bytesSent += octets.length;
    this.owner.output.text(octets);
    return true;
  }

  consumed(bytes: number): void {
    if (this.state === 'dead') return;
    // Accepting the content without an upstream that answers 100 itself (RFC 9110 section 10.1.1).
    if (!this.continued && this.state === 'head') {
      this.continued = true;
      this.emit('HTTP/1.1 100 Continue\r\n\r\n');
    }
    this.owner.onConsumed(this, bytes);
  }

  interim(head: ResponseHead): void {
    // RFC 9110 section 15.2: never to an HTTP/1.0 client.
    if (this.state !== 'head' || this.head.version === 10) return;
    if (head.status === 100) this.continued = true;
    this.emit(`${statusLine(head) + head.headers.lines}\r\n`);
    this.owner.onProgress(this);
  }

  respond(head: ResponseHead, end: boolean): void {
    if (this.state !== 'head') return;
    this.state = 'body';
    const isTunnel = this.head.protocol !== undefined && (head.status === 101 || this.isConnected(head.status));
    let text = statusLine(head) + head.headers.lines;
    if (!head.headers.has('date') && head.status >= 200) text += dateLine(this.owner.unixMs());
    text += isTunnel ? this.tunnelLines(head) : this.framingLines(head, end);
    this.emit(`${text}\r\n`);
    if (isTunnel) this.owner.onTunnel(this);
    if (end) this.finish();
    this.owner.onProgress(this);
  }

  write(chunk: Buffer, end: boolean): boolean {
    if (this.state !== 'body') return true;
    const output = this.owner.output;
    if (this.framing === CHUNKED) {
      if (chunk.length > 0) {
        const size = `${chunk.length.toString(16)}\r\n`;
        output.text(size);
        output.data(chunk);
        output.text(end ? '\r\n0\r\n\r\n' : '\r\n');
        this.bytesSent += size.length + chunk.length + 2;
      } else if (end) output.text('0\r\n\r\n');
      if (end) this.bytesSent += 5;
    } else if (this.framing === UNTIL_CLOSE) {
      output.data(chunk);
      this.bytesSent += chunk.length;
    } else {
      // More than was declared would be read as the next response: it is cut, and the connection does not live on.
      const fits = chunk.length <= this.framing ? chunk : chunk.subarray(0, this.framing);
      output.data(fits);
      this.bytesSent += fits.length;
      this.framing -= fits.length;
      if (fits !== chunk && !this.bodyless) {
        this.abort();
        return true;
      }
    }
    if (end) this.finish();
    this.owner.onProgress(this);
    return !output.full;
  }

  trailers(trailers: Headers): void {
    if (this.state !== 'body') return;
    if (this.framing === CHUNKED) this.emit(`0\r\n${trailers.lines}\r\n`);
    this.finish();
    this.owner.onProgress(this);
  }

  reset(_error: ProxyError): void {
    if (this.state === 'dead') return;
    this.abort();
  }

  /** Ended only by the end of the connection, so that cutting it short takes a TCP reset to be noticed. */
  get closeDelimited(): boolean {
    return this.framing === UNTIL_CLOSE;
  }

  private isConnected(status: number): boolean {
    return this.head.method === 'CONNECT' && status >= 200 && status < 300;
  }

  private tunnelLines(head: ResponseHead): string {
    this.tunnel = true;
    this.framing = UNTIL_CLOSE;
    if (head.status !== 101) return '';
    const upgrade = head.headers.has('upgrade') ? '' : `Upgrade: ${this.head.protocol}\r\n`;
    // From HTTP/2 the acceptance comes without the answer to the key (RFC 8441 section 5).
    const accept =
      this.webSocketKey === '' || head.headers.has('sec-websocket-accept')
        ? ''
        : `Sec-WebSocket-Accept: ${acceptOf(this.webSocketKey)}\r\n`;
    return `${upgrade}${accept}Connection: Upgrade\r\n`;
  }

  /** RFC 9112 section 6: what tells the end of the content, and whether the connection goes on. */
  private framingLines(head: ResponseHead, end: boolean): string {
    const { status, contentLength } = head;
    let text = '';
    this.bodyless = status === 204 || status === 304 || this.head.method === 'HEAD';
    if (this.bodyless) {
      if (status !== 204 && contentLength >= 0) text = lengthLine(contentLength);
      this.framing = 0;
    } else if (end) {
      text = 'Content-Length: 0\r\n';
      this.framing = 0;
    } else if (contentLength >= 0) {
      text = lengthLine(contentLength);
      this.framing = contentLength;
    } else if (this.head.version === 11) {
      text = 'Transfer-Encoding: chunked\r\n';
      this.framing = CHUNKED;
    } else {
      this.framing = UNTIL_CLOSE;
    }
    if (!this.owner.keepsAlive(this, this.framing !== UNTIL_CLOSE)) return `${text}Connection: close\r\n`;
    return this.head.version === 10 ? `${text}Connection: keep-alive\r\n` : text;
  }

  private emit(whole: string): void {
    const text = this.announced === 0 ? whole : whole.slice(this.announced);
    this.announced = 0;
    this.bytesSent += text.length;
    this.owner.output.text(text);
  }

  private finish(): void {
    // Fewer bytes than declared: the client must not take the next response for the rest.
    if (this.framing > 0) this.abort();
    else this.state = 'ended';
  }

  private abort(): void {
    this.state = 'dead';
    this.owner.onAbort(this);
  }
}
