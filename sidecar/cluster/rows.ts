import type { Cluster } from '@weft/policies/model/cluster';
import type { NamedCounters } from '../telemetry/exchange-counters.ts';
import type { Host } from './host.ts';
import type { ClusterRuntime } from './runtime.ts';

/** One endpoint, for the admin interface. */
export interface HostRow {
  readonly address: string;
  readonly weight: number;
  readonly priority: number;
  readonly zone: string;
  readonly health: 'healthy' | 'unhealthy' | 'draining';
  /** Left out by outlier detection, in one thread at least. */
  readonly ejected: boolean;
  /** Percent; -1: not known. */
  readonly successRate: number;
  readonly localSuccessRate: number;
  readonly stats: NamedCounters;
}

/** What is under way to a cluster, and what was. */
export interface ClusterRow {
  readonly cluster: Cluster;
  readonly connections: number;
  readonly pending: number;
  readonly requests: number;
  readonly retries: number;
  readonly hosts: readonly HostRow[];
  /** Under Envoy's names, without `cluster.<name>.`. */
  readonly stats: NamedCounters;
}

function hostRow(host: Host): HostRow {
  let connections = 0;
  host.forEachPool((pool) => {
    connections += pool.size;
  });
  return {
    address: host.label,
    weight: host.weight,
    priority: host.endpoint.priority,
    zone: host.endpoint.zone,
    health: host.endpoint.health,
    ejected: host.outlier?.ejected ?? false,
    successRate: host.outlier?.successRate ?? -1,
    localSuccessRate: host.outlier?.localSuccessRate ?? -1,
    stats: {
      cx_active: connections,
      cx_connect_fail: host.connectFailures,
      rq_active: host.active,
      rq_error: host.errors,
      rq_success: host.successes,
      rq_timeout: host.timeouts,
      rq_total: host.errors + host.successes,
    },
  };
}

export function clusterRow(runtime: ClusterRuntime): ClusterRow {
  const { cluster, limits, endpoints, outliers } = runtime;
  const hosts = endpoints.map(hostRow);
  const stats: Record<string, number> = {};
  runtime.counters.upstream('', stats);
  const named: Record<string, number> = {};
  for (const [name, value] of Object.entries(stats)) named[name.slice(1)] = value;
  named['upstream_cx_active'] = limits.connections;
  named['upstream_cx_connect_fail'] = hosts.reduce((sum, host) => sum + (host.stats['cx_connect_fail'] ?? 0), 0);
  named['upstream_rq_active'] = limits.requests;
  named['upstream_rq_pending_active'] = limits.pending;
  named['membership_total'] = hosts.length;
  named['membership_healthy'] = hosts.filter(({ health, ejected }) => health === 'healthy' && !ejected).length;
  if (outliers !== undefined) {
    named['outlier_detection.ejections_active'] = outliers.ejectionsActive;
    named['outlier_detection.ejections_enforced_total'] = outliers.counters.ejectionsTotal;
    named['outlier_detection.ejections_overflow'] = outliers.counters.overflow;
    for (const [cause, count] of outliers.counters.byCause) {
      named[`outlier_detection.ejections_enforced_${cause}`] = count;
    }
  }
  return {
    cluster,
    connections: limits.connections,
    pending: limits.pending,
    requests: limits.requests,
    retries: limits.retries,
    hosts,
    stats: named,
  };
}

/** Numbers that every thread has of the same thing, and that do not add up. */
const SHARED = new Set(['membership_total', 'membership_healthy']);

export function sumCounters(a: NamedCounters, b: NamedCounters): NamedCounters {
  const sum: Record<string, number> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const before = sum[name] ?? 0;
    sum[name] = SHARED.has(name) ? Math.max(before, value) : before + value;
  }
  return sum;
}

function sumHosts(a: readonly HostRow[], b: readonly HostRow[]): readonly HostRow[] {
  const sums = new Map(a.map((host) => [host.address, host]));
  for (const host of b) {
    const before = sums.get(host.address);
    sums.set(
      host.address,
      before === undefined
        ? host
        : { ...before, ejected: before.ejected || host.ejected, stats: sumCounters(before.stats, host.stats) },
    );
  }
  return [...sums.values()];
}

/** The same cluster in two threads. */
export const sumClusterRows = (a: ClusterRow, b: ClusterRow): ClusterRow => ({
  cluster: a.cluster,
  connections: a.connections + b.connections,
  pending: a.pending + b.pending,
  requests: a.requests + b.requests,
  retries: a.retries + b.retries,
  hosts: sumHosts(a.hosts, b.hosts),
  stats: sumCounters(a.stats, b.stats),
});
