import type { Clock } from '@weft/policies/kit/clock';

export type TimeoutKind = 'request' | 'attempt' | 'idle' | 'discard' | 'duration' | 'hedge';

export interface TimeoutTarget {
  onTimeout(kind: TimeoutKind): void;
}

/** Node's timers take 31 bits of milliseconds (24 days) and fire at once beyond that. */
const TIMER_MS_MAX = 2_147_483_647;

/** A place in a queue of timeouts; part of whatever it guards, so that arming it allocates nothing. */
export class TimeoutEntry {
  readonly target: TimeoutTarget;
  readonly kind: TimeoutKind;
  deadlineMs = 0;
  queue: TimeoutQueue | undefined = undefined;
  previous: TimeoutEntry | undefined = undefined;
  next: TimeoutEntry | undefined = undefined;

  constructor(target: TimeoutTarget, kind: TimeoutKind) {
    this.target = target;
    this.kind = kind;
  }

  disarm(): void {
    this.queue?.remove(this);
  }

  /** Until it fires; Infinity: it will not. */
  leftMs(clock: Clock): number {
    return this.queue === undefined ? Number.POSITIVE_INFINITY : this.deadlineMs - clock.nowMs();
  }
}

/**
 * Timeouts of one length: whatever is armed last expires last, so that a list kept in order and one timer of the clock
 * do for any number of requests.
 */
class TimeoutQueue {
  private readonly clock: Clock;
  private readonly delayMs: number;
  private readonly fire: () => void;
  private first: TimeoutEntry | undefined = undefined;
  private last: TimeoutEntry | undefined = undefined;
  /** Left running when the list is empty: with one request at a time it would be set and cleared for each. */
  private timerRuns = false;

  constructor(clock: Clock, delayMs: number) {
    this.clock = clock;
    this.delayMs = Math.min(delayMs, TIMER_MS_MAX);
    this.fire = () => this.expire();
  }

  /** Arms, or starts anew. */
  arm(entry: TimeoutEntry): void {
    if (entry.queue === this) this.unlink(entry);
    else entry.disarm();
    entry.queue = this;
    entry.deadlineMs = this.clock.nowMs() + this.delayMs;
    entry.previous = this.last;
    if (this.last === undefined) this.first = entry;
    else this.last.next = entry;
    this.last = entry;
    if (!this.timerRuns) this.startTimer(this.delayMs);
  }

  remove(entry: TimeoutEntry): void {
    this.unlink(entry);
  }

  private startTimer(delayMs: number): void {
    this.timerRuns = true;
    this.clock.afterUnref(delayMs, this.fire);
  }

  private unlink(entry: TimeoutEntry): void {
    if (entry.previous === undefined) this.first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.last = entry.previous;
    else entry.next.previous = entry.previous;
    entry.previous = undefined;
    entry.next = undefined;
    entry.queue = undefined;
  }

  private expire(): void {
    // Still: what is armed by one that expires comes after those that wait, whose timer is started below.
    const nowMs = this.clock.nowMs();
    while (this.first !== undefined && this.first.deadlineMs <= nowMs) {
      const entry = this.first;
      this.unlink(entry);
      entry.target.onTimeout(entry.kind);
    }
    this.timerRuns = false;
    // Timers of Node may fire a fraction early.
    if (this.first !== undefined) this.startTimer(Math.max(1, this.first.deadlineMs - nowMs));
  }
}

/** Lengths come from configuration and are few; those beyond are forgotten oldest first, while their entries live on. */
const LENGTHS_MAX = 256;

/** All timeouts of one chain, by length. */
export class Timeouts {
  private readonly clock: Clock;
  private readonly queues = new Map<number, TimeoutQueue>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  arm(entry: TimeoutEntry, delayMs: number): void {
    let queue = this.queues.get(delayMs);
    if (queue === undefined) {
      if (this.queues.size >= LENGTHS_MAX) {
        for (const oldest of this.queues.keys()) {
          this.queues.delete(oldest);
          break;
        }
      }
      queue = new TimeoutQueue(this.clock, delayMs);
      this.queues.set(delayMs, queue);
    }
    queue.arm(entry);
  }
}
