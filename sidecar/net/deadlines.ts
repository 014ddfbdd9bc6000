import type { Cancel, Clock } from '@weft/policies/kit/clock';

/** Something with one deadline that moves often and is rarely met. */
export interface Timed {
  /** On the clock's monotonic scale; Infinity: none. Set it with `Deadlines.set`. */
  deadlineMs: number;
  onDeadline(nowMs: number): void;
}

/**
 * One timer for the deadlines of all connections. Moving a deadline is an assignment and a comparison; the timer
 * fires for the earliest that it knew of, looks at all and sleeps until the next. Coarse: up to `resolutionMs` late.
 */
export class Deadlines {
  private readonly clock: Clock;
  private readonly resolutionMs: number;
  private readonly entries = new Set<Timed>();
  private nextMs = Number.POSITIVE_INFINITY;
  private cancel: Cancel | undefined = undefined;

  constructor(clock: Clock, resolutionMs = 20) {
    this.clock = clock;
    this.resolutionMs = resolutionMs;
  }

  add(entry: Timed): void {
    this.entries.add(entry);
    if (entry.deadlineMs < this.nextMs) this.arm(entry.deadlineMs);
  }

  remove(entry: Timed): void {
    this.entries.delete(entry);
    if (this.entries.size > 0 || this.cancel === undefined) return;
    this.cancel();
    this.cancel = undefined;
    this.nextMs = Number.POSITIVE_INFINITY;
  }

  set(entry: Timed, deadlineMs: number): void {
    entry.deadlineMs = deadlineMs;
    if (deadlineMs < this.nextMs && this.entries.has(entry)) this.arm(deadlineMs);
  }

  get size(): number {
    return this.entries.size;
  }

  private arm(atMs: number): void {
    this.cancel?.();
    this.nextMs = atMs;
    // Timers take 31 bits of milliseconds; a longer wait just looks again.
    const delayMs = Math.min(Math.max(this.resolutionMs, Math.ceil(atMs - this.clock.nowMs())), 2_000_000_000);
    this.cancel = this.clock.after(delayMs, () => this.fire());
  }

  private fire(): void {
    this.cancel = undefined;
    const nowMs = this.clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    // Deadlines that are set while this runs are looked at below, with all others.
    this.nextMs = Number.NEGATIVE_INFINITY;
    for (const entry of this.entries) {
      if (entry.deadlineMs <= nowMs) {
        entry.deadlineMs = Number.POSITIVE_INFINITY;
        entry.onDeadline(nowMs);
      }
    }
    for (const entry of this.entries) {
      if (entry.deadlineMs < nextMs) nextMs = entry.deadlineMs;
    }
    this.nextMs = Number.POSITIVE_INFINITY;
    if (nextMs !== Number.POSITIVE_INFINITY) this.arm(nextMs);
  }
}

const shared = new WeakMap<Clock, Deadlines>();

/** The deadlines of a clock: one timer for all connections of a thread. */
export function deadlinesOf(clock: Clock): Deadlines {
  let deadlines = shared.get(clock);
  if (deadlines === undefined) {
    deadlines = new Deadlines(clock);
    shared.set(clock, deadlines);
  }
  return deadlines;
}
