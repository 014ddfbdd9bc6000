import type { FrameOutput } from './frame-output.ts';
import { FRAME_PAYLOAD_BYTES_MAX, WINDOW_BYTES_INITIAL } from './frames.ts';
import { type H2Stream, QUEUE_BYTES_MAX } from './stream.ts';

/** DATA that one turn may add to the output: what is handed over can no longer be overtaken by another stream. */
const TURN_BYTES_MAX = 65_536;

const GONE_MAX = 256;

export interface SchedulerOwner {
  /** Writes the trailers that a stream has queued, and ends it. */
  writeTrailers(stream: H2Stream): void;
  onEndSent(stream: H2Stream): void;
}

/**
 * Who may send DATA next: streams with something to send take turns, a frame each, as far as the windows and the socket
 * allow (RFC 9113 section 5.2). A small message waits at most for one frame of each larger one.
 */
export class SendScheduler {
  /** The connection's window. */
  window = WINDOW_BYTES_INITIAL;
  /** Of the peer's MAX_FRAME_SIZE, no more than our own: larger frames would only hold up the others. */
  frameBytesMax = FRAME_PAYLOAD_BYTES_MAX;
  /** DATA frames written, which WINDOW_UPDATEs are measured against. */
  framesSent = 0;
  private readonly output: FrameOutput;
  private readonly owner: SchedulerOwner;
  private round: H2Stream[] = [];
  private roundAt = 0;
  private nextRound: H2Stream[] = [];
  /** Streams that ended while they waited, since the rounds were last looked through. */
  private gone = 0;

  constructor(output: FrameOutput, owner: SchedulerOwner) {
    this.output = output;
    this.owner = owner;
  }

  send(stream: H2Stream, chunk: Buffer, end: boolean): void {
    const length = chunk.length;
    // Not past those that wait: what arrives in small pieces all the time would leave them no part of any turn.
    if (!stream.waitsToSend && (length === 0 || (!this.someWait && this.fits(stream, length)))) {
      if (length > 0 || end) this.writeFrame(stream, chunk, end);
      return;
    }
    if (length > 0) stream.enqueue(chunk);
    if (end) stream.endQueued = true;
    this.join(stream);
  }

  /** It can send again: its window or the socket has opened. */
  join(stream: H2Stream): void {
    if (stream.inRound || stream.closed || !stream.waitsToSend) return;
    if (stream.queuedBytes > 0 && stream.sendWindow <= 0) return;
    stream.inRound = true;
    this.nextRound.push(stream);
    this.output.schedule();
  }

  /** Fills the output of this turn. */
  pump(): void {
    while (this.window > 0 && !this.output.full && this.output.pendingBytes < TURN_BYTES_MAX) {
      const stream = this.next();
      if (stream === undefined) return;
      stream.inRound = false;
      if (!stream.closed) this.sendOne(stream);
    }
  }

  /** After a flush: whether another turn is needed for what is left. */
  get waits(): boolean {
    if (this.window <= 0 || this.output.full) return false;
    return this.someWait;
  }

  /** The stream is gone; what it leaves behind in the round is bounded. */
  forget(stream: H2Stream): void {
    if (!stream.inRound) return;
    this.gone++;
    if (this.gone < GONE_MAX) return;
    this.gone = 0;
    const open = (other: H2Stream): boolean => !other.closed;
    this.nextRound = this.round.slice(this.roundAt).filter(open).concat(this.nextRound.filter(open));
    this.round = [];
    this.roundAt = 0;
  }

  clear(): void {
    this.round = [];
    this.nextRound = [];
    this.roundAt = 0;
  }

  private get someWait(): boolean {
    return this.roundAt < this.round.length || this.nextRound.length > 0;
  }

  private next(): H2Stream | undefined {
    if (this.roundAt === this.round.length) {
      const done = this.round;
      // One by one: to set a length is a call of the runtime.
      while (done.length > 0) done.pop();
      this.round = this.nextRound;
      this.nextRound = done;
      this.roundAt = 0;
    }
    const stream = this.round[this.roundAt];
    if (stream !== undefined) this.roundAt++;
    return stream;
  }

  private fits(stream: H2Stream, length: number): boolean {
    return (
      length <= stream.sendWindow &&
      length <= this.window &&
      length <= this.frameBytesMax &&
      !this.output.full &&
      this.output.pendingBytes < TURN_BYTES_MAX
    );
  }

  private sendOne(stream: H2Stream): void {
    if (stream.queuedBytes > 0) {
      const bytesMax = Math.min(this.frameBytesMax, this.window, stream.sendWindow);
      if (bytesMax <= 0) return;
      const chunk = stream.takeQueued(bytesMax);
      this.writeFrame(stream, chunk, stream.endQueued && stream.queuedBytes === 0);
    } else if (stream.endQueued && !stream.localEnded) {
      this.writeFrame(stream, stream.takeQueued(0), true);
    }
    if (stream.closed) return;
    if (stream.queuedBytes === 0 && stream.trailersQueued !== undefined) {
      this.owner.writeTrailers(stream);
    } else if (stream.waitsToSend) {
      this.join(stream);
    }
    if (stream.producerWaits && !stream.closed && stream.queuedBytes <= QUEUE_BYTES_MAX / 2) {
      stream.producerWaits = false;
      stream.onWritable();
    }
  }

  private writeFrame(stream: H2Stream, chunk: Buffer, end: boolean): void {
    const length = chunk.length;
    stream.sendWindow -= length;
    this.window -= length;
    stream.bytesSent += length + 9;
    this.framesSent++;
    this.output.data(stream.id, chunk, end);
    if (!end) return;
    stream.localEnded = true;
    this.owner.onEndSent(stream);
  }
}
