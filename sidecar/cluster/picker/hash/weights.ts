import type { Candidate } from '../picker.ts';

/** Candidates with their shares of the whole, as Envoy's hash balancers reckon them. */
export interface Shares<T> {
  readonly candidates: readonly T[];
  readonly shares: readonly number[];
  readonly min: number;
  readonly max: number;
}

export function sharesOf<T extends Candidate>(candidates: readonly T[]): Shares<T> {
  const used = candidates.filter(({ weight }) => weight > 0);
  const sum = used.reduce((total, { weight }) => total + weight, 0);
  const shares = used.map(({ weight }) => weight / sum);
  let min = 1;
  let max = 0;
  for (const share of shares) {
    if (share < min) min = share;
    if (share > max) max = share;
  }
  return { candidates: used, shares, min, max };
}

/** Tables are dear: they are made anew only for others, or other weights. */
export class SameCandidates {
  private labels: readonly string[] = [];
  private weights: readonly number[] = [];

  /** False, and remembers these, if they differ from those of the last call. */
  isSame(candidates: readonly Candidate[]): boolean {
    const { labels, weights } = this;
    const same =
      candidates.length === labels.length &&
      candidates.every(({ label, weight }, i) => label === labels[i] && weight === weights[i]);
    if (same) return true;
    this.labels = candidates.map(({ label }) => label);
    this.weights = candidates.map(({ weight }) => weight);
    return false;
  }
}
