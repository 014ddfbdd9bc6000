import type { ClusterManager } from '../cluster/manager.ts';
import type { ListenerStats } from '../listener/manager.ts';
import type { ClusterRow } from './protocol.ts';

export const clusterRows = (clusters: ClusterManager): readonly ClusterRow[] =>
  clusters.active().map(({ cluster, limits }) => ({
    cluster,
    connections: limits.connections,
    pending: limits.pending,
    requests: limits.requests,
    retries: limits.retries,
  }));

/** One row a cluster, whichever threads have traffic to it. */
export function sumClusters(threads: readonly (readonly ClusterRow[])[]): readonly ClusterRow[] {
  const sums = new Map<string, ClusterRow>();
  for (const row of threads.flat()) {
    const before = sums.get(row.cluster.name);
    if (before === undefined) sums.set(row.cluster.name, row);
    else {
      sums.set(row.cluster.name, {
        cluster: before.cluster,
        connections: before.connections + row.connections,
        pending: before.pending + row.pending,
        requests: before.requests + row.requests,
        retries: before.retries + row.retries,
      });
    }
  }
  return [...sums.values()];
}

export function sumListeners(threads: readonly (readonly ListenerStats[])[]): readonly ListenerStats[] {
  const sums = new Map<string, ListenerStats>();
  for (const row of threads.flat()) {
    const before = sums.get(row.name);
    sums.set(row.name, before === undefined ? row : { ...before, connections: before.connections + row.connections });
  }
  return [...sums.values()];
}
