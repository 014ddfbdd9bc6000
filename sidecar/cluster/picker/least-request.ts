import type { Prng } from '@weft/policies/kit/prng';
import type { Candidate, Picker } from './picker.ts';
import { RandomPicker } from './random.ts';

/**
 * The power of two choices: of two candidates drawn by weight, the one with fewer attempts under way for its weight.
 * A tie goes to the first draw, so that idle endpoints are picked exactly in proportion to their weights.
 */
export class LeastRequestPicker<T extends Candidate> implements Picker<T> {
  private readonly draw: RandomPicker<T>;

  constructor(prng: Prng) {
    this.draw = new RandomPicker<T>(prng);
  }

  update(candidates: readonly T[]): void {
    this.draw.update(candidates);
  }

  pick(): T | undefined {
    const first = this.draw.pick();
    if (first === undefined) return undefined;
    const second = this.draw.pick() ?? first;
    return second.active / second.weight < first.active / first.weight ? second : first;
  }
}
