import type { Headers } from '../headers.ts';
import type { H2Error } from './h2-error.ts';

/** What a stream needs of its connection. */
export interface StreamSession {
  /** Sends now what may be sent now, and takes the stream into the round of those that wait. */
  sendData(stream: H2Stream, chunk: Buffer, end: boolean): void;
  sendTrailers(stream: H2Stream, trailers: Headers): void;
  /** Credit for bytes of that stream comes back. */
  returnCredit(stream: H2Stream, bytes: number): void;
  resetStream(stream: H2Stream, code: number): void;
}

/** Held back for one stream until its producer is told to wait. */
export const QUEUE_BYTES_MAX = 65_536;

/** One stream: both windows, what waits to be sent, which sides have ended (RFC 9113 sections 5.1 and 5.2). */
export abstract class H2Stream {
  readonly id: number;
  sendWindow: number;
  receiveWindow: number;
  /** Handed to the receiver and not returned. */
  unconsumedBytes = 0;
  /** Returned by the receiver and not announced to the peer. */
  creditBytes = 0;
  /** Body as declared that is still to come, -1: not declared. */
  expectedBytes = -1;
  /** Body that may still come, -1: as much as the peer likes. */
  allowedBytes = -1;
  /** DATA that waits for a window or its turn. */
  queue: Buffer[] | undefined = undefined;
  queueAt = 0;
  queuedBytes = 0;
  /** END_STREAM follows what is queued. */
  endQueued = false;
  trailersQueued: Headers | undefined = undefined;
  /** In the round of streams that wait to send. */
  inRound = false;
  /** The producer was told to wait. */
  producerWaits = false;
  localEnded = false;
  remoteEnded = false;
  /** The head of what comes in has come: on a client content must not be before it. */
  headSeen = true;
  /** No longer in the connection's table: nothing is sent or received any more. */
  closed = false;
  bytesReceived = 0;
  bytesSent = 0;
  /** Something was sent or received, on the connection's clock. */
  activeMs = 0;

  constructor(id: number, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  abstract onData(chunk: Buffer, end: boolean): void;
  abstract onWritable(): void;
  /** END_STREAM has been written. */
  abstract onLocalEnd(): void;
  /** RST_STREAM came, or the connection is gone; the stream is closed already. */
  abstract onPeerReset(code: number): void;
  /** The peer broke a rule on this stream; RST_STREAM follows what is written here. */
  abstract beforeReset(error: H2Error): void;
  /** The peer broke a rule on this stream; it is closed and reset already. */
  abstract onError(error: H2Error): void;

  get waitsToSend(): boolean {
    return this.queuedBytes > 0 || (this.endQueued && !this.localEnded) || this.trailersQueued !== undefined;
  }

  /** The next piece that may be sent, at most `bytesMax`, taken from the queue. */
  takeQueued(bytesMax: number): Buffer {
    const queue = this.queue;
    const chunk = queue?.[this.queueAt];
    if (queue === undefined || chunk === undefined) return EMPTY;
    if (chunk.length > bytesMax) {
      queue[this.queueAt] = chunk.subarray(bytesMax);
      this.queuedBytes -= bytesMax;
      return chunk.subarray(0, bytesMax);
    }
    this.queuedBytes -= chunk.length;
    this.queueAt++;
    if (this.queueAt === queue.length) {
      this.queue = undefined;
      this.queueAt = 0;
    }
    return chunk;
  }

  enqueue(chunk: Buffer): void {
    this.queue ??= [];
    this.queue.push(chunk);
    this.queuedBytes += chunk.length;
  }

  dropQueue(): void {
    this.queue = undefined;
    this.queueAt = 0;
    this.queuedBytes = 0;
    this.endQueued = false;
    this.trailersQueued = undefined;
  }
}

export const EMPTY: Buffer = Buffer.alloc(0);
