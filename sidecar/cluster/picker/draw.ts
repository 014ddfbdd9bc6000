import type { Prng } from '@weft/policies/kit/prng';
import type { Candidate } from './picker.ts';
import type { SlowStartRamp } from './slow-start.ts';

/** A draw that hits a candidate which is new and may not have it is repeated; after so many it counts all the same. */
const REDRAWS_MAX = 16;
/** Draws that hit the one candidate that is not wanted. */
const OTHERS_MAX = 8;

/** Draws candidates in proportion to their weights, by position; constant time while all weights are equal. */
export class WeightedDraw<T extends Candidate> {
  candidates: readonly T[] = [];
  private readonly prng: Prng;
  private readonly slowStart: SlowStartRamp | undefined;
  /** Upper ends of the candidates' shares; empty while all weights are equal. */
  private shares: readonly number[] = [];
  private total = 0;

  constructor(prng: Prng, slowStart: SlowStartRamp | undefined) {
    this.prng = prng;
    this.slowStart = slowStart;
  }

  update(candidates: readonly T[]): void {
    this.candidates = candidates.filter((candidate) => candidate.weight > 0);
    this.slowStart?.update(this.candidates);
    this.weigh(this.candidates.map(({ weight }) => weight));
  }

  /** Weights other than the candidates' own, in their order. */
  weigh(weights: readonly number[]): void {
    const first = weights[0] ?? 0;
    const shares: number[] = [];
    this.total = 0;
    for (const weight of weights) {
      this.total += weight;
      shares.push(this.total);
    }
    this.shares = weights.every((weight) => weight === first) ? [] : shares;
  }

  /** Position of a candidate; -1 if there is none. */
  draw(): number {
    const { slowStart } = this;
    if (this.candidates.length <= 1) return this.candidates.length - 1;
    if (slowStart === undefined) return this.drawAny();
    const nowMs = slowStart.clock.nowMs();
    if (!slowStart.isActive(nowMs)) return this.drawAny();
    let at = this.drawAny();
    for (let i = 0; i < REDRAWS_MAX; i++) {
      const candidate = this.candidates[at];
      if (candidate === undefined || this.prng.next() < slowStart.factor(candidate, nowMs)) return at;
      at = this.drawAny();
    }
    return at;
  }

  /** Another one than at this position, if there is. */
  drawOther(than: number): number {
    const { length } = this.candidates;
    if (length <= 1) return than;
    if (this.shares.length === 0 && this.slowStart === undefined) {
      const at = Math.floor(this.prng.next() * (length - 1));
      return at < than ? at : at + 1;
    }
    let at = than;
    for (let i = 0; i < OTHERS_MAX && at === than; i++) at = this.draw();
    return at;
  }

  private drawAny(): number {
    const { candidates, shares } = this;
    if (shares.length === 0) return Math.floor(this.prng.next() * candidates.length);
    const ticket = this.prng.next() * this.total;
    let low = 0;
    let high = shares.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((shares[middle] ?? 0) > ticket) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
