import type { Clock } from '@weft/policies/kit/clock';
import type { WeightedDraw } from './draw.ts';
import type { Candidate, Picker } from './picker.ts';

/** What an endpoint costs of which nothing is known but that it has not answered yet: more than any latency. */
const UNKNOWN_COST = 1e12;

/**
 * The power of two choices by expected latency: of two candidates drawn by weight, the one whose peak latency times what
 * is under way to it is lower. One of which nothing is known gets a single request, and is judged by that. With no
 * traffic costs fade, so that an endpoint that was slow is tried again.
 */
export class PeakEwmaPicker<T extends Candidate> implements Picker<T> {
  private readonly draw: WeightedDraw<T>;
  private readonly clock: Clock;

  constructor(draw: WeightedDraw<T>, clock: Clock) {
    this.draw = draw;
    this.clock = clock;
  }

  update(candidates: readonly T[]): void {
    this.draw.update(candidates);
  }

  pick(): T | undefined {
    const { draw } = this;
    const at = draw.draw();
    const first = draw.candidates[at];
    if (first === undefined) return undefined;
    const second = draw.candidates[draw.drawOther(at)];
    if (second === undefined || second === first) return first;
    const nowMs = this.clock.nowMs();
    return costOf(second, nowMs) < costOf(first, nowMs) ? second : first;
  }
}

function costOf({ latency, active, weight }: Candidate, nowMs: number): number {
  if (latency === undefined || !latency.known) return active === 0 ? 0 : UNKNOWN_COST * (active / weight);
  return latency.at(nowMs) * (active / weight + 1);
}
