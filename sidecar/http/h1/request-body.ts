import { WINDOW_BYTES } from '../exchange.ts';
import type { Headers } from '../headers.ts';
import { ChunkedDecoder } from './chunked.ts';
import { CHUNKED } from './framing.ts';
import { type HeadError, headError } from './head-error.ts';
import { EMPTY, type ReadBuffer } from './read-buffer.ts';
import type { ServerExchange } from './server-exchange.ts';

/** Of a request whose response is complete already: read and dropped up to here, then the connection closes. */
export const LEFTOVER_BYTES_MAX = 262_144;

/** Where the content of a request goes. */
export interface BodySink {
  deliver(exchange: ServerExchange, chunk: Buffer, end: boolean): void;
  onBodyTrailers(exchange: ServerExchange, trailers: Headers): void;
  onBadChunk(exchange: ServerExchange, error: HeadError): void;
  /** The connection ended before the content did. */
  onTruncated(): void;
}

/** Reads the content of one request after the other from a connection's bytes (RFC 9112 section 6). */
export class RequestBody {
  /** Bytes to come, or CHUNKED. */
  remaining = 0;
  private readonly input: ReadBuffer;
  private readonly sink: BodySink;
  private readonly decoder = new ChunkedDecoder();

  /** Of this request; 0: no limit. */
  private readonly bytesMax: number;
  private bytes = 0;

  constructor(input: ReadBuffer, sink: BodySink, bytesMax: number) {
    this.input = input;
    this.sink = sink;
    this.bytesMax = bytesMax;
  }

  /** An error if more is announced than there may be. */
  begin(framing: number): HeadError | undefined {
    this.remaining = framing;
    this.bytes = 0;
    if (framing === CHUNKED) this.decoder.reset();
    return this.bytesMax > 0 && framing > this.bytesMax ? bodyTooLarge(this.bytesMax) : undefined;
  }

  /** An error if more has come than there may be. */
  count(bytes: number): HeadError | undefined {
    this.bytes += bytes;
    return this.bytesMax > 0 && this.bytes > this.bytesMax ? bodyTooLarge(this.bytesMax) : undefined;
  }

  /** True if it did something: there may be more to do. */
  read(exchange: ServerExchange, endSeen: boolean): boolean {
    const input = this.input;
    if (exchange.head.protocol !== undefined) return this.readTunnel(exchange, endSeen);
    if (input.length === 0) {
      if (endSeen) this.sink.onTruncated();
      return false;
    }
    // After the response, what is left of the request is dropped and needs no credit.
    if (exchange.unconsumedBytes >= WINDOW_BYTES && exchange.state !== 'ended') return false;
    if (this.remaining === CHUNKED) return this.readChunks(exchange);
    const chunk = input.take(this.remaining);
    this.remaining -= chunk.length;
    this.sink.deliver(exchange, chunk, this.remaining === 0);
    return true;
  }

  /** Whether the request will be over soon enough for the connection to live on after an early response. */
  canEnd(exchange: ServerExchange): boolean {
    if (exchange.requestComplete) return true;
    if (exchange.head.protocol !== undefined) {
      // A refused tunnel: what the client sent ahead for it must not be read as a request (RFC 9110 section 9.3.6).
      exchange.requestComplete = true;
      return exchange.head.method !== 'CONNECT' && this.input.length === 0;
    }
    // The client may send the content or not (RFC 9110 section 10.1.1): where the next request begins is unknown.
    if (!exchange.continued) return false;
    return this.remaining === CHUNKED || this.remaining <= LEFTOVER_BYTES_MAX;
  }

  private readChunks(exchange: ServerExchange): boolean {
    const { input, decoder, sink } = this;
    let overhead = input.length;
    let held: Buffer | undefined;
    while (input.at < input.end && !decoder.done && decoder.error === undefined) {
      input.at = decoder.step(input.bytes, input.at, input.end);
      if (decoder.chunk === undefined) continue;
      overhead -= decoder.chunk.length;
      // The last piece is held back, so that the end of the content goes with it.
      if (held !== undefined) sink.deliver(exchange, held, false);
      held = input.own(decoder.chunk);
    }
    // Overhead counts as received; content is counted where it is delivered.
    exchange.bytesReceived += overhead - input.length;
    if (input.at === input.end) input.clear();
    if (decoder.error !== undefined) {
      sink.onBadChunk(exchange, decoder.error);
      return false;
    }
    const trailers = decoder.trailers;
    const end = decoder.done && trailers === undefined;
    if (held !== undefined) sink.deliver(exchange, held, end);
    else if (end) sink.deliver(exchange, EMPTY, true);
    if (decoder.done && trailers !== undefined) sink.onBodyTrailers(exchange, trailers);
    return true;
  }

  private readTunnel(exchange: ServerExchange, endSeen: boolean): boolean {
    if (!exchange.tunnel || exchange.unconsumedBytes >= WINDOW_BYTES) return false;
    const input = this.input;
    if (input.length > 0) this.sink.deliver(exchange, input.take(input.length), false);
    else if (endSeen) this.sink.deliver(exchange, EMPTY, true);
    else return false;
    return true;
  }
}

const bodyTooLarge = (max: number): HeadError =>
  headError('body-too-large', 413, 'RFC 9110 section 15.5.14', `the content is larger than ${max} bytes`);
