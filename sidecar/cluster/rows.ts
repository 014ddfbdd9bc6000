import type { Cluster, Endpoint } from '@weft/policies/model/cluster';
import type { NamedCounters } from '../telemetry/exchange-counters.ts';
import type { Host } from './host.ts';
import type { ClusterRuntime } from './runtime.ts';

/** One endpoint, for the admin interface. */
export interface HostRow {
  readonly address: string;
  readonly weight: number;
  readonly endpoint: Endpoint;
  /** Left out by outlier detection, in one thread at least. */
  readonly ejected: boolean;
  /** What active health checks say, in one thread at least. */
  readonly checks: {
    readonly failed: boolean;
    readonly pending: boolean;
    readonly excluded: boolean;
    readonly timedOut: boolean;
  };
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

/** Of an endpoint that nobody asks. */
export const unchecked: HostRow['checks'] = { failed: false, pending: false, excluded: false, timedOut: false };

function checksOf({ health }: Host): HostRow['checks'] {
  if (health === undefined) return unchecked;
  const { failed, pending, excluded, timedOut } = health;
  return { failed, pending, excluded, timedOut };
}

function hostRow(host: Host): HostRow {
  let connections = 0;
  host.forEachPool((pool) => {
    connections += pool.size;
  });
  return {
    address: host.label,
    weight: host.weight,
    endpoint: host.endpoint,
    ejected: host.outlier?.ejected ?? false,
    checks: checksOf(host),
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

const isWell = ({ endpoint: { health }, ejected, checks }: HostRow): boolean =>
  health === 'healthy' && !ejected && !checks.failed;

export function clusterRow(runtime: ClusterRuntime): ClusterRow {
  const { cluster, limits, endpoints, outliers, healthChecks } = runtime;
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
  named['membership_healthy'] = hosts.filter(isWell).length;
  named['membership_excluded'] = hosts.filter(({ checks }) => checks.excluded).length;
  if (healthChecks !== undefined) {
    for (const [name, count] of Object.entries(healthChecks.counters)) named[`health_check.${name}`] = count;
    named['health_check.healthy'] = hosts.filter(({ checks }) => !checks.failed).length;
  }
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
const SHARED = new Set(['membership_total', 'membership_healthy', 'membership_excluded', 'health_check.healthy']);

export function sumCounters(a: NamedCounters, b: NamedCounters): NamedCounters {
  const sum: Record<string, number> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const before = sum[name] ?? 0;
    sum[name] = SHARED.has(name) ? Math.max(before, value) : before + value;
  }
  return sum;
}

const eitherChecks = (a: HostRow['checks'], b: HostRow['checks']): HostRow['checks'] => ({
  failed: a.failed || b.failed,
  pending: a.pending || b.pending,
  excluded: a.excluded || b.excluded,
  timedOut: a.timedOut || b.timedOut,
});

const eitherHost = (a: HostRow, b: HostRow): HostRow => ({
  ...a,
  ejected: a.ejected || b.ejected,
  checks: eitherChecks(a.checks, b.checks),
  stats: sumCounters(a.stats, b.stats),
});

function sumHosts(a: readonly HostRow[], b: readonly HostRow[]): readonly HostRow[] {
  const sums = new Map(a.map((host) => [host.address, host]));
  for (const host of b) {
    const before = sums.get(host.address);
    sums.set(host.address, before === undefined ? host : eitherHost(before, host));
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
