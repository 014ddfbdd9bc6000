import type { WeightedDraw } from './draw.ts';
import type { Candidate, Picker } from './picker.ts';

/** Each candidate in proportion to its weight. */
export class RandomPicker<T extends Candidate> implements Picker<T> {
  private readonly draw: WeightedDraw<T>;

  constructor(draw: WeightedDraw<T>) {
    this.draw = draw;
  }

  update(candidates: readonly T[]): void {
    this.draw.update(candidates);
  }

  pick(): T | undefined {
    return this.draw.candidates[this.draw.draw()];
  }
}
