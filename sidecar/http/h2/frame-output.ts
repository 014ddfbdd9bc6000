import type { Duplex } from 'node:stream';
import { atEndOfTurn, readNumber } from '../../net/turn.ts';
import { SocketWriter } from '../../net/write.ts';
import {
  DATA,
  FLAG_END_STREAM,
  FRAME_HEADER_BYTES,
  GOAWAY,
  PING,
  putFrameHeader,
  putUint32,
  RST_STREAM,
  WINDOW_UPDATE,
} from './frames.ts';
import { ByteWriter } from './hpack/byte-writer.ts';

/** Payloads up to this size are copied next to their header; above it the copy costs more than a part of its own. */
const COPY_BYTES_MAX = 4_096;
/** Up to this size everything leaves as one buffer: cheaper than a vectored write, and one run of segments or TLS records. */
const JOIN_BYTES_MAX = 32_768;
/** What was copied leaves before the end of the turn beyond this. */
const WRITER_BYTES_MAX = 65_536;
const SPARE_WRITERS_MAX = 16;
/** After so many writes in a row that waited for other reads and left as they were, the next do not wait; */
const UNSHARED_MAX = 4;
/** but every so many one does, to see whether there is something to share again. */
const UNSHARED_PROBE = 32;

/** Writers are lent to connections from their first frame of a turn to its end, so that idle ones hold no memory. */
const spareWriters: ByteWriter[] = [];

function takeWriter(): ByteWriter {
  return spareWriters.pop() ?? new ByteWriter(JOIN_BYTES_MAX);
}

function giveBack(writer: ByteWriter): void {
  writer.clear();
  if (spareWriters.length < SPARE_WRITERS_MAX && writer.buffer.length <= 2 * WRITER_BYTES_MAX)
    spareWriters.push(writer);
}

let dirty: FrameOutput[] = [];
let spareDirty: FrameOutput[] = [];
let scheduled = false;

function flushAll(): void {
  scheduled = false;
  const outputs = dirty;
  dirty = spareDirty;
  spareDirty = outputs;
  for (const output of outputs) output.flushTurn();
  // Taken out one by one: to set a length is a call of the runtime.
  while (outputs.length > 0) outputs.pop();
}

export interface FlushOwner {
  /** No stream beside the one that writes: nobody's frames could share the write. */
  readonly alone: boolean;
  /** The turn ends: the last chance to add frames to the write. */
  beforeFlush(): void;
  afterFlush(): void;
}

/**
 * The frames of a connection on their way out. Those of one turn of the event loop, from whichever sockets they came,
 * leave in one write: when there is enough to do that a turn has several reads. To wait for them costs a callback of the
 * event loop, and with TLS another turn of it, so that each connection learns whether it pays.
 */
export class FrameOutput {
  private readonly socket: Duplex;
  private readonly out: SocketWriter;
  private readonly owner: FlushOwner;
  private writer: ByteWriter | undefined = undefined;
  /** Payloads that are not copied, and where in the writer each belongs. */
  private readonly refs: Buffer[] = [];
  private readonly cuts: number[] = [];
  private refBytes = 0;
  private queued = false;
  /** The read that asked for the present flush, and whether another added to it. */
  private read = 0;
  private shared = false;
  /** Flushes in a row that waited and were not shared; beyond UNSHARED_MAX, those that did not wait. */
  private unshared = 0;
  private readonly flushNow = (): void => this.flush();

  constructor(socket: Duplex, owner: FlushOwner) {
    this.socket = socket;
    this.out = new SocketWriter(socket);
    this.owner = owner;
  }

  /** Collected in this turn. */
  get pendingBytes(): number {
    return this.refBytes + (this.writer === undefined ? 0 : this.writer.at);
  }

  /** Nothing can be written any more. */
  get shut(): boolean {
    return this.out.shut;
  }

  /** The socket holds more than it should: no more DATA until it drains. */
  get full(): boolean {
    return this.out.full;
  }

  /** All that has not left yet. */
  get backlogBytes(): number {
    return this.out.backlogBytes + this.pendingBytes;
  }

  /** Asks for a flush at the end of the turn, also when nothing is written. */
  schedule(): void {
    if (this.queued) {
      if (this.read !== readNumber()) this.shared = true;
      return;
    }
    this.queued = true;
    if (!this.waits()) {
      atEndOfTurn(this.flushNow);
      return;
    }
    this.shared = false;
    this.wait();
  }

  /** After a flush that left something: others have their turn before the next, also those who write to this connection. */
  scheduleNext(): void {
    if (this.queued || this.owner.alone) {
      this.schedule();
      return;
    }
    this.queued = true;
    // Says nothing of whether it pays to wait.
    this.shared = this.unshared === 0;
    this.wait();
  }

  private wait(): void {
    this.read = readNumber();
    dirty.push(this);
    if (scheduled) return;
    scheduled = true;
    setImmediate(flushAll);
  }

  private waits(): boolean {
    if (this.owner.alone) return false;
    if (this.unshared < UNSHARED_MAX) return true;
    this.unshared++;
    return this.unshared % UNSHARED_PROBE === 0;
  }

  /** At the end of a turn that was waited for. */
  flushTurn(): void {
    if (this.shared) this.unshared = 0;
    else if (this.unshared < UNSHARED_MAX) this.unshared++;
    this.flush();
  }

  /** Room for a frame of that payload; what is written to it after its header is the caller's. */
  begin(payloadBytes: number): ByteWriter {
    this.schedule();
    this.writer ??= takeWriter();
    if (this.writer.at >= WRITER_BYTES_MAX) {
      this.writeNow();
      this.writer = takeWriter();
    }
    this.writer.reserve(FRAME_HEADER_BYTES + payloadBytes);
    return this.writer;
  }

  frame(type: number, flags: number, id: number, payload: Buffer, start: number, end: number): void {
    const writer = this.begin(end - start);
    putFrameHeader(writer.buffer, writer.at, end - start, type, flags, id);
    payload.copy(writer.buffer, writer.at + FRAME_HEADER_BYTES, start, end);
    writer.at += FRAME_HEADER_BYTES + end - start;
  }

  /** The client's preface, which is no frame. */
  raw(bytes: Buffer): void {
    const writer = this.begin(bytes.length);
    writer.at += bytes.copy(writer.buffer, writer.at);
  }

  data(id: number, chunk: Buffer, end: boolean): void {
    const length = chunk.length;
    const flags = end ? FLAG_END_STREAM : 0;
    if (length <= COPY_BYTES_MAX) {
      this.frame(DATA, flags, id, chunk, 0, length);
      return;
    }
    const writer = this.begin(0);
    putFrameHeader(writer.buffer, writer.at, length, DATA, flags, id);
    writer.at += FRAME_HEADER_BYTES;
    this.refs.push(chunk);
    this.cuts.push(writer.at);
    this.refBytes += length;
  }

  windowUpdate(id: number, increment: number): void {
    this.number(WINDOW_UPDATE, id, increment);
  }

  rstStream(id: number, code: number): void {
    this.number(RST_STREAM, id, code);
  }

  ping(payload: Buffer, start: number, flags: number): void {
    this.frame(PING, flags, 0, payload, start, start + 8);
  }

  goaway(lastId: number, code: number, detail: string): void {
    const text = Buffer.from(detail, 'latin1');
    const writer = this.begin(8 + text.length);
    const { buffer, at } = writer;
    putFrameHeader(buffer, at, 8 + text.length, GOAWAY, 0, 0);
    putUint32(buffer, at + FRAME_HEADER_BYTES, lastId);
    putUint32(buffer, at + FRAME_HEADER_BYTES + 4, code);
    text.copy(buffer, at + FRAME_HEADER_BYTES + 8);
    writer.at += FRAME_HEADER_BYTES + 8 + text.length;
  }

  discard(): void {
    if (this.writer !== undefined) giveBack(this.writer);
    this.writer = undefined;
    if (this.refs.length > 0) {
      this.refs.length = 0;
      this.cuts.length = 0;
      this.refBytes = 0;
    }
  }

  flush(): void {
    this.queued = false;
    this.owner.beforeFlush();
    this.writeNow();
    this.owner.afterFlush();
  }

  /** For what has to leave before the socket is ended. */
  writeNow(): void {
    const writer = this.writer;
    if (writer === undefined) return;
    if (!this.shut) {
      if (this.refs.length === 0) {
        // A write that is not done at once keeps the memory.
        if (!this.out.lend(writer.written())) this.writer = undefined;
      } else if (this.pendingBytes <= JOIN_BYTES_MAX) {
        this.out.give(this.joined(writer));
      } else {
        this.writeParts(writer);
      }
    }
    this.discard();
  }

  private number(type: number, id: number, value: number): void {
    const writer = this.begin(4);
    putFrameHeader(writer.buffer, writer.at, 4, type, 0, id);
    putUint32(writer.buffer, writer.at + FRAME_HEADER_BYTES, value);
    writer.at += FRAME_HEADER_BYTES + 4;
  }

  private joined(writer: ByteWriter): Buffer {
    const all = Buffer.allocUnsafe(this.pendingBytes);
    let from = 0;
    let to = 0;
    for (let i = 0; i < this.refs.length; i++) {
      const cut = this.cuts[i] ?? 0;
      to += writer.buffer.copy(all, to, from, cut);
      to += this.refs[i]?.copy(all, to) ?? 0;
      from = cut;
    }
    writer.buffer.copy(all, to, from, writer.at);
    return all;
  }

  private writeParts(writer: ByteWriter): void {
    const { socket } = this;
    const copied = Buffer.allocUnsafe(writer.at);
    writer.buffer.copy(copied, 0, 0, writer.at);
    socket.cork();
    let from = 0;
    for (let i = 0; i < this.refs.length; i++) {
      const cut = this.cuts[i] ?? 0;
      const ref = this.refs[i];
      if (cut > from) socket.write(copied.subarray(from, cut));
      if (ref !== undefined) socket.write(ref);
      from = cut;
    }
    if (from < writer.at) socket.write(copied.subarray(from, writer.at));
    socket.uncork();
  }
}
