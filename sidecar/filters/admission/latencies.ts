/** Latencies of one interval; of more than fit a sample is kept in which each is as likely as any other. */
export class Latencies {
  private readonly values: Float64Array;
  private seen = 0;

  constructor(capacity: number) {
    this.values = new Float64Array(capacity);
  }

  get count(): number {
    return this.seen;
  }

  /** `dice`: uniform in [0, 1). */
  add(ms: number, dice: number): void {
    const at = this.seen < this.values.length ? this.seen : Math.floor(dice * (this.seen + 1));
    if (at < this.values.length) this.values[at] = ms;
    this.seen++;
  }

  /** 0 where there is none. */
  percentile(percent: number): number {
    const kept = Math.min(this.seen, this.values.length);
    if (kept === 0) return 0;
    const sorted = this.values.slice(0, kept).sort();
    return sorted[Math.min(kept - 1, Math.floor((percent / 100) * kept))] ?? 0;
  }

  clear(): void {
    this.seen = 0;
  }
}
