import type { ClusterManager } from '../cluster/manager.ts';
import { type ClusterRow, clusterRow, sumClusterRows } from '../cluster/rows.ts';
import { upstreamState } from '../cluster/upstream-state.ts';
import type { ListenerStats } from '../listener/manager.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { upstreamFamilies } from '../telemetry/upstream-families.ts';

export const clusterRows = (clusters: ClusterManager): readonly ClusterRow[] => clusters.active().map(clusterRow);

/** States of clusters become part of the thread's metrics. */
export const collectUpstreams = (metrics: Metrics, clusters: ClusterManager): void =>
  metrics.collect(() => upstreamFamilies(clusters.active().map(upstreamState)));

/** One row a cluster, whichever threads have traffic to it. */
export function sumClusters(threads: readonly (readonly ClusterRow[])[]): readonly ClusterRow[] {
  const sums = new Map<string, ClusterRow>();
  for (const row of threads.flat()) {
    const before = sums.get(row.cluster.name);
    sums.set(row.cluster.name, before === undefined ? row : sumClusterRows(before, row));
  }
  return [...sums.values()];
}

const addListener = (sum: ListenerStats, row: ListenerStats): ListenerStats => ({
  ...sum,
  connections: sum.connections + row.connections,
  accepted: sum.accepted + row.accepted,
});

export function sumListeners(threads: readonly (readonly ListenerStats[])[]): readonly ListenerStats[] {
  const sums = new Map<string, ListenerStats>();
  for (const row of threads.flat()) {
    const before = sums.get(row.name);
    sums.set(row.name, before === undefined ? row : addListener(before, row));
  }
  return [...sums.values()];
}
