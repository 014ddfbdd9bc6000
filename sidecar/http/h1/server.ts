import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from '@weft/policies/kit/clock';
import type { Direction, HttpLimits } from '@weft/policies/model/listener';
import { connectionRecord, hostPort } from '../../net/connection-record.ts';
import { type Deadlines, deadlinesOf, type Timed } from '../../net/deadlines.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { ProxyError } from '../errors.ts';
import { type Dispatch, type DownstreamConnection, WINDOW_BYTES } from '../exchange.ts';
import { ChunkedDecoder } from './chunked.ts';
import { errorResponse } from './error-response.ts';
import { CHUNKED } from './framing.ts';
import { type HeadError, headError, requestError } from './head-error.ts';
import { Output } from './output.ts';
import { ParsedRequest, parseRequestHead, type RequestDefaults } from './parse-request.ts';
import { EMPTY, findHeadEnd, HEAD_INCOMPLETE, HEAD_TOO_LARGE, ReadBuffer } from './read-buffer.ts';
import { type ExchangeOwner, ServerExchange } from './server-exchange.ts';

/** Pipelined bytes behind the current request; beyond this the socket is not read. */
const HELD_BYTES_MAX = 16_384;
/** Of a request whose response is complete already: read and dropped up to here, then the connection closes. */
const LEFTOVER_BYTES_MAX = 262_144;
const LEFTOVER_TIMEOUT_MS = 5_000;
/** A closed connection is read on for a while, so that a TCP reset does not destroy the response (RFC 9112 section 9.6). */
const LINGER_TIMEOUT_MS = 1_000;
const LINGER_BYTES_MAX = 1_048_576;
/** RFC 9112 section 2.2: empty lines before a request line are ignored; some. */
const LEADING_EMPTY_LINES_MAX = 4;

export interface Http1ServerOptions {
  readonly limits: HttpLimits;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly direction: Direction;
  /** Read from the socket before the codec was chosen. */
  readonly firstBytes?: Buffer;
  /** `https` where the proxy ends the application's own TLS; mesh TLS is not seen by applications. */
  readonly scheme?: 'http' | 'https';
  readonly onClose?: () => void;
}

export interface Http1ServerConnection {
  /** Closes an idle connection; one in use closes after its response. */
  drain(): void;
  destroy(): void;
}

/** Serves HTTP/1.1 and 1.0 on a socket that belongs to the codec from now on. */
export function serveHttp1(
  socket: Duplex,
  connection: DownstreamConnection,
  options: Http1ServerOptions,
): Http1ServerConnection {
  return new ServerConnection(socket, connection, options);
}

type Phase = 'idle' | 'head' | 'exchange' | 'closing' | 'closed';

class ServerConnection implements ExchangeOwner, Timed, Http1ServerConnection {
  readonly output: Output;
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly socket: Duplex;
  private readonly connection: DownstreamConnection;
  private readonly options: Http1ServerOptions;
  private readonly limits: HttpLimits;
  private readonly clock: Clock;
  private readonly deadlines: Deadlines;
  private readonly defaults: RequestDefaults;
  private readonly input = new ReadBuffer();
  private readonly parsed = new ParsedRequest();
  private readonly decoder = new ChunkedDecoder();
  private phase: Phase = 'idle';
  private exchange: ServerExchange | undefined = undefined;
  /** Of the request being read: bytes to come, or CHUNKED. */
  private bodyRemaining = 0;
  private requests = 0;
  private leftoverBytes = 0;
  private leadingEmptyLines = 0;
  private pumping = false;
  private paused = false;
  private endSeen = false;
  private draining = false;
  private closeAfter = false;
  /** When the whole request has to be there. */
  private requestDeadlineMs = Number.POSITIVE_INFINITY;

  constructor(socket: Duplex, connection: DownstreamConnection, options: Http1ServerOptions) {
    this.socket = socket;
    this.connection = connection;
    this.options = options;
    this.limits = options.limits;
    this.clock = options.clock;
    this.deadlines = deadlinesOf(options.clock);
    this.defaults = {
      scheme: options.scheme ?? 'http',
      authority: hostPort(connection.destinationIp, connection.destinationPort),
    };
    this.output = new Output(socket, () => this.onFlushed());
    this.deadlines.add(this);
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('end', () => this.onEnd());
    socket.on('drain', () => this.exchange?.receiver?.onWritable());
    socket.on('error', () => undefined);
    socket.on('close', () => this.onClose());
    this.setTimeoutMs(this.limits.idleTimeoutMs);
    if (options.firstBytes !== undefined) this.input.push(options.firstBytes);
    socket.resume();
    // The end may have come before the codec was chosen.
    if (socket.readableEnded) this.onEnd();
    else this.pump();
  }

  drain(): void {
    this.draining = true;
    if (this.phase === 'idle' && this.input.length === 0) this.beginClose();
  }

  destroy(): void {
    this.socket.destroy();
  }

  unixMs(): number {
    return this.clock.unixMs();
  }

  onConsumed(exchange: ServerExchange, bytes: number): void {
    if (exchange !== this.exchange) return;
    exchange.unconsumedBytes -= bytes;
    if (exchange.unconsumedBytes < WINDOW_BYTES) this.pump();
  }

  keepsAlive(exchange: ServerExchange, delimited: boolean): boolean {
    this.closeAfter =
      !delimited || !this.parsed.keepAlive || this.draining || this.endSeen || !this.requestCanEnd(exchange);
    if (this.limits.requestsPerConnectionMax > 0 && this.requests >= this.limits.requestsPerConnectionMax) {
      this.closeAfter = true;
    }
    return !this.closeAfter;
  }

  onTunnel(exchange: ServerExchange): void {
    this.closeAfter = true;
    if (exchange === this.exchange) this.pump();
  }

  onProgress(exchange: ServerExchange): void {
    if (exchange !== this.exchange) return;
    if (exchange.state === 'ended') this.output.schedule();
    else this.touch(exchange);
  }

  onAbort(exchange: ServerExchange): void {
    if (exchange !== this.exchange || this.phase === 'closed') return;
    this.output.writeNow();
    const socket = this.socket;
    // Where only the end of the connection tells the end of the content, an orderly one would look complete.
    if (exchange.closeDelimited && socket instanceof Socket && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
    else socket.destroy();
  }

  onDeadline(nowMs: number): void {
    const exchange = this.exchange;
    if (this.phase === 'closing') {
      this.socket.destroy();
      return;
    }
    if (this.phase === 'idle') {
      this.beginClose();
      return;
    }
    if (exchange === undefined) {
      this.options.recorder.count('http1_head_timeout');
      this.refuse(timeoutError(408, 'DT', 'the request head was not complete in time'));
      return;
    }
    if (exchange.state === 'ended') {
      this.beginClose();
      return;
    }
    if (!exchange.requestComplete && nowMs >= this.requestDeadlineMs) {
      this.options.recorder.count('http1_request_timeout');
      this.failExchange(exchange, timeoutError(408, 'DT', 'the request was not complete in time'));
      return;
    }
    this.options.recorder.count('http1_stream_idle_timeout');
    const status = exchange.requestComplete ? 504 : 408;
    this.failExchange(exchange, timeoutError(status, 'SI', 'nothing was sent or received for too long'));
  }

  private onData(chunk: Buffer): void {
    if (this.phase === 'closing') {
      this.leftoverBytes += chunk.length;
      if (this.leftoverBytes > LINGER_BYTES_MAX) this.socket.destroy();
      return;
    }
    this.input.push(chunk);
    this.pump();
  }

  private onEnd(): void {
    this.endSeen = true;
    if (this.phase === 'closing') return;
    this.pump();
    if (this.exchange === undefined && this.phase !== 'closed') this.beginClose();
  }

  private onClose(): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.deadlines.remove(this);
    this.input.clear();
    this.output.discard();
    const exchange = this.exchange;
    this.exchange = undefined;
    if (exchange !== undefined) {
      const receiver = exchange.receiver;
      exchange.receiver = undefined;
      if (exchange.state === 'head' || exchange.state === 'body') {
        exchange.state = 'dead';
        receiver?.onReset(CLIENT_GONE);
      }
      receiver?.onDone();
    }
    this.options.onClose?.();
  }

  /** Runs until there is nothing more to do with what was read. Calls back into it from a receiver change nothing. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (this.advance()) {
      // The condition does the work.
    }
    this.pumping = false;
    this.applyPause();
  }

  private advance(): boolean {
    if (this.phase === 'closing' || this.phase === 'closed') return false;
    const exchange = this.exchange;
    if (exchange === undefined) return this.readHead();
    return exchange.requestComplete ? false : this.readBody(exchange);
  }

  /** Reads no more than is needed: not beyond the credit of the receiver, nor far into the next request. */
  private applyPause(): void {
    if (this.phase === 'closing' || this.phase === 'closed') return;
    const exchange = this.exchange;
    const stop =
      exchange !== undefined &&
      (exchange.tunnel || exchange.state !== 'ended' || exchange.requestComplete) &&
      (exchange.unconsumedBytes >= WINDOW_BYTES || this.input.length >= HELD_BYTES_MAX);
    if (stop === this.paused) return;
    this.paused = stop;
    if (stop) this.socket.pause();
    else this.socket.resume();
  }

  private readHead(): boolean {
    const input = this.input;
    while (input.length > 0 && input.bytes[input.at] === 0x0d) {
      if (input.length === 1) return false;
      if (input.bytes[input.at + 1] !== 0x0a || ++this.leadingEmptyLines > LEADING_EMPTY_LINES_MAX) break;
      input.take(2);
    }
    if (input.length === 0) return false;
    const end = findHeadEnd(input, this.limits.headBytesMax);
    if (end === HEAD_INCOMPLETE) {
      this.onHeadIncomplete();
      return false;
    }
    const error = end === HEAD_TOO_LARGE ? this.tooLarge() : this.parse(end);
    if (error !== undefined) {
      this.options.recorder.count(`http1_downstream_${error.kind}`);
      this.refuse(requestError(error));
      return false;
    }
    const bytes = end + 4 - input.at;
    input.take(bytes);
    this.leadingEmptyLines = 0;
    this.begin(bytes);
    return true;
  }

  private parse(end: number): HeadError | undefined {
    const text = this.input.bytes.toString('latin1', this.input.at, end);
    return parseRequestHead(text, this.limits.headersCountMax, this.defaults, this.parsed);
  }

  private onHeadIncomplete(): void {
    if (this.phase === 'head') return;
    this.phase = 'head';
    this.startRequestTimer();
    const headTimeoutMs = this.limits.headTimeoutMs === 0 ? Number.POSITIVE_INFINITY : this.limits.headTimeoutMs;
    this.deadlines.set(this, Math.min(this.clock.nowMs() + headTimeoutMs, this.requestDeadlineMs));
  }

  private startRequestTimer(): void {
    const timeoutMs = this.limits.requestTimeoutMs;
    this.requestDeadlineMs = timeoutMs === 0 ? Number.POSITIVE_INFINITY : this.clock.nowMs() + timeoutMs;
  }

  private tooLarge(): HeadError {
    const { bytes, at } = this.input;
    const max = this.limits.headBytesMax;
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1');
    if (lineEnd === -1 || lineEnd - at > max) {
      return headError('target-too-long', 414, 'RFC 9112 section 3', `the request line is longer than ${max} bytes`);
    }
    return headError('head-too-large', 431, 'RFC 6585 section 5', `the request head is larger than ${max} bytes`);
  }

  private begin(headBytes: number): void {
    const head = this.parsed.head;
    if (head === undefined) return;
    if (this.phase === 'idle') this.startRequestTimer();
    this.phase = 'exchange';
    this.requests++;
    this.leftoverBytes = 0;
    this.closeAfter = false;
    this.bodyRemaining = this.parsed.framing;
    if (this.bodyRemaining === CHUNKED) this.decoder.reset();
    const exchange = new ServerExchange(
      this,
      head,
      this.bodyRemaining === 0 && head.protocol === undefined,
      this.connection,
    );
    exchange.bytesReceived = headBytes;
    this.exchange = exchange;
    this.touch(exchange);
    this.options.dispatch(exchange);
  }

  private touch(exchange: ServerExchange): void {
    const idleMs = this.limits.streamIdleTimeoutMs;
    const idleAtMs = idleMs === 0 ? Number.POSITIVE_INFINITY : this.clock.nowMs() + idleMs;
    const atMs = exchange.requestComplete ? idleAtMs : Math.min(idleAtMs, this.requestDeadlineMs);
    this.deadlines.set(this, atMs);
  }

  private readBody(exchange: ServerExchange): boolean {
    const input = this.input;
    if (exchange.head.protocol !== undefined) return this.readTunnel(exchange);
    if (input.length === 0) {
      // The client closed before its request was complete: it is never taken for complete (RFC 9112 section 8).
      if (this.endSeen) this.socket.destroy();
      return false;
    }
    if (exchange.unconsumedBytes >= WINDOW_BYTES && exchange.state !== 'ended') return false;
    if (this.bodyRemaining === CHUNKED) return this.readChunks(exchange);
    const chunk = input.take(this.bodyRemaining);
    this.bodyRemaining -= chunk.length;
    this.deliver(exchange, chunk, this.bodyRemaining === 0);
    return true;
  }

  private readChunks(exchange: ServerExchange): boolean {
    const input = this.input;
    const decoder = this.decoder;
    const before = input.at;
    let held: Buffer | undefined;
    while (input.at < input.end && !decoder.done && decoder.error === undefined) {
      input.at = decoder.step(input.bytes, input.at, input.end);
      if (decoder.chunk === undefined) continue;
      if (held !== undefined) this.deliver(exchange, held, false);
      held = decoder.chunk;
    }
    exchange.bytesReceived += input.at - before;
    if (input.at === input.end) input.clear();
    const error = decoder.error;
    if (error !== undefined) {
      this.options.recorder.count(`http1_downstream_${error.kind}`);
      this.failExchange(exchange, requestError(error));
      return false;
    }
    const trailers = decoder.trailers;
    const end = decoder.done && trailers === undefined;
    if (held !== undefined) {
      exchange.bytesReceived -= held.length;
      this.deliver(exchange, held, end);
    } else if (end) this.deliver(exchange, EMPTY, true);
    if (decoder.done && trailers !== undefined) {
      exchange.requestComplete = true;
      if (exchange.state === 'head' || exchange.state === 'body') exchange.receiver?.onTrailers(trailers);
      this.nextIfDone(exchange);
    }
    return true;
  }

  private readTunnel(exchange: ServerExchange): boolean {
    if (!exchange.tunnel || exchange.unconsumedBytes >= WINDOW_BYTES) return false;
    const input = this.input;
    if (input.length > 0) this.deliver(exchange, input.take(input.length), false);
    else if (this.endSeen) this.deliver(exchange, EMPTY, true);
    else return false;
    return true;
  }

  private deliver(exchange: ServerExchange, chunk: Buffer, end: boolean): void {
    exchange.bytesReceived += chunk.length;
    if (end) exchange.requestComplete = true;
    if (exchange.state === 'dead') return;
    const receiver = exchange.receiver;
    if (exchange.state === 'ended' && !exchange.tunnel) {
      this.leftoverBytes += chunk.length;
      if (this.leftoverBytes > LEFTOVER_BYTES_MAX) {
        this.beginClose();
        return;
      }
    } else if (receiver !== undefined) {
      exchange.continued = true;
      exchange.unconsumedBytes += chunk.length;
      this.touch(exchange);
      receiver.onData(chunk, end);
    }
    if (end) this.nextIfDone(exchange);
  }

  /** Whether the request will be over soon enough for the connection to live on after an early response. */
  private requestCanEnd(exchange: ServerExchange): boolean {
    if (exchange.requestComplete) return true;
    if (exchange.head.protocol !== undefined) {
      // A refused tunnel: what the client sent ahead for it must not be read as a request (RFC 9110 section 9.3.6).
      exchange.requestComplete = true;
      return exchange.head.method !== 'CONNECT' && this.input.length === 0;
    }
    // The client may send the content or not (RFC 9110 section 10.1.1): where the next request begins is unknown.
    if (!exchange.continued) return false;
    return this.bodyRemaining === CHUNKED || this.bodyRemaining <= LEFTOVER_BYTES_MAX;
  }

  private onFlushed(): void {
    const exchange = this.exchange;
    if (exchange === undefined || exchange.state !== 'ended') return;
    if (exchange.tunnel && !exchange.requestComplete) {
      this.socket.end();
      return;
    }
    const receiver = exchange.receiver;
    exchange.receiver = undefined;
    receiver?.onDone();
    if (this.phase !== 'exchange') return;
    if (this.closeAfter) {
      this.beginClose();
      return;
    }
    if (!exchange.requestComplete) this.setTimeoutMs(LEFTOVER_TIMEOUT_MS);
    this.nextIfDone(exchange);
    this.pump();
  }

  /** Both sides are complete, and the response has left. */
  private nextIfDone(exchange: ServerExchange): void {
    if (exchange !== this.exchange || exchange.state !== 'ended' || !exchange.requestComplete) return;
    if (exchange.receiver !== undefined) {
      this.output.schedule();
      return;
    }
    this.exchange = undefined;
    if (this.closeAfter || this.draining) {
      this.beginClose();
      return;
    }
    this.phase = 'idle';
    this.setTimeoutMs(this.limits.idleTimeoutMs);
    if (this.endSeen && this.input.length === 0) this.beginClose();
  }

  /** The request cannot go on: tells the receiver, and the client if the response has not begun. */
  private failExchange(exchange: ServerExchange, error: ProxyError): void {
    const answer = exchange.state === 'head';
    exchange.state = 'dead';
    const receiver = exchange.receiver;
    exchange.receiver = undefined;
    receiver?.onReset(error);
    if (!answer) this.onAbort(exchange);
    this.exchange = undefined;
    if (answer) {
      exchange.bytesSent += this.writeError(error);
      this.beginClose();
    }
    receiver?.onDone();
  }

  /** A head that is no request: answered and recorded here, since no dispatcher ever sees it. */
  private refuse(error: ProxyError): void {
    const record = connectionRecord(this.options.direction, 'http', this.connection, this.clock.unixMs());
    record.status = error.status;
    record.flag = error.flag;
    record.detail = error.detail;
    record.bytesReceived = this.input.length;
    record.bytesSent = this.writeError(error);
    this.options.recorder.record(record);
    this.beginClose();
  }

  private writeError(error: ProxyError): number {
    const text = errorResponse(error, this.clock.unixMs());
    this.output.text(text);
    return text.length;
  }

  private beginClose(): void {
    if (this.phase === 'closing' || this.phase === 'closed') return;
    this.phase = 'closing';
    this.exchange = undefined;
    this.leftoverBytes = 0;
    this.input.clear();
    this.output.writeNow();
    this.socket.end();
    if (this.paused) this.socket.resume();
    this.setTimeoutMs(LINGER_TIMEOUT_MS);
  }

  private setTimeoutMs(timeoutMs: number): void {
    this.deadlines.set(this, timeoutMs === 0 ? Number.POSITIVE_INFINITY : this.clock.nowMs() + timeoutMs);
  }
}

const CLIENT_GONE: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'the client closed the connection before the exchange was complete',
};

function timeoutError(status: 408 | 504, flag: 'DT' | 'SI', detail: string): ProxyError {
  return { source: 'downstream', flag, status, retry: 'no', detail };
}
