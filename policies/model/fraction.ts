import type { Prng } from '../kit/prng.ts';

/** A share as Envoy writes it: so many of a hundred, of ten thousand or of a million. */
export interface Fraction {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
}

export const always: Fraction = { numerator: 100, denominator: 100 };

/** Whether this one is among the share. All and none need no dice. */
export function isAmong({ numerator, denominator }: Fraction, prng: Prng): boolean {
  if (numerator >= denominator) return true;
  return numerator > 0 && prng.next() * denominator < numerator;
}
