import type { Balancer } from '@weft/policies/model/balancer';
import { PeakLatency } from '../load/peak-latency.ts';
import { ReportedLoad } from '../load/reported-load.ts';
import type { ZonedCandidate } from './zone-aware.ts';

/** An endpoint without a network. */
export class FakeHost implements ZonedCandidate {
  readonly endpoint: { readonly zone: string };
  readonly label: string;
  weight: number;
  active = 0;
  sinceMs = Number.NEGATIVE_INFINITY;
  latency: PeakLatency | undefined;
  reportedLoad: ReportedLoad | undefined;
  picks = 0;

  constructor(label: string, weight = 1, balancer?: Balancer, zone = '') {
    this.label = label;
    this.weight = weight;
    this.endpoint = { zone };
    this.latency = balancer?.kind === 'peak-ewma' ? new PeakLatency(balancer.decayMs) : undefined;
    this.reportedLoad = balancer?.kind === 'load-reported' ? new ReportedLoad(balancer) : undefined;
  }
}

export const fakeHosts = (weights: readonly number[], balancer?: Balancer): FakeHost[] =>
  weights.map((weight, i) => new FakeHost(`10.0.${i >> 8}.${i & 255}:80`, weight, balancer));
