import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Headers } from '../http/headers.ts';

/** As Envoy's fault filter: bytes go in steps of so long, and nothing is saved up from one to the next. */
const STEP_MS = 50;

/** Where what was held back goes. */
interface PacedSink {
  /** False: no more until `resume`. */
  onBytes(chunk: Buffer, end: boolean): boolean;
  onTrailers(trailers: Headers): void;
  /** Nothing waits any more. */
  onDrained(): void;
}

interface Waiting {
  chunk: Buffer;
  readonly end: boolean;
}

/** One direction of an exchange, or of a connection, at a bounded rate. What waits here is bounded by the credit of its producer. */
export class Pace {
  private readonly stepBytes: number;
  private readonly clock: Clock;
  private readonly sink: PacedSink;
  private readonly queue: Waiting[] = [];
  private trailers: Headers | undefined = undefined;
  private leftBytes: number;
  private stepEndMs: number;
  private blocked = false;
  private stopped = false;
  private cancelTimer: Cancel | undefined = undefined;

  constructor(kibPerSecond: number, clock: Clock, sink: PacedSink) {
    this.stepBytes = Math.max(1, Math.floor((kibPerSecond * 1024 * STEP_MS) / 1000));
    this.clock = clock;
    this.sink = sink;
    this.leftBytes = this.stepBytes;
    this.stepEndMs = clock.nowMs() + STEP_MS;
  }

  get waiting(): boolean {
    return this.queue.length > 0 || this.trailers !== undefined;
  }

  push(chunk: Buffer, end: boolean): void {
    this.queue.push({ chunk, end });
    this.flush();
  }

  pushTrailers(trailers: Headers): void {
    this.trailers = trailers;
    this.flush();
  }

  /** The sink takes more. */
  resume(): void {
    this.blocked = false;
    this.flush();
  }

  stop(): void {
    this.stopped = true;
    this.queue.length = 0;
    this.trailers = undefined;
    this.cancelTimer?.();
  }

  private flush(): void {
    if (this.cancelTimer !== undefined) return;
    for (let first = this.queue[0]; first !== undefined && !this.blocked; first = this.queue[0]) {
      const bytes = Math.min(first.chunk.length, this.allowance());
      if (bytes === 0 && first.chunk.length > 0) {
        this.later();
        return;
      }
      this.leftBytes -= bytes;
      const whole = bytes === first.chunk.length;
      const chunk = whole ? first.chunk : first.chunk.subarray(0, bytes);
      if (whole) this.queue.shift();
      else first.chunk = first.chunk.subarray(bytes);
      this.blocked = !this.sink.onBytes(chunk, whole && first.end);
      if (this.stopped) return;
    }
    if (this.queue.length > 0) return;
    const { trailers } = this;
    this.trailers = undefined;
    if (trailers !== undefined) this.sink.onTrailers(trailers);
    else if (!this.blocked) this.sink.onDrained();
  }

  private allowance(): number {
    const nowMs = this.clock.nowMs();
    if (nowMs >= this.stepEndMs) {
      this.leftBytes = this.stepBytes;
      this.stepEndMs = nowMs + STEP_MS;
    }
    return this.leftBytes;
  }

  private later(): void {
    this.cancelTimer = this.clock.after(Math.max(1, this.stepEndMs - this.clock.nowMs()), () => {
      this.cancelTimer = undefined;
      this.flush();
    });
  }
}
