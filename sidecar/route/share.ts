import type { Prng } from '@weft/policies/kit/prng';
import type { Fraction } from '@weft/policies/model/fraction';

/** Whether this one is among the share. All and none need no dice. */
export function isAmong({ numerator, denominator }: Fraction, prng: Prng): boolean {
  if (numerator >= denominator) return true;
  return numerator > 0 && prng.next() * denominator < numerator;
}
