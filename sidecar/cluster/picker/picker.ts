import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Balancer } from '@weft/policies/model/balancer';
import type { PeakLatency } from '../load/peak-latency.ts';
import type { ReportedLoad } from '../load/reported-load.ts';
import { WeightedDraw } from './draw.ts';
import type { Hash64 } from './hash/xxhash64.ts';
import { LeastRequestPicker } from './least-request.ts';
import { LoadReportedPicker } from './load-reported.ts';
import { MaglevPicker } from './maglev.ts';
import { PeakEwmaPicker } from './peak-ewma.ts';
import { RandomPicker } from './random.ts';
import { RingHashPicker } from './ring-hash.ts';
import { RoundRobinPicker } from './round-robin.ts';
import { SlowStartRamp } from './slow-start.ts';

/** What a balancer needs to know of an endpoint. */
export interface Candidate {
  readonly weight: number;
  /** Attempts under way. */
  readonly active: number;
  /** `ip:port`, by which it has its places among the hashes. */
  readonly label: string;
  /** When it began to take traffic; minus infinity: it always has. */
  readonly sinceMs: number;
  /** Kept for `peak-ewma`. */
  readonly latency: PeakLatency | undefined;
  /** Kept for `load-reported`. */
  readonly reportedLoad: ReportedLoad | undefined;
}

/** A balancer over candidates that may all be used; who is healthy is decided before. */
export interface Picker<T extends Candidate> {
  /** Candidates of weight 0 are never picked. */
  update(candidates: readonly T[]): void;
  /**
   * `hash` decides for balancers that pick by it; undefined: at random. `attempt`: how often a pick for the same
   * request was not wanted, so that another is made of the same hash.
   */
  pick(hash: Hash64 | undefined, attempt: number): T | undefined;
}

interface PickerPorts {
  readonly prng: Prng;
  readonly clock: Clock;
}

export function createPicker<T extends Candidate>(balancer: Balancer, { prng, clock }: PickerPorts): Picker<T> {
  const ramp = 'slowStart' in balancer && balancer.slowStart !== undefined ? balancer.slowStart : undefined;
  const slowStart = ramp && new SlowStartRamp(ramp, clock);
  switch (balancer.kind) {
    case 'peak-ewma':
      return new PeakEwmaPicker<T>(new WeightedDraw<T>(prng, slowStart), clock);
    case 'least-request':
      return new LeastRequestPicker<T>(new WeightedDraw<T>(prng, slowStart), balancer.choices);
    case 'round-robin':
      return new RoundRobinPicker<T>(prng, slowStart);
    case 'random':
      return new RandomPicker<T>(new WeightedDraw<T>(prng, undefined));
    case 'ring-hash':
      return new RingHashPicker<T>(balancer, prng);
    case 'maglev':
      return new MaglevPicker<T>(balancer.tableSize, prng);
    case 'load-reported':
      return new LoadReportedPicker<T>(balancer, prng, clock);
  }
}
