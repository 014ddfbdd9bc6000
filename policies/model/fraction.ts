/** A share as Envoy writes it: so many of a hundred, of ten thousand or of a million. */
export interface Fraction {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
}

export const always: Fraction = { numerator: 100, denominator: 100 };
