import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Candidate, Picker } from './picker.ts';

/** Weights are whole numbers up to this. */
const WEIGHT_MAX = 65_535;

/**
 * In turn, and each candidate as often as the load that it reports allows; one that has not reported (lately) as often as
 * the others on average. While fewer than two have, by their configured weights (gRFC A58).
 */
export class LoadReportedPicker<T extends Candidate> implements Picker<T> {
  private readonly updateMs: number;
  private readonly prng: Prng;
  private readonly clock: Clock;
  private candidates: readonly T[] = [];
  private weights: Uint16Array = new Uint16Array();
  private dueMs = 0;
  private position = 0;
  private generation = 0;

  constructor({ updateMs }: { readonly updateMs: number }, prng: Prng, clock: Clock) {
    this.updateMs = updateMs;
    this.prng = prng;
    this.clock = clock;
  }

  update(candidates: readonly T[]): void {
    this.candidates = candidates.filter(({ weight }) => weight > 0);
    this.weights = new Uint16Array(this.candidates.length);
    this.position = Math.floor(this.prng.next() * this.candidates.length);
    this.weigh(this.clock.nowMs());
  }

  pick(): T | undefined {
    const { candidates } = this;
    if (candidates.length <= 1) return candidates[0];
    const nowMs = this.clock.nowMs();
    if (nowMs >= this.dueMs) this.weigh(nowMs);
    // The heaviest is taken whenever it comes up: this ends.
    for (;;) {
      const at = this.position;
      if (at + 1 === candidates.length) {
        this.position = 0;
        this.generation = (this.generation + 1) % WEIGHT_MAX;
      } else this.position = at + 1;
      const weight = this.weights[at] ?? 0;
      // A candidate of half the greatest weight is taken every other time; neighbours not at the same time.
      const offset = (at & 1) * (WEIGHT_MAX >>> 1);
      if ((weight * this.generation + offset) % WEIGHT_MAX >= WEIGHT_MAX - weight) return candidates[at];
    }
  }

  private weigh(nowMs: number): void {
    this.dueMs = nowMs + this.updateMs;
    let sum = 0;
    let max = 0;
    let count = 0;
    for (const { reportedLoad } of this.candidates) {
      const weight = reportedLoad?.weightAt(nowMs) ?? 0;
      if (weight === 0) continue;
      sum += weight;
      count++;
      if (weight > max) max = weight;
    }
    const reported = count >= 2;
    if (!reported) max = this.candidates.reduce((most, { weight }) => Math.max(most, weight), 0);
    for (const [i, { reportedLoad, weight: configured }] of this.candidates.entries()) {
      const own = reported ? reportedLoad?.weightAt(nowMs) || sum / count : configured;
      this.weights[i] = Math.max(1, Math.round((own / max) * WEIGHT_MAX));
    }
  }
}
