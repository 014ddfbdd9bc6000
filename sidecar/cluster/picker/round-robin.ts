import type { Prng } from '@weft/policies/kit/prng';
import type { Candidate, Picker } from './picker.ts';
import type { SlowStartRamp } from './slow-start.ts';

/**
 * In turn; with unequal weights by smooth weighted round robin, which spreads a heavy candidate's turns evenly.
 * Starts somewhere at random, or all sidecars of a rollout would begin with the same endpoint.
 */
export class RoundRobinPicker<T extends Candidate> implements Picker<T> {
  private readonly prng: Prng;
  private readonly slowStart: SlowStartRamp | undefined;
  private candidates: readonly T[] = [];
  private credits: number[] = [];
  private equal = true;
  private next = 0;

  constructor(prng: Prng, slowStart: SlowStartRamp | undefined) {
    this.prng = prng;
    this.slowStart = slowStart;
  }

  update(candidates: readonly T[]): void {
    this.candidates = candidates.filter((candidate) => candidate.weight > 0);
    this.slowStart?.update(this.candidates);
    const first = this.candidates[0]?.weight ?? 0;
    this.equal = this.candidates.every((candidate) => candidate.weight === first);
    this.credits = this.candidates.map(() => 0);
    this.next = Math.floor(this.prng.next() * this.candidates.length);
  }

  pick(): T | undefined {
    const { candidates, slowStart } = this;
    if (candidates.length <= 1) return candidates[0];
    if (slowStart !== undefined) {
      const nowMs = slowStart.clock.nowMs();
      if (slowStart.isActive(nowMs)) return this.byCredit(slowStart, nowMs);
    }
    if (!this.equal) return this.byCredit(undefined, 0);
    const picked = candidates[this.next];
    this.next = this.next + 1 === candidates.length ? 0 : this.next + 1;
    return picked;
  }

  private byCredit(slowStart: SlowStartRamp | undefined, nowMs: number): T | undefined {
    const { candidates, credits } = this;
    let best = 0;
    let total = 0;
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i];
      if (candidate === undefined) continue;
      const weight = candidate.weight * (slowStart === undefined ? 1 : slowStart.factor(candidate, nowMs));
      total += weight;
      const credit = (credits[i] ?? 0) + weight;
      credits[i] = credit;
      if (credit > (credits[best] ?? 0)) best = i;
    }
    credits[best] = (credits[best] ?? 0) - total;
    return candidates[best];
  }
}
