import type { Prng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import { LeastRequestPicker } from './least-request.ts';
import { RandomPicker } from './random.ts';
import { RoundRobinPicker } from './round-robin.ts';

/** What a balancer needs to know of an endpoint. */
export interface Candidate {
  readonly weight: number;
  /** Attempts under way. */
  readonly active: number;
}

/** A balancer over candidates that may all be used; who is healthy is decided before. */
export interface Picker<T extends Candidate> {
  /** Candidates of weight 0 are never picked. */
  update(candidates: readonly T[]): void;
  pick(): T | undefined;
}

export function createPicker<T extends Candidate>(balancer: Cluster['balancer'], prng: Prng): Picker<T> {
  switch (balancer) {
    case 'least-request':
      return new LeastRequestPicker<T>(prng);
    case 'round-robin':
      return new RoundRobinPicker<T>(prng);
    case 'random':
      return new RandomPicker<T>(prng);
  }
}
