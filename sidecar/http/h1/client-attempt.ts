import type { ProxyError } from '../errors.ts';
import { meansContent, type RequestHead, type ResponseReceiver, type Upstream, WINDOW_BYTES } from '../exchange.ts';
import { acceptOf, newWebSocketKey } from '../h2/websocket.ts';
import type { Headers } from '../headers.ts';
import type { Output } from '../output.ts';
import { CHUNKED } from './framing.ts';
import { requestLineAndHost } from './serialize.ts';

export interface AttemptOwner {
  readonly output: Output;
  onConsumed(attempt: ClientAttempt): void;
  onRequestEnd(attempt: ClientAttempt): void;
  onReset(attempt: ClientAttempt): void;
}

/** One request on an upstream connection: its writing side, and what is known of its response. */
export class ClientAttempt implements Upstream {
  readonly receiver: ResponseReceiver;
  readonly method: string;
  readonly wantsTunnel: boolean;
  alive = true;
  tunnel = false;
  headSeen = false;
  requestComplete = false;
  responseComplete = false;
  responseBytes = 0;
  unconsumedBytes = 0;
  private readonly owner: AttemptOwner;
  private readonly head: RequestHead;
  /** Bytes still to be written, or CHUNKED. */
  private framing = 0;
  /** Sent ahead for a tunnel that is not accepted yet: kept back, or it would be read as a request. */
  private early: Buffer[] = [];
  private earlyBytes = 0;
  private earlyEnd = false;
  /** Of a WebSocket handshake; made here where the request came without one (RFC 8441 section 5). */
  private webSocketKey = '';

  constructor(owner: AttemptOwner, head: RequestHead, receiver: ResponseReceiver) {
    this.owner = owner;
    this.head = head;
    this.receiver = receiver;
    this.method = head.method;
    this.wantsTunnel = head.protocol !== undefined;
  }

  begin(end: boolean): void {
    const head = this.head;
    let text = requestLineAndHost(head) + head.headers.lines;
    if (head.protocol !== undefined) {
      if (head.protocol !== '') text += this.upgradeLines(head, head.protocol);
    } else if (end) {
      this.requestComplete = true;
      if (meansContent(head.method)) text += 'Content-Length: 0\r\n';
    } else if (head.contentLength >= 0) {
      this.framing = head.contentLength;
      text += `Content-Length: ${head.contentLength}\r\n`;
    } else {
      this.framing = CHUNKED;
      text += 'Transfer-Encoding: chunked\r\n';
    }
    if (head.expectContinue && !end) text += 'Expect: 100-continue\r\n';
    // RFC 9110 section 10.1.4: TE concerns this connection, and has to be named so.
    if (head.protocol === undefined && head.headers.has('te')) text += 'Connection: TE\r\n';
    this.owner.output.text(`${text}\r\n`);
  }

  /** What is wrong with a 101; undefined: it is what was asked for (RFC 9110 section 7.8, RFC 6455 section 4.1). */
  switchError(upgrade: string, accept: string | undefined): string | undefined {
    const { protocol } = this.head;
    if (protocol === undefined || protocol === '') return 'a switch of protocols that was not asked for';
    if (upgrade.toLowerCase() !== protocol.toLowerCase()) return 'a switch to another protocol than was asked for';
    if (this.webSocketKey !== '' && accept !== acceptOf(this.webSocketKey)) {
      return 'a WebSocket handshake without the answer to its key';
    }
    return undefined;
  }

  private upgradeLines(head: RequestHead, protocol: string): string {
    const lines = `Connection: Upgrade\r\nUpgrade: ${protocol}\r\n`;
    if (protocol !== 'websocket') return lines;
    const key = head.headers.get('sec-websocket-key');
    // Over HTTP/1 a handshake without a key is the server's to refuse.
    if (key !== undefined || head.version !== 20) {
      this.webSocketKey = key ?? '';
      return lines;
    }
    this.webSocketKey = newWebSocketKey();
    const version = head.headers.has('sec-websocket-version') ? '' : 'Sec-WebSocket-Version: 13\r\n';
    return `${lines}${version}Sec-WebSocket-Key: ${this.webSocketKey}\r\n`;
  }

  consumed(bytes: number): void {
    if (!this.alive) return;
    this.unconsumedBytes -= bytes;
    this.owner.onConsumed(this);
  }

  write(chunk: Buffer, end: boolean): boolean {
    if (!this.alive || this.requestComplete) return true;
    const output = this.owner.output;
    if (this.wantsTunnel) {
      if (!this.tunnel) {
        this.early.push(chunk);
        this.earlyEnd = end;
        this.earlyBytes += chunk.length;
        return this.earlyBytes < WINDOW_BYTES;
      }
      output.data(chunk);
    } else if (this.framing === CHUNKED) {
      if (chunk.length > 0) {
        output.text(`${chunk.length.toString(16)}\r\n`);
        output.data(chunk);
        output.text(end ? '\r\n0\r\n\r\n' : '\r\n');
      } else if (end) output.text('0\r\n\r\n');
    } else {
      // A body that is not as long as was declared must not reach into the next request.
      if (chunk.length > this.framing || (end && chunk.length < this.framing)) {
        this.breakOff();
        return true;
      }
      this.framing -= chunk.length;
      output.data(chunk);
    }
    if (end) {
      this.requestComplete = true;
      this.owner.onRequestEnd(this);
    }
    return !output.full;
  }

  trailers(trailers: Headers): void {
    if (!this.alive || this.requestComplete) return;
    if (this.framing === CHUNKED) this.owner.output.text(`0\r\n${trailers.lines}\r\n`);
    else if (this.framing > 0) {
      this.breakOff();
      return;
    }
    this.requestComplete = true;
    this.owner.onRequestEnd(this);
  }

  reset(_error: ProxyError): void {
    if (!this.alive) return;
    this.alive = false;
    this.owner.onReset(this);
  }

  acceptTunnel(): void {
    this.tunnel = true;
    const early = this.early;
    this.early = [];
    for (const chunk of early) this.owner.output.data(chunk);
    if (this.earlyEnd) {
      this.requestComplete = true;
      this.owner.onRequestEnd(this);
    } else if (this.earlyBytes >= WINDOW_BYTES) {
      this.receiver.onWritable();
    }
  }

  refuseTunnel(): void {
    // Nothing follows the request that asked; what was sent ahead is dropped with the tunnel.
    this.early = [];
    this.requestComplete = true;
  }

  fail(error: ProxyError): void {
    this.alive = false;
    this.receiver.onReset(error);
  }

  private breakOff(): void {
    this.alive = false;
    this.owner.onReset(this);
    this.receiver.onReset({
      source: 'internal',
      flag: 'UPE',
      status: 502,
      retry: 'no',
      detail: 'the request body is not as long as declared (RFC 9112 section 6.3)',
    });
  }
}
