import type { Prng } from '@weft/policies/kit/prng';

/** 2^n overflows nothing beyond this. */
const EXPONENT_MAX = 20;

/** Full jitter: anywhere between 0 and min(max, base * 2^n), so that clients that failed together do not return together. */
export function backoffMs(retry: number, baseMs: number, maxMs: number, prng: Prng): number {
  const ceilingMs = Math.min(maxMs, baseMs * 2 ** Math.min(retry, EXPONENT_MAX));
  return prng.next() * ceilingMs;
}
