import type { Duplex } from 'node:stream';
import { connectionRecord } from '../../net/connection-record.ts';
import { type Deadlines, deadlinesOf, type Timed } from '../../net/deadlines.ts';
import { type ByteSink, readInto } from '../../net/read.ts';
import { CLIENT_GONE, type ProxyError } from '../errors.ts';
import type { DownstreamConnection } from '../exchange.ts';
import { dateLine } from '../h1/serialize.ts';
import { recordRefusal } from '../record-refusal.ts';
import { TrailerFields } from './field-collector.ts';
import { ErrorCode, PREFACE, STREAM_ID_MAX } from './frames.ts';
import { type H2Error, h2Error, requestError } from './h2-error.ts';
import { refusalOf } from './refusal.ts';
import { noHead, RequestFields } from './request-head.ts';
import type { Http2ServerConnection, Http2ServerOptions } from './server-options.ts';
import { ServerStream, type ServerStreamOwner, unanswered } from './server-stream.ts';
import { ServerTimes } from './server-times.ts';
import { Session, type SessionOwner } from './session.ts';
import * as S from './settings.ts';
import type { H2Stream } from './stream.ts';
import { newWebSocketKey } from './websocket.ts';

/** From this stream on the client is asked for another connection (RFC 9113 section 5.1.1). */
const STREAM_ID_LAST = STREAM_ID_MAX - 2 ** 20;
/** How long the answer to the PING after the first GOAWAY is waited for. */
const GOAWAY_WAIT_MS = 1_000;
/** A closed connection is read on for a while, so that a TCP reset does not destroy what was written. */
const LINGER_BYTES_MAX = 1_048_576;
/** For what was written to leave, when nothing is waited for after it. */
const FLUSH_TIMEOUT_MS = 1_000;
const NO_PAYLOAD = Buffer.alloc(8);

/** `announced`: the first GOAWAY is out, streams are still taken; `final`: the second is, no more are taken. */
type Goaway = 'none' | 'announced' | 'final';

/** One downstream connection: its streams become exchanges, its end is orderly. */
export class ServerConnection implements ByteSink, SessionOwner, ServerStreamOwner, Timed, Http2ServerConnection {
  readonly session: Session;
  readonly connection: DownstreamConnection;
  readonly mesh: boolean;
  readonly streamIdleTimeoutMs: number;
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly socket: Duplex;
  private readonly options: Http2ServerOptions;
  private readonly deadlines: Deadlines;
  private readonly times: ServerTimes;
  private readonly fields: RequestFields;
  private readonly trailerFields: TrailerFields;
  /** Octets of the client's preface that are still to come. */
  private prefaceLeft = PREFACE.length;
  private requests = 0;
  private goaway: Goaway = 'none';
  private goawayAtMs = Number.POSITIVE_INFINITY;
  private closing = false;
  private closed = false;
  private leftoverBytes = 0;
  /** Exchanges whose response is complete, or that were given up, until the next flush. */
  private done: ServerStream[] = [];
  private doneSpare: ServerStream[] = [];

  constructor(socket: Duplex, connection: DownstreamConnection, options: Http2ServerOptions) {
    const { limits } = options;
    this.socket = socket;
    this.connection = connection;
    this.options = options;
    this.mesh = options.mesh === true;
    this.streamIdleTimeoutMs = limits.streamIdleTimeoutMs;
    this.deadlines = deadlinesOf(options.clock);
    const connectProtocol = this.mesh || limits.http2.connectProtocol;
    this.fields = new RequestFields(limits, this.mesh, connectProtocol, options.anyAuthority === true);
    this.trailerFields = new TrailerFields(limits);
    this.session = new Session(
      socket,
      {
        side: 'server',
        clock: options.clock,
        count: (event) => options.recorder.count(event),
        mesh: this.mesh,
        headBytesMax: limits.headBytesMax,
        http2: limits.http2,
      },
      this,
    );
    this.times = new ServerTimes(this.session, limits);
    this.deadlines.add(this);
    readInto(socket, this);
    socket.on('end', () => this.onEnd());
    socket.on('drain', () => this.session.onDrain());
    socket.on('error', () => undefined);
    socket.on('close', () => this.onClose());
    this.session.sendSettings([
      S.MAX_CONCURRENT_STREAMS,
      limits.concurrentStreamsMax,
      S.MAX_HEADER_LIST_SIZE,
      limits.headBytesMax,
      ...(connectProtocol ? [S.ENABLE_CONNECT_PROTOCOL, 1] : []),
    ]);
    this.arm();
    if (options.firstBytes !== undefined) this.onBytes(options.firstBytes, false);
    socket.resume();
    if (socket.readableEnded) this.onEnd();
  }

  retire(): void {
    if (this.goaway !== 'none' || this.session.ended) return;
    this.goaway = 'announced';
    this.goawayAtMs = this.options.clock.nowMs() + GOAWAY_WAIT_MS;
    this.session.output.goaway(STREAM_ID_MAX, ErrorCode.NO_ERROR, '');
    // Its answer comes after every stream that the client opened before it saw the GOAWAY.
    this.session.output.ping(NO_PAYLOAD, 0, 0);
    this.arm();
  }

  drain(): void {
    this.retire();
  }

  destroy(): void {
    this.socket.destroy();
  }

  date(): string {
    return dateLine(this.options.clock.unixMs()).slice(6, -2);
  }

  finished(stream: ServerStream): void {
    this.done.push(stream);
    this.session.output.schedule();
  }

  // Reading.

  onBytes(chunk: Buffer, borrowed: boolean): void {
    if (this.closing) {
      this.leftoverBytes += chunk.length;
      if (this.leftoverBytes > LINGER_BYTES_MAX) this.socket.destroy();
      return;
    }
    if (this.prefaceLeft === 0) this.session.receive(chunk, borrowed);
    else this.readPreface(chunk, borrowed);
    if (this.times.changed) this.arm();
  }

  private readPreface(chunk: Buffer, borrowed: boolean): void {
    const take = Math.min(this.prefaceLeft, chunk.length);
    const from = PREFACE.length - this.prefaceLeft;
    if (PREFACE.compare(chunk, 0, take, from, from + take) !== 0) {
      this.session.fail(h2Error('preface', 'the connection does not begin with the preface of HTTP/2'));
      return;
    }
    this.prefaceLeft -= take;
    if (take < chunk.length) this.session.receive(chunk.subarray(take), borrowed);
  }

  onBlock(
    id: number,
    endStream: boolean,
    block: Buffer,
    start: number,
    end: number,
    error: H2Error | undefined,
  ): H2Error | undefined {
    const { session } = this;
    const stream = session.streams.get(id);
    if (stream !== undefined) return this.onTrailerBlock(stream, endStream, block, start, end, error);
    if ((id & 1) === 0) return h2Error('stream-id', 'a client opened a stream with an even number');
    const broken = this.fields.decode(session.decoder, block, start, end);
    if (broken !== undefined) return broken;
    if (id <= session.lastId) return session.onClosedStream(id, false);
    session.lastId = id;
    session.guard.onStream();
    if (this.goaway === 'final' || session.streams.size >= this.options.limits.concurrentStreamsMax) {
      return this.refuseStream(id);
    }
    this.open(id, endStream, error);
    return undefined;
  }

  private onTrailerBlock(
    stream: H2Stream,
    endStream: boolean,
    block: Buffer,
    start: number,
    end: number,
    error: H2Error | undefined,
  ): H2Error | undefined {
    const { session, trailerFields } = this;
    const broken = trailerFields.decode(session.decoder, block, start, end);
    if (broken !== undefined) return broken;
    const wrong = stream.remoteEnded
      ? h2Error('half-closed-stream', 'HEADERS after END_STREAM')
      : trailerFields.wrongAt(stream, endStream, error);
    if (wrong !== undefined) return session.streamError(stream, wrong);
    stream.remoteEnded = true;
    stream.bytesReceived += end - start;
    if (stream instanceof ServerStream) stream.onTrailers(trailerFields.headers);
    return undefined;
  }

  private refuseStream(id: number): H2Error | undefined {
    this.session.closedStreams.addReset(id, false);
    this.session.output.rstStream(id, ErrorCode.REFUSED_STREAM);
    if (this.goaway === 'final') return undefined;
    this.options.recorder.count('http2_downstream_concurrent-streams');
    return this.session.guard.onReset();
  }

  private open(id: number, endStream: boolean, error: H2Error | undefined): void {
    const { session, fields } = this;
    const head = error === undefined ? fields.finish(endStream) : undefined;
    const bodyBytesMax = head?.protocol === undefined ? this.options.limits.requestBodyBytesMax : 0;
    const tooLarge = bodyBytesMax > 0 && head !== undefined && head.contentLength > bodyBytesMax;
    const wrong =
      error ??
      fields.error ??
      (tooLarge ? h2Error('content-too-large', `the content is larger than ${bodyBytesMax} bytes`) : undefined);
    const stream = new ServerStream(this, id, head ?? noHead(), endStream, this.options.limits.http2.streamWindowBytes);
    if (bodyBytesMax > 0) stream.allowedBytes = bodyBytesMax;
    session.streams.add(stream);
    this.requests++;
    const { requestsPerConnectionMax } = this.options.limits;
    if ((requestsPerConnectionMax > 0 && this.requests >= requestsPerConnectionMax) || id >= STREAM_ID_LAST)
      this.retire();
    if (head === undefined || wrong !== undefined) {
      const fatal = session.streamError(stream, wrong ?? h2Error('pseudo-field', 'no head'));
      if (fatal !== undefined) session.fail(fatal);
      return;
    }
    if (head.protocol === 'websocket' && !head.headers.has('sec-websocket-key')) {
      head.headers.append('Sec-WebSocket-Key', newWebSocketKey());
    }
    this.options.dispatch(stream);
    if (endStream && head.protocol !== undefined) stream.onData(NO_PAYLOAD.subarray(0, 0), true);
  }

  /** A request that no dispatcher sees, or whose rest is malformed before there is an answer. */
  refuse(stream: ServerStream, error: H2Error): void {
    const { recorder, direction, clock } = this.options;
    const proxyError = requestError(error);
    const { head } = stream;
    const refusal = refusalOf(proxyError, head.method === '' ? this.fields.headers : head.headers);
    stream.respond(refusal.head, refusal.head.contentLength === 0);
    if (refusal.head.contentLength > 0) stream.write(refusal.content, true);
    if (stream.receiver !== undefined) return;
    const record = connectionRecord(direction, 'http', this.connection, clock.unixMs());
    const { flag, detail } = proxyError;
    Object.assign(record, { status: refusal.head.status, grpcStatus: refusal.grpcStatus, flag, detail });
    record.bytesReceived = stream.bytesReceived;
    record.bytesSent = stream.bytesSent;
    recorder.record(record);
  }

  // Ends.

  onStreamClosed(_stream: H2Stream): void {
    if (this.session.streams.size === 0) this.session.output.schedule();
  }

  onSettings(): void {
    this.arm();
  }

  onPingAck(): void {
    // One of a keep-alive PING before the GOAWAY leaves the timer to end it.
    if (this.goaway === 'announced' && !this.times.waitsForPong) this.finalGoaway();
  }

  onGoaway(_lastId: number, _code: number): void {
    // The client opens no more streams; there is nothing that it could refuse.
  }

  onFlushed(): void {
    const { done } = this;
    if (done.length > 0) {
      this.done = this.doneSpare;
      this.doneSpare = done;
      for (const stream of done) {
        const { receiver } = stream;
        stream.receiver = undefined;
        receiver?.onDone();
      }
      // One by one: to set a length is a call of the runtime.
      while (done.length > 0) done.pop();
    }
    if (this.closing) return;
    if (this.session.streams.size > 0) {
      if (this.times.changed) this.arm();
      return;
    }
    if (this.goaway === 'final' || this.session.ended) this.close(ErrorCode.NO_ERROR, '');
    else if (this.times.changed) this.arm();
  }

  onFailed(error: H2Error): void {
    const failure = unanswered(requestError(error));
    // Where no request tells of it.
    if (this.session.streams.size === 0) {
      recordRefusal(this.options, this.connection, failure, this.session.receivedBytes, 0);
    }
    this.abandonStreams(failure);
    this.close(error.code, error.detail);
  }

  onDeadline(nowMs: number): void {
    if (this.closed) return;
    if (this.closing) {
      this.socket.destroy();
      return;
    }
    this.session.nowMs = Math.floor(nowMs);
    if (nowMs >= this.goawayAtMs) this.finalGoaway();
    const due = this.times.check(nowMs, this.prefaceLeft > 0);
    if (due === 'idle') {
      this.close(ErrorCode.NO_ERROR, 'idle');
      return;
    }
    if (due === 'stuck') {
      this.options.recorder.count('http2_downstream_send-stalled');
      this.socket.destroy();
      return;
    }
    if (due === 'silent') {
      this.options.recorder.count('http2_downstream_ping-timeout');
      this.socket.destroy();
      return;
    }
    if (due === 'ping') this.session.output.ping(NO_PAYLOAD, 0, 0);
    else if (due !== undefined) this.session.fail(due);
    for (const late of this.times.late) {
      this.options.recorder.count(late.event);
      late.stream.timeOut(late.error);
    }
    this.times.late.length = 0;
    if (!this.closing) this.arm();
  }

  private arm(): void {
    if (this.closed || this.closing) return;
    this.deadlines.set(this, Math.min(this.goawayAtMs, this.times.next(this.prefaceLeft > 0)));
  }

  private finalGoaway(): void {
    this.goaway = 'final';
    this.goawayAtMs = Number.POSITIVE_INFINITY;
    this.session.output.goaway(this.session.lastId, ErrorCode.NO_ERROR, '');
  }

  private onEnd(): void {
    if (this.closing) return;
    // Nobody is left to read an answer.
    this.close(ErrorCode.NO_ERROR, '');
  }

  private close(code: number, detail: string): void {
    if (this.closing) return;
    this.closing = true;
    if (this.goaway !== 'final') this.session.end(code, detail);
    this.session.ended = true;
    this.abandonStreams(CLIENT_GONE);
    this.session.output.writeNow();
    const { lingerTimeoutMs } = this.options.limits;
    if (lingerTimeoutMs === 0) this.socket.end(() => this.socket.destroy());
    else this.socket.end();
    this.socket.resume();
    this.deadlines.set(this, this.options.clock.nowMs() + (lingerTimeoutMs === 0 ? FLUSH_TIMEOUT_MS : lingerTimeoutMs));
  }

  private onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.session.ended = true;
    this.deadlines.remove(this);
    this.session.output.discard();
    this.abandonStreams(CLIENT_GONE);
    this.onFlushed();
    this.options.onClose?.();
  }

  private abandonStreams(error: ProxyError): void {
    const streams = this.session.streams.values();
    for (const stream of streams) {
      if (stream.closed) continue;
      this.session.close(stream);
      if (stream instanceof ServerStream) stream.end(error);
    }
  }
}
