import type { Prng } from '@weft/policies/kit/prng';
import type { Candidate, Picker } from './picker.ts';

/** Each candidate in proportion to its weight; constant time while all weights are equal. */
export class RandomPicker<T extends Candidate> implements Picker<T> {
  private readonly prng: Prng;
  private candidates: readonly T[] = [];
  /** Upper ends of the candidates' shares; empty while all weights are equal. */
  private shares: readonly number[] = [];
  private total = 0;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  update(candidates: readonly T[]): void {
    this.candidates = candidates.filter((candidate) => candidate.weight > 0);
    const first = this.candidates[0]?.weight ?? 0;
    const shares: number[] = [];
    this.total = 0;
    for (const candidate of this.candidates) {
      this.total += candidate.weight;
      shares.push(this.total);
    }
    this.shares = this.candidates.every((candidate) => candidate.weight === first) ? [] : shares;
  }

  pick(): T | undefined {
    const { candidates, shares } = this;
    if (candidates.length <= 1) return candidates[0];
    if (shares.length === 0) return candidates[Math.floor(this.prng.next() * candidates.length)];
    const ticket = this.prng.next() * this.total;
    let low = 0;
    let high = shares.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((shares[middle] ?? 0) > ticket) high = middle;
      else low = middle + 1;
    }
    return candidates[low];
  }
}
