import type { Prng } from '@weft/policies/kit/prng';
import type { Candidate, Picker } from './picker.ts';

/**
 * In turn; with unequal weights by smooth weighted round robin, which spreads a heavy candidate's turns evenly.
 * Starts somewhere at random, or all sidecars of a rollout would begin with the same endpoint.
 */
export class RoundRobinPicker<T extends Candidate> implements Picker<T> {
  private readonly prng: Prng;
  private candidates: readonly T[] = [];
  private credits: number[] = [];
  private total = 0;
  private equal = true;
  private next = 0;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  update(candidates: readonly T[]): void {
    this.candidates = candidates.filter((candidate) => candidate.weight > 0);
    const first = this.candidates[0]?.weight ?? 0;
    this.equal = this.candidates.every((candidate) => candidate.weight === first);
    this.total = this.candidates.reduce((sum, candidate) => sum + candidate.weight, 0);
    this.credits = this.candidates.map(() => 0);
    this.next = Math.floor(this.prng.next() * this.candidates.length);
  }

  pick(): T | undefined {
    const { candidates } = this;
    if (candidates.length <= 1) return candidates[0];
    if (this.equal) {
      const picked = candidates[this.next % candidates.length];
      this.next = (this.next + 1) % candidates.length;
      return picked;
    }
    let best = 0;
    for (let i = 0; i < candidates.length; i++) {
      const credit = (this.credits[i] ?? 0) + (candidates[i]?.weight ?? 0);
      this.credits[i] = credit;
      if (credit > (this.credits[best] ?? 0)) best = i;
    }
    this.credits[best] = (this.credits[best] ?? 0) - this.total;
    return candidates[best];
  }
}
