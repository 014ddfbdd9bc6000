import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { OverloadState } from './state.ts';

/** How much of something there is, in its own unit; `max` is infinite where nothing bounds it. */
export interface Reading {
  readonly what: 'memory' | 'heap' | 'descriptors';
  readonly used: number;
  readonly max: number;
}

interface OverloadOptions {
  readonly clock: Clock;
  readonly read: () => readonly Reading[];
  readonly count: (event: string) => void;
  readonly log: (line: string) => void;
  /** Called while memory or heap is short, now and then: garbage counts against the limit too. */
  readonly reclaim?: () => void;
  readonly onChange?: (shed: boolean) => void;
}

const SAMPLE_MS = 250;
const RECLAIM_EVERY_MS = 5_000;
const SHED_AT = 0.9;
const RECOVER_BELOW = 0.85;

/** Looks at what the process uses, and says whether new work is to be turned away rather than risk everything. */
export class OverloadMonitor implements OverloadState {
  shouldShed = false;
  private readonly options: OverloadOptions;
  private own = false;
  private told = false;
  private reclaimAfterMs = 0;
  private cancel: Cancel | undefined = undefined;

  constructor(options: OverloadOptions) {
    this.options = options;
  }

  start(): void {
    this.cancel = this.options.clock.after(SAMPLE_MS, () => {
      this.sample();
      this.start();
    });
  }

  close(): void {
    this.cancel?.();
  }

  /** What another thread has found. */
  tell(shed: boolean): void {
    this.told = shed;
    this.settle();
  }

  sample(): void {
    let highest: Reading | undefined;
    for (const reading of this.options.read()) {
      if (highest === undefined || share(reading) > share(highest)) highest = reading;
    }
    if (highest === undefined) return;
    const used = share(highest);
    if (this.own ? used >= RECOVER_BELOW : used >= SHED_AT) {
      if (!this.own) this.begin(highest);
      if (highest.what !== 'descriptors') this.reclaim();
    } else if (this.own) {
      this.own = false;
      this.options.log('overload: new work is taken again');
    }
    this.settle();
  }

  private begin({ what, used, max }: Reading): void {
    this.own = true;
    this.options.count(`overload.${what}`);
    this.options.log(`overload: ${what} ${used} of ${max}; new connections and requests are turned away`);
  }

  private reclaim(): void {
    const nowMs = this.options.clock.nowMs();
    if (nowMs < this.reclaimAfterMs) return;
    this.reclaimAfterMs = nowMs + RECLAIM_EVERY_MS;
    this.options.reclaim?.();
  }

  private settle(): void {
    const shed = this.own || this.told;
    if (shed === this.shouldShed) return;
    this.shouldShed = shed;
    this.options.onChange?.(shed);
  }
}

const share = ({ used, max }: Reading): number => (max > 0 ? used / max : 0);
