import type { Duplex } from 'node:stream';
import type { Clock } from '@weft/policies/kit/clock';
import { Pace } from '../net/pace.ts';
import { copyLanded, READ_BYTES_MAX, readIntoBuffer, sharedLanding } from '../net/read.ts';
import { isTlsSocket } from '../net/tls-socket.ts';
import { waitingBytesMax } from '../net/watermark.ts';

/** A receiver that does not keep up may have this much waiting before its sender is stopped. */
const WAITING_BYTES_MAX = 262_144;
/** RFC 8446 section 5.1: TLS hands out a record at a time. */
const RECORD_BYTES_MAX = 16_384;
/** Buffers that nobody reads into are kept for the next who needs one. */
const SPARE_BUFFERS_MAX = 16;

const EMPTY = Buffer.alloc(0);

/** Buffers of one size that go round: from a read to the end of the write that sends what was read. */
class BufferPool {
  readonly bytes: number;
  private readonly spare: Buffer[] = [];

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  take(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(this.bytes);
  }

  giveBack(buffer: Buffer): void {
    if (this.spare.length < SPARE_BUFFERS_MAX) this.spare.push(buffer);
  }
}

const plainBuffers = new BufferPool(READ_BYTES_MAX);
const recordBuffers = new BufferPool(RECORD_BYTES_MAX);

/**
 * One way of a relay. The end of the sender ends the receiver's side and no more (half-close).
 *
 * What comes in small pieces lands where all sockets read to, and is copied: an idle connection holds no buffer. A stream
 * that fills its reads gets buffers of its own that go round, so that it leaves no garbage: the runtime's own would each
 * have to be found by a collection of the whole heap.
 */
export class RelayDirection {
  bytes = 0;
  private readonly from: Duplex;
  private readonly to: Duplex;
  private readonly waitingBytesMax: number;
  private readonly pool: BufferPool;
  /** What the next read goes to; undefined: where all read to. */
  private own: Buffer | undefined = undefined;
  private readonly landing: Buffer;
  private stopped = false;
  private watch: ((chunk: Buffer) => boolean) | undefined;
  private pace: Pace | undefined = undefined;

  constructor(from: Duplex, to: Duplex, watch?: (chunk: Buffer) => boolean) {
    this.watch = watch;
    this.from = from;
    this.to = to;
    this.waitingBytesMax = waitingBytesMax(to, WAITING_BYTES_MAX);
    this.pool = isTlsSocket(from) ? recordBuffers : plainBuffers;
    this.landing = sharedLanding(from);
    to.on('drain', this.onDrain);
    // The end may have come while nobody listened.
    if (from.readableEnded) {
      to.end();
      return;
    }
    from.on('end', this.onEnd);
    from.on('close', this.onClose);
    if (!this.land()) from.on('data', this.onData);
  }

  /** Before anything is read: no more than so much goes on from here. */
  slowDown(kibPerSecond: number, clock: Clock): void {
    const { to } = this;
    const pace = new Pace(kibPerSecond, clock, {
      onBytes: (chunk, end) => {
        if (end) to.end();
        else if (to.writable) to.write(chunk);
        return to.writableLength < this.waitingBytesMax;
      },
      onTrailers: () => undefined,
      onDrained: () => this.from.resume(),
    });
    this.pace = pace;
    to.on('drain', () => pace.resume());
    to.on('close', () => pace.stop());
  }

  /** Bytes that were read before the relay began. */
  begin(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.watch !== undefined && !this.watch(chunk)) this.watch = undefined;
    if (this.pace === undefined) this.to.write(chunk);
    else this.slowly(chunk, this.pace);
  }

  private slowly(chunk: Buffer, pace: Pace): void {
    this.from.pause();
    pace.push(chunk, false);
  }

  private land(): boolean {
    return readIntoBuffer(this.from, this.landing, this.onRead, this.nextBuffer);
  }

  private readonly onRead = (count: number): void => {
    const { own } = this;
    if (own !== undefined) {
      const chunk = count === own.length ? own : own.subarray(0, count);
      this.own = count * 2 >= own.length ? this.pool.take() : undefined;
      this.pass(chunk, own);
      return;
    }
    const chunk = copyLanded(this.from, count);
    if (chunk === undefined) return;
    if (count * 2 >= this.pool.bytes) this.own = this.pool.take();
    this.pass(chunk, undefined);
  };

  private readonly nextBuffer = (): Buffer => this.own ?? this.landing;

  /** Chunks that had been read before it was known what reads them. */
  private readonly onData = (chunk: Buffer): void => {
    if (this.from.readableLength === 0 && this.land()) this.from.removeListener('data', this.onData);
    this.pass(chunk, undefined);
  };

  private pass(chunk: Buffer, lent: Buffer | undefined): void {
    const { to } = this;
    this.bytes += chunk.length;
    if (this.watch !== undefined && !this.watch(chunk)) this.watch = undefined;
    if (!to.writable) return;
    if (this.pace !== undefined) {
      this.slowly(lent === undefined ? chunk : Buffer.from(chunk), this.pace);
      if (lent !== undefined) this.pool.giveBack(lent);
      return;
    }
    if (lent === undefined) to.write(chunk);
    else to.write(chunk, () => this.pool.giveBack(lent));
    if (to.writableLength < this.waitingBytesMax || this.stopped) return;
    this.stopped = true;
    this.from.pause();
  }

  private readonly onDrain = (): void => {
    if (!this.stopped) return;
    this.stopped = false;
    this.from.resume();
  };

  private readonly onEnd = (): void => {
    if (this.pace === undefined) this.to.end();
    else this.pace.push(EMPTY, true);
  };

  private readonly onClose = (): void => {
    if (this.own !== undefined) this.pool.giveBack(this.own);
    this.own = undefined;
  };
}
