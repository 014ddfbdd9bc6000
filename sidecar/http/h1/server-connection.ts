import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { hostPort } from '../../net/connection-record.ts';
import type { Timed } from '../../net/deadlines.ts';
import { type ByteSink, readInto } from '../../net/read.ts';
import { CLIENT_GONE, type ProxyError } from '../errors.ts';
import { type DownstreamConnection, WINDOW_BYTES } from '../exchange.ts';
import type { Headers } from '../headers.ts';
import { Output } from '../output.ts';
import { recordRefusal } from '../record-refusal.ts';
import { ConnectionReader } from './connection-reader.ts';
import { cutOff, timeoutError, writeError } from './error-response.ts';
import { type HeadError, requestError } from './head-error.ts';
import { ParsedRequest } from './parse-request.ts';
import { type BodySink, LEFTOVER_BYTES_MAX, RequestBody } from './request-body.ts';
import { RequestReader } from './request-reader.ts';
import { RequestTimers } from './request-timers.ts';
import { type ExchangeOwner, ServerExchange } from './server-exchange.ts';
import type { Http1ServerConnection, Http1ServerOptions } from './server-options.ts';

/** Pipelined bytes behind the current request; beyond this the socket is not read. */
const HELD_BYTES_MAX = 16_384;
/** While draining. */
const FIRST_REQUEST_MS = 1_000;
const LEFTOVER_TIMEOUT_MS = 5_000;
/** A closed connection is read on for a while, so that a TCP reset does not destroy the response (RFC 9112 section 9.6). */
const LINGER_BYTES_MAX = 1_048_576;
/** For what was written to leave, when nothing is waited for after it. */
const FLUSH_TIMEOUT_MS = 1_000;
/** When a client that has closed its side is probed again: once for a near one, once for one far away. */
const PROBE_AGAIN_MS = [250, 2_000] as const;
const KEEP_ALIVE_PROBE_MS = 10_000;
type Phase = 'idle' | 'head' | 'exchange' | 'closing' | 'closed';

/** One downstream connection: its requests one after the other, its end. */
export class ServerConnection
  extends ConnectionReader
  implements ByteSink, ExchangeOwner, BodySink, Timed, Http1ServerConnection
{
  readonly output: Output;
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly connection: DownstreamConnection;
  private readonly options: Http1ServerOptions;
  private readonly timers: RequestTimers;
  private readonly reader: RequestReader;
  private readonly parsed = new ParsedRequest();
  private readonly body: RequestBody;
  private phase: Phase = 'idle';
  private exchange: ServerExchange | undefined = undefined;
  private requests = 0;
  private leftoverBytes = 0;
  private draining = false;
  private closeAfter = false;

  constructor(socket: Duplex, connection: DownstreamConnection, options: Http1ServerOptions) {
    super(socket);
    this.connection = connection;
    this.options = options;
    this.body = new RequestBody(this.input, this, options.limits.requestBodyBytesMax);
    this.reader = new RequestReader(this.input, this.parsed, options.limits, {
      scheme: options.scheme ?? 'http',
      authority:
        options.limits.http10DefaultHost === ''
          ? hostPort(connection.destinationIp, connection.destinationPort)
          : options.limits.http10DefaultHost,
      refusesHttp10: !options.limits.http10Accepted,
    });
    this.output = new Output(socket, () => this.onFlushed());
    this.timers = new RequestTimers(this, options.limits, options.clock);
    readInto(socket, this);
    socket.on('end', () => this.onEnd());
    socket.on('drain', () => this.exchange?.receiver?.onWritable());
    socket.on('error', () => undefined);
    socket.on('close', () => this.onClose());
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
    if (this.requests === 0) this.timers.wait(FIRST_REQUEST_MS);
    else this.beginClose();
  }

  destroy(): void {
    this.socket.destroy();
  }

  unixMs(): number {
    return this.options.clock.unixMs();
  }

  onConsumed(exchange: ServerExchange, bytes: number): void {
    if (exchange !== this.exchange) return;
    exchange.unconsumedBytes -= bytes;
    if (exchange.unconsumedBytes < WINDOW_BYTES) this.pump();
  }

  keepsAlive(exchange: ServerExchange, delimited: boolean): boolean {
    const requestsMax = this.options.limits.requestsPerConnectionMax;
    this.closeAfter =
      !delimited ||
      !this.parsed.keepAlive ||
      this.draining ||
      // What was pipelined before the client closed its side is still answered (RFC 9112 section 9.3.2).
      (this.endSeen && this.input.length === 0) ||
      !this.body.canEnd(exchange) ||
      (requestsMax > 0 && this.requests >= requestsMax);
    return !this.closeAfter;
  }

  onTunnel(exchange: ServerExchange): void {
    this.closeAfter = true;
    if (exchange === this.exchange) this.pump();
  }

  onProgress(exchange: ServerExchange): void {
    if (exchange !== this.exchange) return;
    if (exchange.state === 'ended') this.output.schedule();
    else this.timers.touch(exchange.idleTimeoutMs, exchange.waitsForRequest);
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
    if (this.phase === 'idle' || exchange?.state === 'ended') {
      this.beginClose();
      return;
    }
    if (exchange === undefined) {
      this.options.recorder.count('http1_head_timeout');
      this.refuseWith(timeoutError(408, 'DT', 'the request head was not complete in time'));
      return;
    }
    if (exchange.waitsForRequest && this.timers.requestIsLate(nowMs)) {
      this.options.recorder.count('http1_request_timeout');
      this.failExchange(exchange, timeoutError(408, 'DT', 'the request was not complete in time'));
      return;
    }
    this.options.recorder.count('http1_stream_idle_timeout');
    const status = exchange.requestComplete ? 504 : 408;
    this.failExchange(exchange, timeoutError(status, 'SI', 'nothing was sent or received for too long'));
  }

  onBytes(chunk: Buffer, borrowed: boolean): void {
    if (this.phase !== 'closing') {
      this.receive(chunk, borrowed);
      return;
    }
    this.leftoverBytes += chunk.length;
    if (this.leftoverBytes > LINGER_BYTES_MAX) this.socket.destroy();
  }

  private onEnd(): void {
    this.endSeen = true;
    if (this.phase === 'closing') return;
    const waiting = this.exchange;
    this.pump();
    if (this.exchange === undefined) {
      if (this.phase !== 'closed') this.beginClose();
    } else if (this.exchange === waiting) this.probe(waiting, 0);
  }

  /**
   * A client may close its side and wait for its answer (RFC 9112 section 9.6). One that is gone altogether looks the
   * same until something is written: a gone one resets the connection, and its upstream need not work on for nobody.
   * What is written is the beginning of the answer, which is the same for every answer.
   */
  private probe(exchange: ServerExchange, round: number): void {
    if (exchange !== this.exchange || exchange.head.protocol !== undefined) return;
    // For the rest of a response that has begun and pauses: the kernel tells when the other end is no more.
    if (round === 0 && this.socket instanceof Socket) this.socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    if (!exchange.announce()) return;
    const againMs = PROBE_AGAIN_MS[round];
    if (againMs !== undefined) this.options.clock.after(againMs, () => this.probe(exchange, round + 1));
  }

  private onClose(): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.timers.stop();
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

  protected advance(): boolean {
    if (this.phase === 'closing' || this.phase === 'closed') return false;
    const exchange = this.exchange;
    if (exchange === undefined) return this.readHead();
    return exchange.requestComplete ? false : this.body.read(exchange, this.endSeen);
  }

  /** Reads no more than is needed: not beyond the credit of the receiver, nor far into the next request. */
  protected isStalled(): boolean {
    const exchange = this.exchange;
    return (
      exchange !== undefined &&
      (exchange.tunnel || exchange.state !== 'ended' || exchange.requestComplete) &&
      (exchange.unconsumedBytes >= WINDOW_BYTES || this.input.length >= HELD_BYTES_MAX)
    );
  }

  private readHead(): boolean {
    const found = this.reader.next();
    if (found === 'nothing' || found === 'incomplete') {
      // The rest of it never comes.
      if (this.endSeen) this.beginClose();
      else if (found === 'incomplete' && this.phase !== 'head') {
        this.phase = 'head';
        this.timers.waitHead();
      }
      return false;
    }
    if (typeof found === 'number') return this.begin(found);
    this.refuse(found);
    return false;
  }

  private begin(headBytes: number): boolean {
    const { head, framing } = this.parsed;
    if (head === undefined) return false;
    const tooLarge = this.body.begin(framing);
    if (tooLarge !== undefined) {
      this.refuse(tooLarge);
      return false;
    }
    if (this.phase === 'idle') this.timers.beginRequest();
    this.phase = 'exchange';
    this.requests++;
    this.leftoverBytes = 0;
    this.closeAfter = false;
    const endOfRequest = framing === 0 && head.protocol === undefined;
    const idleMs = this.options.limits.streamIdleTimeoutMs;
    const exchange = new ServerExchange(this, head, endOfRequest, this.connection, idleMs);
    exchange.bytesReceived = headBytes;
    this.exchange = exchange;
    this.timers.touch(exchange.idleTimeoutMs, !endOfRequest);
    this.options.dispatch(exchange);
    if (this.endSeen && exchange.requestComplete) this.probe(exchange, 0);
    return true;
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
    const tooLarge = exchange.tunnel ? undefined : this.body.count(chunk.length);
    if (tooLarge !== undefined && exchange.state !== 'ended') {
      this.onBadChunk(exchange, tooLarge);
      return;
    }
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
      this.timers.touch(exchange.idleTimeoutMs, exchange.waitsForRequest);
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
    if (!exchange.requestComplete) this.timers.wait(LEFTOVER_TIMEOUT_MS);
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
    this.timers.waitIdle();
    if (this.endSeen && this.input.length === 0) this.beginClose();
  }

  /** The request cannot go on: tells the receiver, and the client if the response has not begun. */
  private failExchange(exchange: ServerExchange, error: ProxyError): void {
    // Where a next request would begin is not known.
    this.draining = true;
    if (exchange.letAnswer(error)) {
      this.timers.wait(LEFTOVER_TIMEOUT_MS);
      return;
    }
    const answer = exchange.state === 'head';
    exchange.state = 'dead';
    const receiver = exchange.receiver;
    exchange.receiver = undefined;
    receiver?.onReset(error);
    if (!answer) this.onAbort(exchange);
    this.exchange = undefined;
    if (answer) {
      exchange.bytesSent += writeError(this.output, error, this.unixMs(), exchange.announced);
      this.beginClose();
    }
    receiver?.onDone();
  }

  /** A head that is no request: answered and recorded here, since no dispatcher ever sees it. */
  private refuse(error: HeadError): void {
    this.options.recorder.count(`http1_downstream_${error.kind}`);
    this.refuseWith(requestError(error));
  }

  private refuseWith(error: ProxyError): void {
    const bytesSent = writeError(this.output, error, this.unixMs(), 0);
    recordRefusal(this.options, this.connection, error, this.input.length, bytesSent);
    this.beginClose();
  }

  private beginClose(): void {
    if (this.phase === 'closing' || this.phase === 'closed') return;
    this.phase = 'closing';
    this.exchange = undefined;
    this.leftoverBytes = 0;
    this.input.clear();
    this.output.writeNow();
    const { lingerTimeoutMs } = this.options.limits;
    if (lingerTimeoutMs === 0) this.socket.end(() => this.socket.destroy());
    else this.socket.end();
    this.setPaused(false);
    this.timers.wait(lingerTimeoutMs === 0 ? FLUSH_TIMEOUT_MS : lingerTimeoutMs);
  }
}
