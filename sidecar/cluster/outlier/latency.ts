import type { LatencyOutliers } from '@weft/policies/model/outlier';

/** Buckets of an octave: a time is known to within 4.5 %. */
const PER_OCTAVE = 16;
/** What is faster counts as this: 2^-4 ms. */
const FASTEST_OCTAVE = -4;
/** Up to 2^17 ms, two minutes; what is slower counts as that. */
const OCTAVES = 21;
const BUCKETS = OCTAVES * PER_OCTAVE;

/** Times of one endpoint in one interval, in buckets that grow by the same factor: 672 bytes, whatever the traffic. */
export class LatencyWindow {
  total = 0;
  private readonly buckets = new Uint16Array(BUCKETS);

  add(ms: number): void {
    const bucket = ms <= 0 ? 0 : Math.floor((Math.log2(ms) - FASTEST_OCTAVE) * PER_OCTAVE);
    const at = Math.max(0, Math.min(BUCKETS - 1, bucket));
    const before = this.buckets[at] ?? 0;
    // Full: the answers of this interval are known well enough.
    if (before === 65_535) return;
    this.buckets[at] = before + 1;
    this.total++;
  }

  /** The time that `percent` of the answers did not exceed; NaN without any. */
  percentile(percent: number): number {
    if (this.total === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil((percent / 100) * this.total));
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.buckets[i] ?? 0;
      if (left <= 0) return 2 ** (FASTEST_OCTAVE + (i + 0.5) / PER_OCTAVE);
    }
    return Number.NaN;
  }

  clear(): void {
    if (this.total === 0) return;
    this.total = 0;
    this.buckets.fill(0);
  }
}

/** An endpoint with what it took, at the percentile that is compared. */
export interface Timed<T> {
  readonly of: T;
  readonly ms: number;
}

/**
 * Those that are too slow for their peers, the slowest first. An endpoint is held against the median of the others, so
 * that neither it nor a few that are as slow set the measure.
 */
export function latencyOutliers<T>(all: readonly Timed<T>[], settings: LatencyOutliers): readonly T[] {
  if (all.length < Math.max(2, settings.hostsMin)) return [];
  const sorted = [...all].sort((a, b) => a.ms - b.ms);
  const found: T[] = [];
  for (let i = sorted.length - 1; i > 0; i--) {
    const { of, ms } = sorted[i] ?? { of: undefined, ms: 0 };
    const peers = medianWithout(sorted, i);
    if (of === undefined || ms <= peers * settings.factor || ms - peers < settings.differenceMsMin) break;
    found.push(of);
  }
  return found;
}

/** The median of a sorted list without one of its entries; of two in the middle the slower, so that a half decides nothing. */
function medianWithout<T>(sorted: readonly Timed<T>[], index: number): number {
  const middle = Math.floor((sorted.length - 1) / 2);
  return sorted[middle < index ? middle : middle + 1]?.ms ?? Number.NaN;
}
