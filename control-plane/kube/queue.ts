/** Keys to be looked at again: each at most once in the queue, at a bounded rate, later and later when it fails. */
import type { Cancel, Clock } from '@weft/policies/kit/clock';

interface QueueOptions {
  readonly clock: Clock;
  /** Makes the world as it should be for a key; false: try again. */
  readonly reconcile: (key: string) => Promise<boolean>;
  /** Least time between two looks at one key. */
  readonly intervalMs: number;
  readonly parallelMax: number;
}

const retryMsMin = 200;
const retryMsMax = 30_000;

export class WorkQueue {
  readonly counters = { done: 0, failed: 0 };
  private readonly options: QueueOptions;
  private readonly waiting = new Map<string, Cancel>();
  private readonly running = new Set<string>();
  private readonly again = new Set<string>();
  private readonly ready: string[] = [];
  private readonly lastMs = new Map<string, number>();
  private readonly failures = new Map<string, number>();
  private stopped = false;

  constructor(options: QueueOptions) {
    this.options = options;
  }

  get depth(): number {
    return this.waiting.size + this.ready.length;
  }

  add(key: string): void {
    if (this.stopped) return;
    if (this.running.has(key)) {
      this.again.add(key);
      return;
    }
    if (this.waiting.has(key)) return;
    const lastMs = this.lastMs.get(key);
    const nowMs = this.options.clock.nowMs();
    this.later(key, lastMs === undefined ? 0 : Math.max(0, lastMs + this.options.intervalMs - nowMs));
  }

  /** The thing behind the key is gone: nothing is to be remembered of it. */
  forget(key: string): void {
    this.waiting.get(key)?.();
    this.waiting.delete(key);
    this.lastMs.delete(key);
    this.failures.delete(key);
  }

  stop(): void {
    this.stopped = true;
    for (const cancel of this.waiting.values()) cancel();
    this.waiting.clear();
    this.ready.length = 0;
  }

  private later(key: string, delayMs: number): void {
    const cancel = this.options.clock.after(delayMs, () => {
      this.waiting.delete(key);
      this.ready.push(key);
      this.pump();
    });
    this.waiting.set(key, cancel);
  }

  private pump(): void {
    while (this.running.size < this.options.parallelMax) {
      const key = this.ready.shift();
      if (key === undefined) return;
      if (this.running.has(key)) {
        this.again.add(key);
        continue;
      }
      void this.run(key);
    }
  }

  private async run(key: string): Promise<void> {
    this.running.add(key);
    const succeeded = await this.options.reconcile(key).catch(() => false);
    this.running.delete(key);
    if (this.stopped) return;
    this.lastMs.set(key, this.options.clock.nowMs());
    const again = this.again.delete(key);
    if (succeeded) {
      this.counters.done += 1;
      this.failures.delete(key);
      if (again) this.add(key);
    } else {
      this.counters.failed += 1;
      const failures = (this.failures.get(key) ?? 0) + 1;
      this.failures.set(key, failures);
      if (!this.waiting.has(key)) this.later(key, Math.min(retryMsMin * 2 ** (failures - 1), retryMsMax));
    }
    this.pump();
  }
}
