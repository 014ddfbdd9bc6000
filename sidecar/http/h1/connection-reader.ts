import type { Duplex } from 'node:stream';
import { ReadBuffer } from './read-buffer.ts';

/** The reading side, which both ends of a connection have: works off what was read, and stops reading when it must. */
export abstract class ConnectionReader {
  protected readonly socket: Duplex;
  protected readonly input = new ReadBuffer();
  /** The peer has closed its side. */
  protected endSeen = false;
  private pumping = false;
  private paused = false;

  constructor(socket: Duplex) {
    this.socket = socket;
  }

  /** More was read. */
  protected receive(chunk: Buffer, borrowed: boolean): void {
    this.input.push(chunk, borrowed);
    this.pump();
    this.input.settle();
  }

  /** Does one thing with what was read; true: there may be more to do. */
  protected abstract advance(): boolean;
  /** What was read waits for somebody: read no more meanwhile. */
  protected abstract isStalled(): boolean;

  /** Runs until there is nothing more to do with what was read. Calls back into it from a receiver change nothing. */
  protected pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    for (let more = true; more; ) more = this.advance();
    this.pumping = false;
    this.setPaused(this.isStalled());
  }

  protected setPaused(stop: boolean): void {
    if (stop === this.paused) return;
    this.paused = stop;
    if (stop) this.socket.pause();
    else this.socket.resume();
  }
}
