import type { Cancel, Clock } from '@weft/policies/kit/clock';

interface Version {
  readonly version: number;
  readonly missing: Set<number>;
  readonly errors: string[];
  readonly done: ((errors: readonly string[]) => void)[];
  readonly cancelTimer: Cancel;
}

interface AppliedOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** A thread that has not applied a version in time. */
  readonly onLate: (thread: number) => void;
}

/** Which thread has applied which version; versions settle in order. */
export class AppliedVersions {
  private readonly options: AppliedOptions;
  private readonly open: Version[] = [];

  constructor(options: AppliedOptions) {
    this.options = options;
  }

  published(version: number, threads: Iterable<number>): void {
    const missing = new Set(threads);
    if (missing.size === 0) return;
    const { clock, timeoutMs, onLate } = this.options;
    const cancelTimer = clock.after(timeoutMs, () => {
      for (const thread of missing) onLate(thread);
    });
    this.open.push({ version, missing, errors: [], done: [], cancelTimer });
  }

  /** Calls back when everything that was published is applied or refused, with the errors of the newest version. */
  whenSettled(done: (errors: readonly string[]) => void): void {
    const newest = this.open.at(-1);
    if (newest === undefined) done([]);
    else newest.done.push(done);
  }

  applied(thread: number, version: number, error: string | undefined): void {
    for (const open of this.open) {
      if (open.version > version) break;
      if (open.version === version && error !== undefined && !open.errors.includes(error)) open.errors.push(error);
      open.missing.delete(thread);
    }
    this.settle();
  }

  /** A thread that is gone is waited for no longer: its successor begins with the newest version. */
  gone(thread: number): void {
    for (const { missing } of this.open) missing.delete(thread);
    this.settle();
  }

  private settle(): void {
    for (let first = this.open[0]; first !== undefined && first.missing.size === 0; first = this.open[0]) {
      this.open.shift();
      first.cancelTimer();
      for (const done of first.done) done(first.errors);
    }
  }
}
