/** Cancels what was scheduled; cancelling twice is harmless. */
export type Cancel = () => void;

/**
 * Time as a port, so that our own logic runs on a seeded clock in simulations.
 * Library timers, TLS and grpc-js keep the real one, and simulations say so.
 */
export interface Clock {
  /** Monotonic, milliseconds, with a fraction. */
  nowMs(): number;
  /** Wall clock, milliseconds since the epoch. */
  unixMs(): number;
  after(delayMs: number, run: () => void): Cancel;
  /** The same, for what alone is no reason for the process to go on. */
  afterUnref(delayMs: number, run: () => void): Cancel;
}

/** Node's timers take 31 bits of milliseconds (24 days) and fire at once beyond that. */
const TIMER_MS_MAX = 2_147_483_647;

/** The global is looked up by a getter each time. */
const { performance } = globalThis;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  unixMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, TIMER_MS_MAX));
    return () => clearTimeout(timer);
  },
  afterUnref(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, TIMER_MS_MAX)).unref();
    return () => clearTimeout(timer);
  },
};

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that moves only when told to; for tests and simulations. */
export class ManualClock implements Clock {
  private elapsedMs = 0;
  private order = 0;
  private readonly epochMs: number;
  private readonly scheduled = new Set<Scheduled>();

  constructor(epochMs = 1_700_000_000_000) {
    this.epochMs = epochMs;
  }

  nowMs(): number {
    return this.elapsedMs;
  }

  unixMs(): number {
    return this.epochMs + Math.floor(this.elapsedMs);
  }

  after(delayMs: number, run: () => void): Cancel {
    const entry: Scheduled = { atMs: this.elapsedMs + Math.max(0, delayMs), order: this.order++, run };
    this.scheduled.add(entry);
    return () => this.scheduled.delete(entry);
  }

  afterUnref(delayMs: number, run: () => void): Cancel {
    return this.after(delayMs, run);
  }

  /** Runs everything that falls due within the next `ms`, in order of time, then of scheduling. */
  advance(ms: number): void {
    const untilMs = this.elapsedMs + ms;
    for (;;) {
      let next: Scheduled | undefined;
      for (const entry of this.scheduled) {
        if (entry.atMs > untilMs) continue;
        if (next === undefined || entry.atMs < next.atMs || (entry.atMs === next.atMs && entry.order < next.order))
          next = entry;
      }
      if (next === undefined) break;
      this.scheduled.delete(next);
      this.elapsedMs = next.atMs;
      next.run();
    }
    this.elapsedMs = untilMs;
  }
}
