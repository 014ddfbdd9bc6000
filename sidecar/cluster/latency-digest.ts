import type { Clock } from '@weft/policies/kit/clock';

/** Upper bounds grow by an eighth of an octave, 9 %: that is how exact a percentile is. */
const BUCKETS_PER_OCTAVE = 8;
/** From an eighth of a millisecond to a little more than two minutes. */
const LOWEST_MS = 0.125;
const BUCKETS = 20 * BUCKETS_PER_OCTAVE;
/** Below, a percentile says nothing. */
const WEIGHT_MIN = 100;
/** What was seen counts half as much after this, so that about the last minute is described. */
const HALF_LIFE_MS = 30_000;
/** Decay in steps; and how long a percentile that was worked out holds. */
const STEP_MS = 1_000;
const STEP_FACTOR = 0.5 ** (STEP_MS / HALF_LIFE_MS);

/** How long answers of one cluster take lately, in a fixed number of counters. */
export class LatencyDigest {
  private readonly clock: Clock;
  private readonly counts = new Float64Array(BUCKETS);
  private weight = 0;
  private decayedMs: number;
  private known = { percentile: 0, untilMs: 0, delayMs: 0 };

  constructor(clock: Clock) {
    this.clock = clock;
    this.decayedMs = clock.nowMs();
  }

  /** Negative: not known, as of an attempt that waited for its connection. */
  observe(tookMs: number): void {
    if (tookMs < 0) return;
    this.decay();
    const octaves = Math.log2(Math.max(tookMs, LOWEST_MS) / LOWEST_MS);
    const at = Math.min(BUCKETS - 1, Math.floor(octaves * BUCKETS_PER_OCTAVE));
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.weight++;
  }

  /** At least what that percentage of recent answers took; undefined while too few are known. */
  percentile(percentile: number): number | undefined {
    const nowMs = this.clock.nowMs();
    const { known } = this;
    if (known.percentile === percentile && nowMs < known.untilMs) return known.delayMs;
    this.decay();
    if (this.weight < WEIGHT_MIN) return undefined;
    const rank = (percentile / 100) * this.weight;
    let sum = 0;
    let at = 0;
    for (; at < BUCKETS - 1; at++) {
      sum += this.counts[at] ?? 0;
      if (sum >= rank) break;
    }
    const delayMs = LOWEST_MS * 2 ** ((at + 1) / BUCKETS_PER_OCTAVE);
    this.known = { percentile, untilMs: nowMs + STEP_MS, delayMs };
    return delayMs;
  }

  private decay(): void {
    const elapsedMs = this.clock.nowMs() - this.decayedMs;
    if (elapsedMs < STEP_MS) return;
    const steps = Math.floor(elapsedMs / STEP_MS);
    this.decayedMs += steps * STEP_MS;
    const factor = STEP_FACTOR ** steps;
    for (let at = 0; at < BUCKETS; at++) this.counts[at] = (this.counts[at] ?? 0) * factor;
    this.weight *= factor;
  }
}
