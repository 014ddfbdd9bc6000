import type { Cluster, Endpoint, EndpointAssignment } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import type { RouteConfiguration } from '@weft/policies/model/route';
import { type ClusterRow, unchecked } from '../cluster/rows.ts';
import { hostPort } from '../net/connection-record.ts';
import { chainsOf } from './references.ts';

/** The routes inside of connection managers, for the admin interface. */
export const inlineRoutes = (listeners: readonly Listener[]): readonly RouteConfiguration[] =>
  listeners
    .flatMap((listener) => chainsOf(listener, ''))
    .flatMap(([, { terminal }]) =>
      terminal.kind === 'http' && terminal.route.kind === 'inline' ? [terminal.route.config] : [],
    );

/** A cluster is made when the first request needs it; operators look for all of the file. */
export function withoutTraffic(
  clusters: readonly Cluster[],
  rows: readonly ClusterRow[],
  discovered: readonly EndpointAssignment[],
): readonly ClusterRow[] {
  const byName = new Map(rows.map((row) => [row.cluster.name, row]));
  const byService = new Map(discovered.map((assignment) => [assignment.clusterName, assignment]));
  return clusters.map((cluster) => {
    const { discovery } = cluster;
    const assignment = discovery.kind === 'eds' ? byService.get(discovery.serviceName) : undefined;
    const known = discovery.kind === 'static' ? discovery.assignment : assignment;
    return byName.get(cluster.name) ?? unused(cluster, known?.endpoints ?? []);
  });
}

function unused(cluster: Cluster, endpoints: readonly Endpoint[]): ClusterRow {
  return {
    cluster,
    connections: 0,
    pending: 0,
    requests: 0,
    retries: 0,
    hosts: endpoints.map((endpoint) => ({
      address: hostPort(endpoint.address.ip, endpoint.address.port),
      weight: endpoint.weight,
      endpoint,
      ejected: false,
      checks: unchecked,
      successRate: -1,
      localSuccessRate: -1,
      stats: { cx_active: 0, cx_connect_fail: 0, rq_active: 0, rq_error: 0, rq_success: 0, rq_timeout: 0, rq_total: 0 },
    })),
    stats: { membership_total: endpoints.length, membership_healthy: endpoints.length, upstream_rq_total: 0 },
  };
}
