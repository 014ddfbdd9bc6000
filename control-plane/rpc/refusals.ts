/** What is said of calls that are refused: each is counted, and so many are written that a flood hides nothing else. */
import type { Clock } from '@weft/policies/kit/clock';

type Fields = Readonly<Record<string, unknown>>;
/** One that is known may be told of also while strangers make as much noise as they can. */
export type Asking = 'stranger' | 'caller';

export interface RefusalCounters {
  refused: number;
  /** Refused, and not written. */
  unlogged: number;
}

const LINES_MAX = 50;
const EVERY_MS = 1_000;

export class Refusals {
  readonly counters: RefusalCounters;
  private readonly write: (event: string, fields: Fields) => void;
  private readonly clock: Clock;
  private readonly written: Record<Asking, number> = { stranger: 0, caller: 0 };
  private readonly left: Record<Asking, number> = { stranger: 0, caller: 0 };
  private counting = false;

  constructor(write: (event: string, fields: Fields) => void, clock: Clock, counters: RefusalCounters) {
    this.write = write;
    this.clock = clock;
    this.counters = counters;
  }

  tell(event: string, asking: Asking, fields: Fields): void {
    this.counters.refused += 1;
    if (!this.counting) {
      this.counting = true;
      this.clock.afterUnref(EVERY_MS, () => this.settle());
    }
    if (this.written[asking] >= LINES_MAX) {
      this.left[asking] += 1;
      this.counters.unlogged += 1;
      return;
    }
    this.written[asking] += 1;
    this.write(event, fields);
  }

  private settle(): void {
    this.counting = false;
    for (const asking of ['stranger', 'caller'] as const) {
      const count = this.left[asking];
      this.written[asking] = 0;
      this.left[asking] = 0;
      if (count > 0) this.write('refusals not written one by one', { of: asking, count });
    }
  }
}
