import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from '@weft/policies/kit/clock';
import type { HttpLimits } from '@weft/policies/model/listener';
import { connectionRecord, hostPort } from '../../net/connection-record.ts';
import { type Deadlines, deadlinesOf, type Timed } from '../../net/deadlines.ts';
import type { ProxyError } from '../errors.ts';
import { type DownstreamConnection, WINDOW_BYTES } from '../exchange.ts';
import type { Headers } from '../headers.ts';
import { Output } from '../output.ts';
import { CLIENT_GONE, timeoutError, writeError } from './error-response.ts';
import { type HeadError, requestError } from './head-error.ts';
import { ParsedRequest } from './parse-request.ts';
import { ReadBuffer } from './read-buffer.ts';
import { type BodySink, LEFTOVER_BYTES_MAX, RequestBody } from './request-body.ts';
import { RequestReader } from './request-reader.ts';
import { type ExchangeOwner, ServerExchange } from './server-exchange.ts';
import type { Http1ServerConnection, Http1ServerOptions } from './server-options.ts';

/** Pipelined bytes behind the current request; beyond this the socket is not read. */
const HELD_BYTES_MAX = 16_384;
/** While draining. */
const FIRST_REQUEST_MS = 1_000;
const LEFTOVER_TIMEOUT_MS = 5_000;
/** A closed connection is read on for a while, so that a TCP reset does not destroy the response (RFC 9112 section 9.6). */
const LINGER_TIMEOUT_MS = 1_000;
const LINGER_BYTES_MAX = 1_048_576;
type Phase = 'idle' | 'head' | 'exchange' | 'closing' | 'closed';

/** One downstream connection: its requests one after the other, its timeouts, its end. */
export class ServerConnection implements ExchangeOwner, BodySink, Timed, Http1ServerConnection {
  readonly output: Output;
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly socket: Duplex;
  private readonly connection: DownstreamConnection;
  private readonly options: Http1ServerOptions;
  private readonly limits: HttpLimits;
  private readonly clock: Clock;
  private readonly deadlines: Deadlines;
  private readonly reader: RequestReader;
  private readonly input = new ReadBuffer();
  private readonly parsed = new ParsedRequest();
  private readonly body = new RequestBody(this.input, this);
  private phase: Phase = 'idle';
  private exchange: ServerExchange | undefined = undefined;
  private requests = 0;
  private leftoverBytes = 0;
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
    this.reader = new RequestReader(this.input, this.parsed, options.limits, {
      scheme: options.scheme ?? 'http',
      authority: hostPort(connection.destinationIp, connection.destinationPort),
    });
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

  retire(): void {
    this.draining = true;
  }

  drain(): void {
    this.draining = true;
    if (this.phase !== 'idle' || this.input.length > 0) return;
    // The first request of a connection that was accepted may be under way; only after one does a client expect a close.
    if (this.requests === 0) this.setTimeoutMs(FIRST_REQUEST_MS);
    else this.beginClose();
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
      !delimited || !this.parsed.keepAlive || this.draining || this.endSeen || !this.body.canEnd(exchange);
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
    cutOff(this.socket, exchange.closeDelimited);
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
    const exchange = this.exchange;
    if (exchange === undefined) {
      if (this.phase !== 'closed') this.beginClose();
      return;
    }
    // A client that is gone looks like one that only closed its side, which none does that waits for an answer: the
    // upstream is told at once, instead of working on for nobody.
    const waits = exchange.state === 'head' || exchange.state === 'body';
    if (waits && exchange.head.protocol === undefined) this.socket.destroy();
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
    for (let more = true; more; ) more = this.advance();
    this.pumping = false;
    this.applyPause();
  }

  private advance(): boolean {
    if (this.phase === 'closing' || this.phase === 'closed') return false;
    const exchange = this.exchange;
    if (exchange === undefined) return this.readHead();
    return exchange.requestComplete ? false : this.body.read(exchange, this.endSeen);
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
    const found = this.reader.next();
    if (found === 'nothing') return false;
    if (found === 'incomplete') {
      this.onHeadIncomplete();
      return false;
    }
    if (typeof found === 'number') {
      this.begin(found);
      return true;
    }
    this.options.recorder.count(`http1_downstream_${found.kind}`);
    this.refuse(requestError(found));
    return false;
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

  private begin(headBytes: number): void {
    const head = this.parsed.head;
    if (head === undefined) return;
    if (this.phase === 'idle') this.startRequestTimer();
    this.phase = 'exchange';
    this.requests++;
    this.leftoverBytes = 0;
    this.closeAfter = false;
    this.body.begin(this.parsed.framing);
    const exchange = new ServerExchange(
      this,
      head,
      this.parsed.framing === 0 && head.protocol === undefined,
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

  /** The client closed before its request was complete: it is never taken for complete (RFC 9112 section 8). */
  onTruncated(): void {
    this.socket.destroy();
  }

  onBadChunk(exchange: ServerExchange, error: HeadError): void {
    this.options.recorder.count(`http1_downstream_${error.kind}`);
    this.failExchange(exchange, requestError(error));
  }

  onBodyTrailers(exchange: ServerExchange, trailers: Headers): void {
    exchange.requestComplete = true;
    if (exchange.state === 'head' || exchange.state === 'body') exchange.receiver?.onTrailers(trailers);
    this.nextIfDone(exchange);
  }

  deliver(exchange: ServerExchange, chunk: Buffer, end: boolean): void {
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
      exchange.bytesSent += writeError(this.output, error, this.clock.unixMs());
      this.beginClose();
    }
    receiver?.onDone();
  }

  /** A head that is no request: answered and recorded here, since no dispatcher ever sees it. */
  private refuse(error: ProxyError): void {
    const { recorder, direction } = this.options;
    const record = connectionRecord(direction, 'http', this.connection, this.clock.unixMs());
    Object.assign(record, { status: error.status, flag: error.flag, detail: error.detail });
    record.bytesReceived = this.input.length;
    record.bytesSent = writeError(this.output, error, this.clock.unixMs());
    recorder.record(record);
    this.beginClose();
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

/** Where only the end of the connection tells the end of the content, an orderly one would look complete. */
function cutOff(socket: Duplex, closeDelimited: boolean): void {
  if (closeDelimited && socket instanceof Socket && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
  else socket.destroy();
}
