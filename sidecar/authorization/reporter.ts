import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { DecisionReport } from '@weft/policies/model/decision-report';

export interface ReporterOptions {
  /** Takes the numbers of all data threads: what is told once is not told again. */
  readonly decisions: () => Promise<DecisionReport>;
  readonly send: (report: DecisionReport) => Promise<void>;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly count: (event: string) => void;
}

const REPORT_MS = 10_000;
const FLOWS_A_CALL_MAX = 1_000;

/**
 * Tells the control plane what rules did and for whom. While it cannot be reached one batch waits, and the books go on
 * counting within their bounds.
 */
export class DecisionReporter {
  private readonly options: ReporterOptions;
  private waiting: DecisionReport[] = [];
  private cancel: Cancel | undefined = undefined;
  private closed = false;

  constructor(options: ReporterOptions) {
    this.options = options;
  }

  start(): void {
    const { clock, prng } = this.options;
    if (this.closed) return;
    this.cancel = clock.afterUnref(REPORT_MS * (0.9 + 0.2 * prng.next()), () => void this.run());
  }

  /** What is not told yet is told a last time. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancel?.();
    await this.report();
  }

  private async run(): Promise<void> {
    await this.report();
    this.start();
  }

  private async report(): Promise<void> {
    try {
      if (this.waiting.length === 0) this.waiting = batches(await this.options.decisions());
      for (let batch = this.waiting[0]; batch !== undefined; batch = this.waiting[0]) {
        await this.options.send(batch);
        this.waiting.shift();
      }
    } catch {
      this.options.count('authorization.report_failed');
    }
  }
}

function batches({ hits, flows, lost }: DecisionReport): DecisionReport[] {
  if (hits.length === 0 && flows.length === 0) return [];
  const all: DecisionReport[] = [{ hits, flows: flows.slice(0, FLOWS_A_CALL_MAX), lost }];
  for (let at = FLOWS_A_CALL_MAX; at < flows.length; at += FLOWS_A_CALL_MAX) {
    all.push({ hits: [], flows: flows.slice(at, at + FLOWS_A_CALL_MAX), lost: 0 });
  }
  return all;
}
