import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { DecisionReport } from '@weft/policies/model/decision-report';
import { FlowHistory } from './history.ts';

export interface ReporterOptions {
  /** Takes the numbers of all data threads: what is told once is not told again. */
  readonly decisions: () => Promise<DecisionReport>;
  /** Resolves with the instance of the control plane that has taken it; empty: it does not say. */
  readonly send: (report: DecisionReport) => Promise<string>;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly count: (event: string) => void;
}

const REPORT_MS = 10_000;
const FLOWS_A_CALL_MAX = 1_000;
/** Of what was told before, in one report: a control plane that has begun anew hears it from all sidecars at once. */
const PAST_FLOWS_MAX = 250;
const HOUR_MS = 3_600_000;
const nothing: DecisionReport = { hits: [], flows: [], lost: 0 };

/**
 * Tells the control plane what rules did and for whom. While it cannot be reached one batch waits, and the books go on
 * counting within their bounds. One that has begun anew is told what others were told before.
 */
export class DecisionReporter {
  private readonly options: ReporterOptions;
  private readonly history: FlowHistory;
  private waiting: DecisionReport[] = [];
  /** The control plane may be another one, also when there is nothing to tell. */
  private asks = false;
  private cancel: Cancel | undefined = undefined;
  private closed = false;

  constructor(options: ReporterOptions) {
    this.options = options;
    this.history = new FlowHistory(options.count);
  }

  start(): void {
    const { clock, prng } = this.options;
    if (this.closed) return;
    this.cancel = clock.afterUnref(REPORT_MS * (0.9 + 0.2 * prng.next()), () => void this.run());
  }

  /** A stream to a control plane has been opened. */
  connected(): void {
    this.asks = true;
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
      if (this.waiting.length === 0 && this.asks && this.history.size > 0) this.waiting = [nothing];
      let instance = '';
      for (let batch = this.waiting[0]; batch !== undefined; batch = this.waiting[0]) {
        instance = await this.options.send(batch);
        this.waiting.shift();
        if (instance !== '') this.history.told(batch.flows, this.hour(), instance);
      }
      if (instance !== '') await this.retell(instance);
    } catch {
      this.options.count('authorization.report_failed');
    }
  }

  /** A part of what is missing there; the rest comes with the next reports. */
  private async retell(instance: string): Promise<void> {
    const history = this.history.missingAt(instance, PAST_FLOWS_MAX);
    this.asks = history.length > 0;
    if (!this.asks) return;
    const taker = await this.options.send({ ...nothing, history });
    if (taker !== '') this.history.retold(history, taker);
  }

  private hour(): number {
    return Math.floor(this.options.clock.unixMs() / HOUR_MS);
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
