import type { Clock } from '@weft/policies/kit/clock';
import type { SlowStart } from '@weft/policies/model/balancer';
import type { Candidate } from './picker.ts';

/** The share of its weight that a candidate gets while it is new, by Envoy's formula (SlowStartConfig). */
export class SlowStartRamp {
  readonly clock: Clock;
  private readonly windowMs: number;
  private readonly exponent: number;
  private readonly factorMin: number;
  private untilMs = Number.NEGATIVE_INFINITY;

  constructor(settings: SlowStart, clock: Clock) {
    this.clock = clock;
    this.windowMs = settings.windowMs;
    this.exponent = 1 / settings.aggression;
    this.factorMin = settings.weightPercentMin / 100;
  }

  update(candidates: readonly Candidate[]): void {
    this.untilMs = Number.NEGATIVE_INFINITY;
    for (const { sinceMs } of candidates) {
      if (sinceMs + this.windowMs > this.untilMs) this.untilMs = sinceMs + this.windowMs;
    }
  }

  /** Whether any candidate is new; none: nobody needs to ask for its factor. */
  isActive(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }

  factor(candidate: Candidate, nowMs: number): number {
    const ageMs = nowMs - candidate.sinceMs;
    if (ageMs >= this.windowMs) return 1;
    const time = Math.max(1, ageMs) / this.windowMs;
    const grown = this.exponent === 1 ? time : time ** this.exponent;
    return grown > this.factorMin ? grown : this.factorMin;
  }
}
