import type { WeightedDraw } from './draw.ts';
import type { Candidate, Picker } from './picker.ts';

/**
 * Of some candidates drawn by weight, the one with the fewest attempts under way for its weight: with two, the power of
 * two choices. A tie goes to the first draw, so that idle endpoints are picked exactly in proportion to their weights.
 */
export class LeastRequestPicker<T extends Candidate> implements Picker<T> {
  private readonly draw: WeightedDraw<T>;
  private readonly choices: number;

  constructor(draw: WeightedDraw<T>, choices: number) {
    this.draw = draw;
    this.choices = choices;
  }

  update(candidates: readonly T[]): void {
    this.draw.update(candidates);
  }

  pick(): T | undefined {
    const { draw } = this;
    let at = draw.draw();
    let best = draw.candidates[at];
    if (best === undefined) return undefined;
    const choices = Math.min(this.choices, draw.candidates.length);
    for (let i = 1; i < choices; i++) {
      const next = draw.drawOther(at);
      const other = draw.candidates[next];
      if (other === undefined || other.active / other.weight >= best.active / best.weight) continue;
      at = next;
      best = other;
    }
    return best;
  }
}
