/** Filled evenly, not at once at the end of each interval; full at first. */
export interface TokenBucketSettings {
  readonly tokensMax: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
}

/** What sums of fractions of a token may be off by. */
const EPSILON = 1e-9;

/**
 * Filled by the time that has passed when somebody asks, so that it needs no timer, and a pause is never more than the
 * bucket holds. Full at first.
 */
export class TokenBucket {
  /** For `x-ratelimit-limit`: as configured, whatever the share of this thread or sidecar is. */
  readonly limit: number;
  private tokens: number;
  private tokensMax: number;
  private perMs: number;
  private atMs: number;

  /** `share`: 1 over the number of those who have such a bucket of one limit. */
  constructor({ tokensMax, tokensPerFill, fillIntervalMs }: TokenBucketSettings, nowMs: number, share = 1) {
    this.limit = tokensMax;
    this.tokensMax = Math.max(1, tokensMax * share);
    this.perMs = (tokensPerFill / fillIntervalMs) * share;
    this.tokens = this.tokensMax;
    this.atMs = nowMs;
  }

  has(nowMs: number): boolean {
    this.fill(nowMs);
    return this.tokens >= 1 - EPSILON;
  }

  take(nowMs: number): boolean {
    if (!this.has(nowMs)) return false;
    this.tokens = Math.max(0, this.tokens - 1);
    return true;
  }

  remaining(nowMs: number): number {
    this.fill(nowMs);
    return Math.floor(this.tokens + EPSILON);
  }

  /** Until there is a token; 0: there is one. */
  waitMs(nowMs: number): number {
    if (this.has(nowMs)) return 0;
    return this.perMs === 0 ? Number.POSITIVE_INFINITY : (1 - this.tokens) / this.perMs;
  }

  /** From now on; what was saved up beyond the new maximum is lost. */
  adjust(tokensPerMs: number, tokensMax: number, nowMs: number): void {
    this.fill(nowMs);
    this.perMs = tokensPerMs;
    this.tokensMax = Math.max(1, tokensMax);
    this.tokens = Math.min(this.tokens, this.tokensMax);
  }

  private fill(nowMs: number): void {
    if (nowMs <= this.atMs) return;
    this.tokens = Math.min(this.tokensMax, this.tokens + (nowMs - this.atMs) * this.perMs);
    this.atMs = nowMs;
  }
}
