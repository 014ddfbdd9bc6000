import type { Duplex } from 'node:stream';
import type { Clock } from '@weft/policies/kit/clock';
import type { Http2Options } from '@weft/policies/model/http2-options';
import type { Headers } from '../headers.ts';
import { ClosedStreams } from './closed-streams.ts';
import { isConnectionField } from './connection-fields.ts';
import { FloodGuard } from './flood-guard.ts';
import { type FlushOwner, FrameOutput } from './frame-output.ts';
import { type FrameHandler, FrameReader } from './frame-reader.ts';
import { FrameRules } from './frame-rules.ts';
import * as F from './frames.ts';
import { type H2Error, h2Error } from './h2-error.ts';
import { HeaderBlock } from './header-block.ts';
import type { ByteWriter } from './hpack/byte-writer.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { type SchedulerOwner, SendScheduler } from './send-scheduler.ts';
import {
  HEADER_TABLE_SIZE,
  INITIAL_TABLE_BYTES,
  INITIAL_WINDOW_SIZE,
  PeerSettings,
  SETTING_BYTES,
} from './settings.ts';
import type { H2Stream, StreamSession } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** Room that most header blocks fit in without growing the writer. */
const BLOCK_BYTES_USUAL = 512;
/** Beyond this the peer's frames are not read until it reads ours. */
const BACKLOG_BYTES_MAX = 1_048_576;

interface SessionOptions {
  readonly side: 'server' | 'client';
  readonly clock: Clock;
  readonly count: (event: string) => void;
  readonly mesh: boolean;
  readonly headBytesMax: number;
  /** As announced in our SETTINGS. */
  readonly http2: Http2Options;
}

/** What differs between a server's and a client's connection. */
export interface SessionOwner {
  /** A whole header block, of a stream that is not idle on a client. The table has to be kept whatever is wrong. */
  onBlock(
    id: number,
    endStream: boolean,
    block: Buffer,
    start: number,
    end: number,
    error: H2Error | undefined,
  ): H2Error | undefined;
  /** It has left the table. */
  onStreamClosed(stream: H2Stream): void;
  onSettings(): void;
  onPingAck(): void;
  onGoaway(lastId: number, code: number): void;
  onFlushed(): void;
  /** The peer broke the protocol; GOAWAY is written. */
  onFailed(error: H2Error): void;
}

/** One HTTP/2 connection: its frames, settings, windows and table of streams, the same on both sides. */
export class Session implements FrameHandler, FlushOwner, SchedulerOwner, StreamSession {
  readonly socket: Duplex;
  readonly owner: SessionOwner;
  readonly options: SessionOptions;
  readonly output: FrameOutput;
  readonly scheduler: SendScheduler;
  readonly peer = new PeerSettings();
  readonly decoder: HpackDecoder;
  readonly encoder: HpackEncoder;
  readonly streams = new StreamTable<H2Stream>();
  readonly guard: FloodGuard;
  readonly closedStreams = new ClosedStreams();
  readonly block: HeaderBlock;
  /** Highest stream that the peer (server) or this side (client) has opened. */
  lastId = 0;
  /** SETTINGS of the peer have come. */
  settingsSeen = false;
  settingsAcked = false;
  /** A connection error was written, or the connection is being closed: nothing is read any more. */
  ended = false;
  /** When the last bytes came or went; whole, since each stream keeps a few of it. */
  nowMs: number;
  receivedMs: number;
  receivedBytes = 0;
  /** The chunk that is being read, if its memory is not ours to keep. */
  borrowed: Buffer | undefined = undefined;
  /** Of the connection: what the peer may still send. */
  receiveWindow: number;
  private readonly reader: FrameReader;
  private readonly rules: FrameRules;
  private creditBytes = 0;
  private paused = false;
  private blockAt = 0;
  /** Holds the block that is being written; only a new block may take another. */
  private blockWriter: ByteWriter | undefined = undefined;

  constructor(socket: Duplex, options: SessionOptions, owner: SessionOwner) {
    this.socket = socket;
    this.options = options;
    this.owner = owner;
    this.nowMs = Math.floor(options.clock.nowMs());
    this.receivedMs = this.nowMs;
    this.output = new FrameOutput(socket, this);
    this.scheduler = new SendScheduler(this.output, this);
    this.reader = new FrameReader(this);
    this.rules = new FrameRules(this);
    this.guard = new FloodGuard(() => options.clock.nowMs(), options.mesh);
    // Huffman codes may take more octets than what they stand for.
    const blockBytesMax = 2 * options.headBytesMax;
    this.block = new HeaderBlock(blockBytesMax);
    const keepsCase = options.mesh;
    const { headerTableBytes: tableBytesMax, connectionWindowBytes } = options.http2;
    this.receiveWindow = connectionWindowBytes;
    this.decoder = new HpackDecoder({ tableBytesMax, stringBytesMax: blockBytesMax, keepsCase });
    this.encoder = new HpackEncoder({ tableBytesMax, keepsCase });
  }

  /** Identifiers and values in turn; and the connection's window, which SETTINGS cannot set (RFC 9113 section 6.9.2). */
  sendSettings(own: readonly number[]): void {
    const { headerTableBytes, streamWindowBytes, connectionWindowBytes } = this.options.http2;
    const settings = [...own, INITIAL_WINDOW_SIZE, streamWindowBytes];
    if (headerTableBytes !== INITIAL_TABLE_BYTES) settings.push(HEADER_TABLE_SIZE, headerTableBytes);
    const bytes = (settings.length / 2) * SETTING_BYTES;
    const writer = this.output.begin(bytes);
    F.putFrameHeader(writer.buffer, writer.at, bytes, F.SETTINGS, 0, 0);
    let at = writer.at + F.FRAME_HEADER_BYTES;
    for (let i = 0; i < settings.length; i += 2, at += SETTING_BYTES) {
      const id = settings[i] ?? 0;
      writer.buffer[at] = id >>> 8;
      writer.buffer[at + 1] = id;
      F.putUint32(writer.buffer, at + 2, settings[i + 1] ?? 0);
    }
    writer.at = at;
    const more = connectionWindowBytes - F.WINDOW_BYTES_INITIAL;
    if (more > 0) this.output.windowUpdate(0, more);
  }

  // Reading.

  receive(chunk: Buffer, borrowed: boolean): void {
    if (this.ended) return;
    this.borrowed = borrowed ? chunk : undefined;
    this.nowMs = Math.floor(this.options.clock.nowMs());
    this.receivedMs = this.nowMs;
    this.receivedBytes += chunk.length;
    const error = this.reader.push(chunk);
    this.borrowed = undefined;
    if (error !== undefined) this.fail(error);
    this.applyPause();
  }

  /** A frame or a header block has begun that is not complete. */
  get incomplete(): boolean {
    return this.reader.incomplete || this.block.stream !== 0;
  }

  /** Only now does the peer keep to them (RFC 9113 section 6.5.3). */
  onSettingsAcked(): void {
    this.settingsAcked = true;
    this.decoder.setTableBytesMax(this.options.http2.headerTableBytes);
  }

  onFrame(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): boolean {
    if (this.ended) return false;
    const error = this.rules.handle(type, flags, id, buffer, start, end);
    if (error === undefined) return !this.ended;
    this.fail(error);
    return false;
  }

  // Streams.

  /** RFC 9113 section 6.9.2. */
  shiftWindows(bytes: number): H2Error | undefined {
    if (bytes === 0) return undefined;
    for (const stream of this.streams.values()) {
      stream.sendWindow += bytes;
      if (stream.sendWindow > F.WINDOW_BYTES_MAX) {
        return h2Error('settings-window', 'INITIAL_WINDOW_SIZE lets the window of a stream overflow');
      }
      if (bytes > 0) this.scheduler.join(stream);
    }
    return undefined;
  }

  isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.lastId;
  }

  /** A frame with content for a stream that is not in the table (RFC 9113 section 5.1). */
  onClosedStream(id: number, data: boolean): H2Error | undefined {
    if (this.isIdle(id)) return h2Error('idle-stream', 'a frame on a stream that was not opened');
    const how = this.closedStreams.find(id);
    if (how === 'reset-here') return undefined;
    if (how === 'ended') return h2Error('closed-stream', 'a frame on a stream that has ended');
    // This side opened it, and has forgotten how it ended.
    if (how === 'unknown' && this.options.side === 'client')
      return this.guard.onControlFrame(this.scheduler.framesSent);
    if (how === 'unknown' && !data) return h2Error('stream-id', 'HEADERS on a stream lower than one that was opened');
    this.output.rstStream(id, F.ErrorCode.STREAM_CLOSED);
    return this.guard.onReset();
  }

  /** Ends the stream, or the connection, as the error says. */
  streamError(stream: H2Stream, error: H2Error): H2Error | undefined {
    if (error.scope === 'connection') return error;
    this.options.count(`http2_${this.options.side === 'server' ? 'downstream' : 'upstream'}_${error.kind}`);
    stream.beforeReset(error);
    this.resetStream(stream, error.code);
    stream.onError(error);
    return this.options.side === 'server' ? this.guard.onReset() : undefined;
  }

  resetStream(stream: H2Stream, code: number): void {
    if (stream.closed) return;
    this.output.rstStream(stream.id, code);
    this.closedStreams.addReset(stream.id, false);
    this.close(stream);
  }

  /** Both sides have ended. */
  endStream(stream: H2Stream): void {
    if (stream.closed) return;
    this.closedStreams.addEnded(stream.id);
    this.close(stream);
  }

  close(stream: H2Stream): void {
    stream.closed = true;
    this.streams.delete(stream.id);
    stream.dropQueue();
    this.scheduler.forget(stream);
    // What its receiver holds is bounded by its own window; nobody is left to return it.
    const bytes = stream.unconsumedBytes;
    stream.unconsumedBytes = 0;
    if (bytes > 0) this.creditConnection(bytes);
    this.owner.onStreamClosed(stream);
  }

  /** Not to be processed by the peer, which needs no RST_STREAM for that. */
  giveUp(stream: H2Stream): void {
    if (stream.closed) return;
    this.closedStreams.addReset(stream.id, false);
    this.close(stream);
  }

  returnCredit(stream: H2Stream, bytes: number): void {
    const returned = Math.min(bytes, stream.unconsumedBytes);
    if (returned <= 0) return;
    stream.unconsumedBytes -= returned;
    this.creditConnection(returned);
    if (stream.remoteEnded || stream.closed) return;
    stream.creditBytes += returned;
    if (stream.creditBytes * 2 < this.options.http2.streamWindowBytes) return;
    this.output.windowUpdate(stream.id, stream.creditBytes);
    stream.receiveWindow += stream.creditBytes;
    stream.creditBytes = 0;
  }

  creditConnection(bytes: number): void {
    this.creditBytes += bytes;
    if (this.creditBytes * 2 < this.options.http2.connectionWindowBytes || this.ended) return;
    this.output.windowUpdate(0, this.creditBytes);
    this.receiveWindow += this.creditBytes;
    this.creditBytes = 0;
  }

  // Writing.

  sendData(stream: H2Stream, chunk: Buffer, end: boolean): void {
    this.scheduler.send(stream, chunk, end);
  }

  sendTrailers(stream: H2Stream, trailers: Headers): void {
    stream.trailersQueued = trailers;
    if (stream.queuedBytes === 0) this.writeTrailers(stream);
    else this.scheduler.join(stream);
  }

  writeTrailers(stream: H2Stream): void {
    const trailers = stream.trailersQueued;
    if (trailers === undefined) return;
    stream.trailersQueued = undefined;
    const writer = this.beginBlock();
    for (let i = 0; i < trailers.length; i++) this.writeField(trailers, i, writer);
    this.endBlock(stream, true);
  }

  /** Begins a header block; its fields go to the encoder with the writer that is returned, then `endBlock`. */
  beginBlock(): ByteWriter {
    const writer = this.output.begin(BLOCK_BYTES_USUAL);
    this.blockAt = writer.at;
    writer.at += F.FRAME_HEADER_BYTES;
    this.encoder.begin(writer);
    this.blockWriter = writer;
    return writer;
  }

  /** Fields that belong to a connection are not for HTTP/2, whoever added them (RFC 9113 section 8.2.2). */
  writeField(headers: Headers, index: number, writer: ByteWriter): void {
    const lower = headers.lowerAt(index);
    if (isConnectionField(lower)) return;
    this.encoder.field(headers.nameAt(index), lower, headers.valueAt(index), writer);
  }

  endBlock(stream: H2Stream, end: boolean): void {
    const writer = this.blockWriter;
    if (writer === undefined) return;
    this.blockWriter = undefined;
    const length = writer.at - this.blockAt - F.FRAME_HEADER_BYTES;
    const flags = end ? F.FLAG_END_STREAM : 0;
    stream.bytesSent += length + F.FRAME_HEADER_BYTES;
    stream.activeMs = this.nowMs;
    if (length <= F.FRAME_PAYLOAD_BYTES_MAX) {
      F.putFrameHeader(writer.buffer, this.blockAt, length, F.HEADERS, flags | F.FLAG_END_HEADERS, stream.id);
    } else {
      this.splitBlock(writer, length, flags, stream.id);
    }
    if (!end) return;
    stream.localEnded = true;
    stream.onLocalEnd();
  }

  /** RFC 9113 section 6.10: CONTINUATION for what HEADERS has no room for. */
  private splitBlock(writer: ByteWriter, length: number, flags: number, id: number): void {
    const from = this.blockAt + F.FRAME_HEADER_BYTES;
    const block = Buffer.from(writer.buffer.subarray(from, from + length));
    writer.at = this.blockAt;
    for (let at = 0; at < length; at += F.FRAME_PAYLOAD_BYTES_MAX) {
      const end = Math.min(length, at + F.FRAME_PAYLOAD_BYTES_MAX);
      const last = end === length ? F.FLAG_END_HEADERS : 0;
      writer.reserve(F.FRAME_HEADER_BYTES + end - at);
      const type = at === 0 ? F.HEADERS : F.CONTINUATION;
      F.putFrameHeader(writer.buffer, writer.at, end - at, type, last | (at === 0 ? flags : 0), id);
      block.copy(writer.buffer, writer.at + F.FRAME_HEADER_BYTES, at, end);
      writer.at += F.FRAME_HEADER_BYTES + end - at;
    }
  }

  onEndSent(stream: H2Stream): void {
    stream.onLocalEnd();
  }

  get alone(): boolean {
    return this.streams.size <= 1;
  }

  beforeFlush(): void {
    this.nowMs = Math.floor(this.options.clock.nowMs());
    this.scheduler.pump();
  }

  afterFlush(): void {
    if (this.scheduler.waits) this.output.scheduleNext();
    this.owner.onFlushed();
    this.applyPause();
  }

  onDrain(): void {
    this.output.schedule();
    this.applyPause();
  }

  private applyPause(): void {
    const stop = !this.ended && this.output.backlogBytes > BACKLOG_BYTES_MAX;
    if (stop === this.paused) return;
    this.paused = stop;
    if (stop) this.socket.pause();
    else this.socket.resume();
  }

  /** A connection error (RFC 9113 section 5.4.1). */
  fail(error: H2Error): void {
    if (this.ended) return;
    this.options.count(`http2_${this.options.side === 'server' ? 'downstream' : 'upstream'}_${error.kind}`);
    this.end(error.code, `${error.detail} (${error.section})`);
    this.owner.onFailed(error);
  }

  /** Nothing is read from here on; what was written leaves. */
  end(code: number, detail: string): void {
    if (this.ended) return;
    this.ended = true;
    this.output.goaway(this.options.side === 'server' ? this.lastId : 0, code, detail);
    this.reader.clear();
    this.scheduler.clear();
    this.output.writeNow();
  }
}
