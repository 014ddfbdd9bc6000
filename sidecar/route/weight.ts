import type { Prng } from '@weft/policies/kit/prng';
import type { WeightedCluster } from '@weft/policies/model/route';

/** Picks one in proportion to its weight; weight 0 never; undefined when all weights are 0. */
export class WeightedChoice {
  /** Those with a weight. */
  readonly clusters: readonly WeightedCluster[];
  private readonly total: number;

  constructor(clusters: readonly WeightedCluster[]) {
    this.clusters = clusters.filter((cluster) => cluster.weight > 0);
    this.total = this.clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
  }

  pick(prng: Prng): WeightedCluster | undefined {
    if (this.clusters.length <= 1) return this.clusters[0];
    let ticket = prng.next() * this.total;
    for (const cluster of this.clusters) {
      ticket -= cluster.weight;
      if (ticket < 0) return cluster;
    }
    return this.clusters[this.clusters.length - 1];
  }
}
