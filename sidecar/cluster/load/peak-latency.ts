/** A failure counts as so many times what the endpoint took before: failing fast must not look like being fast. */
const FAILURE_FACTOR = 4;
const FAILURE_MS_MIN = 50;
const FAILURE_MS_MAX = 30_000;

/**
 * Latency of one endpoint that rises to a peak at once, falls slowly (an exponentially weighted moving average over time,
 * so that it does not depend on the rate of requests), and fades while nothing is heard.
 */
export class PeakLatency {
  /** Something was measured. */
  known = false;
  private readonly decayMs: number;
  private valueMs = 0;
  private observedMs = 0;

  constructor(decayMs: number) {
    this.decayMs = decayMs;
  }

  /** `failed`: it answered with an error, or not at all; then it need not be known how long that took (negative). */
  observe(nowMs: number, latencyMs: number, failed: boolean): void {
    if (latencyMs < 0 && !failed) return;
    const faded = this.at(nowMs);
    const before = this.valueMs;
    const taken = failed
      ? Math.max(latencyMs, Math.min(FAILURE_MS_MAX, Math.max(FAILURE_MS_MIN, before * FAILURE_FACTOR)))
      : latencyMs;
    if (!this.known || taken >= before) this.valueMs = taken;
    else this.valueMs = faded + taken * (1 - this.weight(nowMs));
    this.observedMs = nowMs;
    this.known = true;
  }

  /** What to expect of it now. */
  at(nowMs: number): number {
    return this.valueMs * this.weight(nowMs);
  }

  private weight(nowMs: number): number {
    const elapsedMs = nowMs - this.observedMs;
    return elapsedMs <= 0 ? 1 : Math.exp(-elapsedMs / this.decayMs);
  }
}
