import type { Clock } from '@weft/policies/kit/clock';
import type { RetryBudget, RetryRate } from '@weft/policies/model/cluster';

/** The interval is forgotten in steps of a tenth. */
const BUCKETS = 10;

/**
 * Retries against requests over time. A bound on retries in flight alone does not bound how many there are: where they
 * are answered faster than first attempts, a few places are enough to double the load.
 */
export class RetryMeter {
  private readonly clock: Clock;
  private readonly bucketMs: number;
  private readonly share: number;
  private readonly perMsMin: number;
  private readonly floorMax: number;
  /** What the floor may come to in an interval: where requests allow more, it adds nothing to that. */
  private readonly floorSum: number;
  private readonly requests = new Float64Array(BUCKETS);
  private readonly retries = new Float64Array(BUCKETS);
  private requestsSum = 0;
  private retriesSum = 0;
  /** Number of the bucket that is being filled. */
  private tick: number;
  /** Retries that the floor still allows; refilled with time. */
  private floor: number;
  private floorMs: number;

  /** `parts`: of how many threads this is one; the floor is divided among them. */
  constructor(clock: Clock, { percent }: RetryBudget, { intervalMs, perSecondMin }: RetryRate, parts = 1) {
    const nowMs = clock.nowMs();
    this.clock = clock;
    this.bucketMs = intervalMs / BUCKETS;
    this.share = percent / 100;
    this.perMsMin = perSecondMin / 1_000 / parts;
    // Of a second; where that is less than one retry, one is saved for.
    this.floorMax = perSecondMin === 0 ? 0 : Math.max(1, perSecondMin / parts);
    this.floorSum = Math.max(this.floorMax, this.perMsMin * intervalMs);
    this.floor = this.floorMax;
    this.floorMs = nowMs;
    this.tick = Math.floor(nowMs / this.bucketMs);
  }

  request(): void {
    const at = this.bucket(this.clock.nowMs());
    this.requests[at] = (this.requests[at] ?? 0) + 1;
    this.requestsSum++;
  }

  /** Takes a retry from what is allowed; false: there is none left. */
  retry(): boolean {
    const nowMs = this.clock.nowMs();
    const at = this.bucket(nowMs);
    this.floor = Math.min(this.floorMax, this.floor + (nowMs - this.floorMs) * this.perMsMin);
    this.floorMs = nowMs;
    if (this.retriesSum + 1 > this.share * this.requestsSum) {
      if (this.floor < 1 || this.retriesSum + 1 > this.floorSum) return false;
      this.floor--;
    }
    this.retries[at] = (this.retries[at] ?? 0) + 1;
    this.retriesSum++;
    return true;
  }

  /** Of the current time, after what has become old was forgotten. */
  private bucket(nowMs: number): number {
    const tick = Math.floor(nowMs / this.bucketMs);
    if (tick !== this.tick) this.forget(tick);
    return tick % BUCKETS;
  }

  private forget(tick: number): void {
    for (let old = Math.max(this.tick + 1, tick - BUCKETS + 1); old <= tick; old++) {
      const at = old % BUCKETS;
      this.requestsSum -= this.requests[at] ?? 0;
      this.retriesSum -= this.retries[at] ?? 0;
      this.requests[at] = 0;
      this.retries[at] = 0;
    }
    this.tick = tick;
  }
}
