import type { Duplex } from 'node:stream';

/** A receiver that does not keep up may have this much waiting before its sender is stopped. */
const WAITING_BYTES_MAX = 262_144;
/** What is gathered within one turn of the event loop is written when it is this much. */
const GATHERED_BYTES_MAX = 131_072;

/**
 * One way of a relay. TLS hands out a record at a time (RFC 8446 section 5.1: 16 KiB), so that chunks that arrive in one
 * turn of the event loop leave in one write. The end of the sender ends the receiver's side and no more (half-close).
 */
export class RelayDirection {
  bytes = 0;
  private readonly from: Duplex;
  private readonly to: Duplex;
  private gathered = 0;
  private stopped = false;

  constructor(from: Duplex, to: Duplex) {
    this.from = from;
    this.to = to;
    from.on('data', this.onData);
    to.on('drain', this.onDrain);
    // The end may have come while nobody listened.
    if (from.readableEnded) to.end();
    else from.on('end', this.onEnd);
  }

  /** Bytes that were read before the relay began. */
  begin(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.to.write(chunk);
  }

  private readonly onData = (chunk: Buffer): void => {
    const { to } = this;
    this.bytes += chunk.length;
    if (!to.writable) return;
    if (this.gathered === 0) {
      to.cork();
      setImmediate(this.flush);
    }
    this.gathered += chunk.length;
    to.write(chunk);
    if (this.gathered >= GATHERED_BYTES_MAX) this.flush();
    if (to.writableLength < WAITING_BYTES_MAX || this.stopped) return;
    this.stopped = true;
    this.from.pause();
  };

  private readonly flush = (): void => {
    if (this.gathered === 0) return;
    this.gathered = 0;
    this.to.uncork();
  };

  private readonly onDrain = (): void => {
    if (!this.stopped) return;
    this.stopped = false;
    this.from.resume();
  };

  private readonly onEnd = (): void => {
    this.flush();
    this.to.end();
  };
}
