/** Randomness as a port. */
export interface Prng {
  /** Uniform in [0, 1). */
  next(): number;
}

export const systemPrng: Prng = { next: () => Math.random() };

/** mulberry32: small, fast, good enough to pick endpoints; the same seed gives the same run. */
export class SeededPrng implements Prng {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }
}
