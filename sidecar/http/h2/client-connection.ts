import type { Duplex } from 'node:stream';
import { defaultHttp2Options } from '@weft/policies/model/http2-options';
import { type Deadlines, deadlinesOf, type Timed } from '../../net/deadlines.ts';
import { type ByteSink, readInto } from '../../net/read.ts';
import { malformedResponse, type ProxyError } from '../errors.ts';
import type { RequestHead, ResponseReceiver, Upstream, UpstreamConnection } from '../exchange.ts';
import type { Http2ClientOptions } from './client-options.ts';
import { ClientStream, type ClientStreamOwner, INTERIM_RESPONSES_MAX } from './client-stream.ts';
import { type HeadLimits, TrailerFields } from './field-collector.ts';
import { ErrorCode, errorCodeName, PREFACE, STREAM_ID_MAX } from './frames.ts';
import { type H2Error, h2Error } from './h2-error.ts';
import { ResponseFields } from './response-head.ts';
import { Session, type SessionOwner } from './session.ts';
import * as S from './settings.ts';
import type { H2Stream } from './stream.ts';

const HEAD_BYTES_MAX = 61_440;
const FIELDS_MAX = 100;
const STREAMS_MAX = 1_024;
/** Before the peer's SETTINGS: what RFC 9113 section 6.5.2 advises against going below. */
const STREAMS_ASSUMED = 100;
const PING_INTERVAL_MS = 30_000;
const PING_TIMEOUT_MS = 10_000;
const SETTINGS_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
const NEVER = Number.POSITIVE_INFINITY;
const NO_PAYLOAD = Buffer.alloc(8);

/** One upstream connection, shared by as many exchanges as its peer allows. */
export class ClientConnection implements ByteSink, UpstreamConnection, SessionOwner, ClientStreamOwner, Timed {
  readonly session: Session;
  readonly mesh: boolean;
  requests = 0;
  closed = false;
  onChange: (() => void) | undefined = undefined;
  deadlineMs = NEVER;
  private readonly socket: Duplex;
  private readonly options: Http2ClientOptions;
  private readonly deadlines: Deadlines;
  private readonly fields: ResponseFields;
  private readonly trailerFields: TrailerFields;
  private readonly streamsMax: number;
  private readonly pingIntervalMs: number;
  private readonly pingTimeoutMs: number;
  /** Asked for: also while no stream is open. */
  private readonly keptAlive: boolean;
  private readonly openedMs: number;
  private nextId = 1;
  private draining = false;
  private pingSentMs = NEVER;
  private failure = '';
  /** Extended CONNECT before the peer's SETTINGS say that it takes it (RFC 8441 section 3). */
  private waiting: ClientStream[] = [];

  constructor(socket: Duplex, options: Http2ClientOptions) {
    this.socket = socket;
    this.options = options;
    this.mesh = options.mesh === true;
    this.streamsMax = options.concurrentStreamsMax ?? STREAMS_MAX;
    this.keptAlive = options.http2?.keepAlive !== undefined;
    this.pingIntervalMs = options.http2?.keepAlive?.intervalMs ?? options.pingIntervalMs ?? PING_INTERVAL_MS;
    this.pingTimeoutMs = options.http2?.keepAlive?.timeoutMs ?? options.pingTimeoutMs ?? PING_TIMEOUT_MS;
    this.deadlines = deadlinesOf(options.clock);
    const headBytesMax = options.headBytesMax ?? HEAD_BYTES_MAX;
    const limits: HeadLimits = { headBytesMax, headersCountMax: options.headersCountMax ?? FIELDS_MAX };
    this.fields = new ResponseFields(limits);
    this.trailerFields = new TrailerFields(limits);
    const count = (event: string): void => options.recorder?.count(event);
    const http2 = options.http2 ?? defaultHttp2Options;
    this.session = new Session(
      socket,
      { side: 'client', clock: options.clock, count, mesh: this.mesh, headBytesMax, http2 },
      this,
    );
    this.openedMs = this.session.nowMs;
    readInto(socket, this);
    socket.on('end', () => this.onEnd());
    socket.on('drain', () => this.session.onDrain());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error.code ?? error.message;
    });
    socket.on('close', () => this.onClose());
    this.session.output.raw(PREFACE);
    this.session.sendSettings([S.ENABLE_PUSH, 0, S.MAX_HEADER_LIST_SIZE, headBytesMax]);
    this.deadlines.add(this);
    const firstPingMs = this.keptAlive ? this.pingIntervalMs : NEVER;
    this.deadlines.set(this, this.openedMs + Math.min(this.settingsTimeoutMs, firstPingMs));
    socket.resume();
  }

  get speaksHttp2(): boolean {
    return true;
  }

  get available(): number {
    if (this.closed || this.draining || this.session.ended || this.session.output.shut) return 0;
    const { session } = this;
    const allowed = session.settingsSeen ? session.peer.concurrentStreamsMax : STREAMS_ASSUMED;
    return Math.max(0, Math.min(this.streamsMax, allowed) - session.streams.size - this.waiting.length);
  }

  get takesNone(): boolean {
    return this.session.settingsSeen && this.session.peer.concurrentStreamsMax === 0;
  }

  open(head: RequestHead, end: boolean, receiver: ResponseReceiver, version = head.version): Upstream {
    const stream = new ClientStream(this, this.nextId, head, receiver, version);
    if (this.available === 0) {
      // The pool was told too late that the connection is gone or full: nothing was sent.
      process.nextTick(refuseLate, stream);
      return stream;
    }
    this.requests++;
    this.nextId += 2;
    if (this.nextId > STREAM_ID_MAX) this.draining = true;
    if (head.protocol !== undefined && head.protocol !== '' && !this.mesh && !this.session.settingsSeen) {
      this.waiting.push(stream);
      return stream;
    }
    this.start(stream, end);
    return stream;
  }

  drain(): void {
    this.draining = true;
    this.finishIfIdle();
  }

  destroy(): void {
    this.socket.destroy();
  }

  onWithdrawn(stream: ClientStream): void {
    stream.closed = true;
    const at = this.waiting.indexOf(stream);
    if (at === -1) return;
    this.waiting.splice(at, 1);
    this.changed();
  }

  private start(stream: ClientStream, end: boolean): void {
    const { session } = this;
    const { protocol } = stream.head;
    if (protocol !== undefined && protocol !== '' && !this.mesh && !session.peer.connectProtocol) {
      stream.closed = true;
      process.nextTick(refuseConnectProtocol, stream);
      return;
    }
    session.lastId = stream.id;
    session.streams.add(stream);
    if (this.deadlineMs === NEVER) this.deadlines.set(this, session.nowMs + this.pingIntervalMs);
    stream.begin(end);
    session.scheduler.join(stream);
  }

  // Reading.

  onBytes(chunk: Buffer, borrowed: boolean): void {
    this.session.receive(chunk, borrowed);
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
    const trailers = stream instanceof ClientStream && stream.headSeen;
    const fields = trailers ? this.trailerFields : this.fields;
    const broken = fields.decode(session.decoder, block, start, end);
    if (broken !== undefined) return broken;
    if (!(stream instanceof ClientStream)) return session.onClosedStream(id, false);
    stream.bytesReceived += end - start;
    stream.activeMs = session.nowMs;
    const wrong = stream.remoteEnded ? h2Error('half-closed-stream', 'HEADERS after END_STREAM') : error;
    if (wrong !== undefined) return session.streamError(stream, wrong);
    return trailers ? this.onTrailers(stream, endStream) : this.onHead(stream, endStream);
  }

  private onHead(stream: ClientStream, endStream: boolean): H2Error | undefined {
    const { session, fields } = this;
    const head = fields.finish(endStream, stream.head.method === 'HEAD');
    if (head === undefined) {
      return session.streamError(stream, fields.error ?? h2Error('pseudo-field', 'no head'));
    }
    if (head.status >= 200) {
      stream.onHead(head, endStream);
    } else if (++stream.interims > INTERIM_RESPONSES_MAX) {
      return session.streamError(stream, h2Error('interim', `more than ${INTERIM_RESPONSES_MAX} interim responses`));
    } else {
      stream.onInterim(head);
    }
    return undefined;
  }

  private onTrailers(stream: ClientStream, endStream: boolean): H2Error | undefined {
    const { session, trailerFields } = this;
    const wrong = trailerFields.wrongAt(stream, endStream, undefined);
    if (wrong !== undefined) return session.streamError(stream, wrong);
    stream.remoteEnded = true;
    stream.onTrailers(trailerFields.headers);
    return undefined;
  }

  onSettings(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const stream of waiting) if (!stream.closed) this.start(stream, false);
    this.changed();
  }

  onPingAck(): void {
    // That something came is all that counts.
  }

  /** RFC 9113 section 6.8: what is above was not and will not be processed. */
  onGoaway(lastId: number, code: number): void {
    this.draining = true;
    const detail = `upstream sent GOAWAY (${errorCodeName(code)}) before it took the request`;
    for (const stream of this.session.streams.values()) {
      if (stream.id <= lastId || !(stream instanceof ClientStream) || stream.closed) continue;
      this.session.giveUp(stream);
      stream.fail({ source: 'upstream', flag: 'UR', status: 503, retry: 'yes', detail });
    }
    for (const stream of this.waiting) refuseLate(stream);
    this.waiting = [];
    if (code !== ErrorCode.NO_ERROR) {
      this.options.recorder?.count('http2_upstream_goaway');
      this.failure = `GOAWAY ${errorCodeName(code)}`;
    }
    this.finishIfIdle();
  }

  // Ends.

  onStreamClosed(_stream: H2Stream): void {
    if (this.draining) this.finishIfIdle();
    else this.changed();
  }

  onFlushed(): void {
    // The receiver of a response is not told when its request has left.
  }

  onFailed(error: H2Error): void {
    this.abandon(() => malformedResponse(error));
    this.closeSocket();
  }

  onDeadline(nowMs: number): void {
    const { session } = this;
    if (session.ended) {
      this.socket.destroy();
      return;
    }
    if (!session.settingsSeen || !session.settingsAcked) {
      if (nowMs >= this.openedMs + this.settingsTimeoutMs) {
        session.fail(h2Error('settings-timeout', 'SETTINGS did not come or were not acknowledged in time'));
        return;
      }
    }
    if ((session.streams.size === 0 && !this.keptAlive) || this.pingIntervalMs === 0) {
      this.pingSentMs = NEVER;
      this.deadlines.set(this, session.settingsAcked ? NEVER : this.openedMs + this.settingsTimeoutMs);
      return;
    }
    this.keepAlive(nowMs);
  }

  /** Asks a silent peer whether it is still there, each interval, and gives it up when an answer takes too long. */
  private keepAlive(nowMs: number): void {
    const { session } = this;
    if (this.pingSentMs !== NEVER && session.receivedMs < this.pingSentMs) {
      const lateAtMs = this.pingSentMs + this.pingTimeoutMs;
      if (nowMs < lateAtMs) {
        this.deadlines.set(this, Math.min(lateAtMs, nowMs + this.pingIntervalMs));
        return;
      }
      this.options.recorder?.count('http2_upstream_ping-timeout');
      this.failure = 'no answer to PING';
      this.socket.destroy();
      return;
    }
    if (nowMs - session.receivedMs < this.pingIntervalMs) {
      this.pingSentMs = NEVER;
      this.deadlines.set(this, session.receivedMs + this.pingIntervalMs);
      return;
    }
    session.output.ping(NO_PAYLOAD, 0, 0);
    // Whole, as the session counts: an answer within the same millisecond is not earlier.
    this.pingSentMs = Math.floor(nowMs);
    this.deadlines.set(this, nowMs + Math.min(this.pingIntervalMs, this.pingTimeoutMs));
  }

  private get settingsTimeoutMs(): number {
    return this.options.settingsTimeoutMs ?? SETTINGS_TIMEOUT_MS;
  }

  private changed(): void {
    if (!this.closed && !this.session.ended) this.onChange?.();
  }

  private finishIfIdle(): void {
    if (this.closed || this.session.ended || this.session.streams.size > 0 || this.waiting.length > 0) return;
    this.session.end(ErrorCode.NO_ERROR, '');
    this.closeSocket();
  }

  /** The peer has nothing to send that anybody waits for: the socket goes when what was written has left. */
  private closeSocket(): void {
    this.socket.end(() => this.socket.destroy());
    this.deadlines.set(this, this.session.nowMs + CLOSE_TIMEOUT_MS);
  }

  private onEnd(): void {
    // Half-closed by the peer: no response can come any more.
    this.socket.destroy();
  }

  private onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.session.ended = true;
    this.deadlines.remove(this);
    this.session.output.discard();
    this.abandon((stream) => this.terminated(stream));
    this.onChange?.();
  }

  private abandon(errorOf: (stream: ClientStream) => ProxyError): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const stream of waiting) refuseLate(stream);
    for (const stream of this.session.streams.values()) {
      if (stream.closed || !(stream instanceof ClientStream)) continue;
      this.session.close(stream);
      stream.fail(errorOf(stream));
    }
  }

  private terminated(stream: ClientStream): ProxyError {
    // Not a byte since the request: the connection had gone stale before it.
    const stale = stream.receivedBefore > 0 && this.session.receivedBytes === stream.receivedBefore;
    const cause = this.failure === '' ? '' : ` (${this.failure})`;
    const when = stream.headSeen ? 'before the response was complete' : 'before a response';
    return {
      source: 'upstream',
      flag: 'UC',
      status: 503,
      retry: stream.headSeen ? 'no' : stale ? 'reusedOnly' : 'idempotent',
      detail: `upstream closed the connection ${when}${cause}`,
    };
  }
}

function refuseLate(stream: ClientStream): void {
  stream.closed = true;
  stream.fail({
    source: 'upstream',
    flag: 'UC',
    status: 503,
    retry: 'yes',
    detail: 'the upstream connection was closed before the request was sent',
  });
}

function refuseConnectProtocol(stream: ClientStream): void {
  stream.fail({
    source: 'upstream',
    flag: 'UPE',
    status: 502,
    retry: 'no',
    detail: 'the upstream does not take extended CONNECT (RFC 8441 section 3)',
  });
}
