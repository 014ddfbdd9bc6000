import type { Cancel, Clock } from '@weft/policies/kit/clock';

/** So many connections are looked at in one turn: thousands of them must not hold up what they carry. */
const AT_ONCE = 256;

interface Rechecked {
  recheck(): void;
}

/**
 * Looks at all open connections again, a few at a time. After a change meanwhile those that were not seen yet come first:
 * changes in quick succession must not keep the last ones open for ever.
 */
export class RecheckQueue {
  private readonly clock: Clock;
  private waiting: Set<Rechecked> = new Set();
  private cancel: Cancel | undefined = undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  all(connections: ReadonlySet<Rechecked>): void {
    const unseen = [...this.waiting].filter((one) => connections.has(one));
    this.waiting = new Set([...unseen, ...connections]);
    if (this.waiting.size > 0) this.cancel ??= this.clock.after(0, () => this.some());
  }

  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.waiting.clear();
  }

  private some(): void {
    this.cancel = undefined;
    let left = AT_ONCE;
    for (const connection of this.waiting) {
      this.waiting.delete(connection);
      connection.recheck();
      if (--left === 0) break;
    }
    if (this.waiting.size > 0) this.cancel = this.clock.after(0, () => this.some());
  }
}
