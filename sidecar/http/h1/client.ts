import type { Duplex } from 'node:stream';
import type { UpstreamTransport } from '../../net/connection.ts';
import { octetsAt } from '../../net/octets.ts';
import { type ByteSink, readInto } from '../../net/read.ts';
import type { Recorder } from '../../telemetry/record.ts';
import { malformedResponse, type ProxyError } from '../errors.ts';
import {
  type RequestHead,
  type ResponseReceiver,
  type Upstream,
  type UpstreamConnection,
  WINDOW_BYTES,
} from '../exchange.ts';
import { Output } from '../output.ts';
import { ChunkedDecoder } from './chunked.ts';
import { type AttemptOwner, ClientAttempt } from './client-attempt.ts';
import { ConnectionReader } from './connection-reader.ts';
import { CHUNKED, UNTIL_CLOSE } from './framing.ts';
import { type HeadError, headError } from './head-error.ts';
import { ParsedResponse, parseResponseHead } from './parse-response.ts';
import { EMPTY, findHeadEnd, HEAD_INCOMPLETE, HEAD_TOO_LARGE } from './read-buffer.ts';

/** Interim responses to one request; more is an upstream gone wrong. */
const INTERIM_RESPONSES_MAX = 32;

const HEAD_BYTES_MAX = 61_440;
const FIELDS_MAX = 100;

interface Http1ClientOptions {
  /** Counts malformed responses and stray bytes. */
  readonly recorder?: Pick<Recorder, 'count'>;
  readonly headBytesMax?: number;
  readonly headersCountMax?: number;
}

/** Speaks HTTP/1.1 to an upstream on a transport that belongs to the codec from now on. */
export function connectHttp1(transport: UpstreamTransport, options: Http1ClientOptions = {}): UpstreamConnection {
  return new ClientConnection(transport.socket, options);
}

class ClientConnection extends ConnectionReader implements ByteSink, UpstreamConnection, AttemptOwner {
  readonly output: Output;
  requests = 0;
  closed = false;
  onChange: (() => void) | undefined = undefined;
  private readonly recorder: Pick<Recorder, 'count'> | undefined;
  private readonly headBytesMax: number;
  private readonly fieldsMax: number;
  private readonly parsed = new ParsedResponse();
  private readonly decoder = new ChunkedDecoder();
  private attempt: ClientAttempt | undefined = undefined;
  /** Of the response being read: bytes to come, CHUNKED or UNTIL_CLOSE. */
  private bodyRemaining = 0;
  private interims = 0;
  private draining = false;
  private failure = '';

  constructor(socket: Duplex, options: Http1ClientOptions) {
    super(socket);
    this.recorder = options.recorder;
    this.headBytesMax = options.headBytesMax ?? HEAD_BYTES_MAX;
    this.fieldsMax = options.headersCountMax ?? FIELDS_MAX;
    this.output = new Output(socket, () => undefined);
    readInto(socket, this);
    socket.on('end', () => this.onEnd());
    socket.on('drain', () => this.attempt?.receiver.onWritable());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error.code ?? error.message;
    });
    socket.on('close', () => this.onClose());
    socket.resume();
  }

  get available(): number {
    if (this.closed || this.draining || this.endSeen || this.output.shut) return 0;
    return this.attempt === undefined ? 1 : 0;
  }

  open(head: RequestHead, end: boolean, receiver: ResponseReceiver): Upstream {
    const attempt = new ClientAttempt(this, head, receiver);
    if (this.available === 0) {
      // The pool was told too late that the connection is gone: nothing was sent.
      process.nextTick(refuseLate, attempt);
      return attempt;
    }
    this.requests++;
    this.interims = 0;
    this.attempt = attempt;
    attempt.begin(end);
    return attempt;
  }

  drain(): void {
    this.draining = true;
    if (this.attempt === undefined) this.destroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  onConsumed(attempt: ClientAttempt): void {
    if (attempt === this.attempt && attempt.unconsumedBytes < WINDOW_BYTES) this.pump();
  }

  onReset(attempt: ClientAttempt): void {
    if (attempt !== this.attempt) return;
    this.attempt = undefined;
    this.output.discard();
    this.socket.destroy();
  }

  onRequestEnd(attempt: ClientAttempt): void {
    if (attempt !== this.attempt) return;
    if (attempt.tunnel) {
      this.output.writeNow();
      this.socket.end();
    }
    this.finishIfDone(attempt);
  }

  onBytes(chunk: Buffer, borrowed: boolean): void {
    if (this.attempt === undefined) {
      // RFC 9112 section 9.2: bytes that answer no request would be taken for the answer to the next.
      this.recorder?.count('http1_upstream_unsolicited');
      this.socket.destroy();
      return;
    }
    this.receive(chunk, borrowed);
  }

  private onEnd(): void {
    this.endSeen = true;
    const attempt = this.attempt;
    if (attempt === undefined) {
      this.socket.destroy();
      return;
    }
    this.pump();
  }

  private onClose(): void {
    if (this.closed) return;
    this.closed = true;
    const attempt = this.attempt;
    this.attempt = undefined;
    const error = attempt?.alive === true ? this.terminated(attempt) : undefined;
    this.input.clear();
    this.output.discard();
    if (error !== undefined) attempt?.fail(error);
    this.onChange?.();
  }

  private terminated(attempt: ClientAttempt): ProxyError {
    const cause = this.failure === '' ? '' : ` (${this.failure})`;
    if (attempt.headSeen || this.input.length > 0) {
      const what = attempt.headSeen ? 'response' : 'head of the response';
      return {
        source: 'upstream',
        flag: 'UPE',
        status: 502,
        retry: attempt.headSeen ? 'no' : 'idempotent',
        detail: `upstream closed the connection before the ${what} was complete${cause} (RFC 9112 section 8)`,
      };
    }
    const stale = attempt.responseBytes === 0 && this.requests > 1;
    return {
      source: 'upstream',
      flag: 'UC',
      status: 503,
      retry: stale ? 'reusedOnly' : 'idempotent',
      detail: `upstream closed the connection before a response${cause}`,
    };
  }

  protected isStalled(): boolean {
    return this.attempt !== undefined && this.attempt.unconsumedBytes >= WINDOW_BYTES;
  }

  protected advance(): boolean {
    const attempt = this.attempt;
    if (attempt === undefined) {
      if (this.input.length > 0) this.socket.destroy();
      return false;
    }
    if (!attempt.headSeen) return this.readHead(attempt);
    return attempt.responseComplete ? false : this.readBody(attempt);
  }

  private readHead(attempt: ClientAttempt): boolean {
    const input = this.input;
    if (input.length > 0) attempt.responseBytes = input.length;
    const end = input.length === 0 ? HEAD_INCOMPLETE : findHeadEnd(input, this.headBytesMax);
    if (end === HEAD_INCOMPLETE) {
      if (this.endSeen) this.socket.destroy();
      return false;
    }
    const error = end === HEAD_TOO_LARGE ? this.tooLarge() : this.parse(end, attempt.method);
    if (error !== undefined) return this.refuse(attempt, error);
    input.skip(end + 4 - input.at);
    const head = this.parsed.head;
    if (head === undefined) return false;
    if (head.status < 200 && head.status !== 101) {
      if (++this.interims > INTERIM_RESPONSES_MAX) {
        const detail = `more than ${INTERIM_RESPONSES_MAX} interim responses`;
        return this.refuse(attempt, headError('interim', 400, 'RFC 9110 section 15.2', detail));
      }
      attempt.receiver.onInterim(head);
      return true;
    }
    return this.onFinalHead(attempt);
  }

  private onFinalHead(attempt: ClientAttempt): boolean {
    const head = this.parsed.head;
    if (head === undefined) return false;
    const switched = head.status === 101;
    const error = switched
      ? attempt.switchError(this.parsed.scan.upgrade, head.headers.get('sec-websocket-accept'))
      : undefined;
    if (error !== undefined) return this.refuse(attempt, headError('status', 400, 'RFC 9110 section 15.2.2', error));
    const tunnel = switched || (attempt.method === 'CONNECT' && head.status < 300);
    attempt.headSeen = true;
    this.bodyRemaining = tunnel ? UNTIL_CLOSE : this.parsed.framing;
    if (this.bodyRemaining === CHUNKED) this.decoder.reset();
    if (tunnel) attempt.acceptTunnel();
    else if (attempt.wantsTunnel) attempt.refuseTunnel();
    const end = this.bodyRemaining === 0;
    if (end) attempt.responseComplete = true;
    attempt.receiver.onHead(head, end);
    if (end) this.finishIfDone(attempt);
    return true;
  }

  private parse(end: number, method: string): HeadError | undefined {
    const text = octetsAt(this.input.bytes, this.input.at, end);
    return parseResponseHead(text, this.fieldsMax, method, this.parsed);
  }

  private tooLarge(): HeadError {
    const detail = `the response head is larger than ${this.headBytesMax} bytes`;
    return headError('head-too-large', 431, 'RFC 9112 section 2.3', detail);
  }

  private readBody(attempt: ClientAttempt): boolean {
    const input = this.input;
    if (input.length === 0) {
      if (!this.endSeen) return false;
      // Only what is delimited by the close is complete with it (RFC 9112 section 8).
      if (this.bodyRemaining === UNTIL_CLOSE) this.deliver(attempt, EMPTY, true);
      else this.socket.destroy();
      return false;
    }
    if (attempt.unconsumedBytes >= WINDOW_BYTES) return false;
    if (this.bodyRemaining === CHUNKED) return this.readChunks(attempt);
    if (this.bodyRemaining === UNTIL_CLOSE) {
      this.deliver(attempt, input.take(input.length), false);
      return true;
    }
    const chunk = input.take(this.bodyRemaining);
    this.bodyRemaining -= chunk.length;
    this.deliver(attempt, chunk, this.bodyRemaining === 0);
    return true;
  }

  private readChunks(attempt: ClientAttempt): boolean {
    const input = this.input;
    const decoder = this.decoder;
    let held: Buffer | undefined;
    while (input.at < input.end && !decoder.done && decoder.error === undefined) {
      input.at = decoder.step(input.bytes, input.at, input.end);
      if (decoder.chunk === undefined) continue;
      if (held !== undefined) this.deliver(attempt, held, false);
      if (attempt !== this.attempt) return false;
      held = input.own(decoder.chunk);
    }
    if (input.at === input.end) input.clear();
    if (decoder.error !== undefined) return this.refuse(attempt, decoder.error);
    const trailers = decoder.trailers;
    const end = decoder.done && trailers === undefined;
    if (held !== undefined) this.deliver(attempt, held, end);
    else if (end) this.deliver(attempt, EMPTY, true);
    if (decoder.done && trailers !== undefined && attempt === this.attempt) {
      attempt.responseComplete = true;
      attempt.receiver.onTrailers(trailers);
      this.finishIfDone(attempt);
    }
    return true;
  }

  private deliver(attempt: ClientAttempt, chunk: Buffer, end: boolean): void {
    if (attempt !== this.attempt) return;
    attempt.unconsumedBytes += chunk.length;
    if (end) attempt.responseComplete = true;
    attempt.receiver.onData(chunk, end);
    if (end) this.finishIfDone(attempt);
  }

  private refuse(attempt: ClientAttempt, error: HeadError): boolean {
    this.attempt = undefined;
    this.output.discard();
    this.socket.destroy();
    this.recorder?.count(`http1_upstream_${error.kind}`);
    attempt.fail(malformedResponse(error));
    return false;
  }

  /** The connection is free again when both messages are complete and neither side asked to close it. */
  private finishIfDone(attempt: ClientAttempt): void {
    if (attempt !== this.attempt || !attempt.responseComplete) return;
    if (attempt.tunnel && !attempt.requestComplete) return;
    this.attempt = undefined;
    attempt.alive = false;
    // An early response leaves a request unfinished: the connection cannot tell where a next one would begin.
    if (!attempt.requestComplete || !this.parsed.keepAlive || attempt.tunnel || this.draining || this.endSeen) {
      this.output.writeNow();
      this.socket.destroy();
      return;
    }
    if (this.input.length > 0) {
      this.socket.destroy();
      return;
    }
    this.onChange?.();
  }
}

function refuseLate(attempt: ClientAttempt): void {
  if (!attempt.alive) return;
  attempt.fail({
    source: 'upstream',
    flag: 'UC',
    status: 503,
    retry: 'yes',
    detail: 'the upstream connection was closed before the request was sent',
  });
}
