import type { Endpoint } from '@weft/policies/model/cluster';
import type { ClusterRow, HostRow } from '../../cluster/rows.ts';

/** Envoy's flags; several are joined by slashes. */
function healthFlags({ ejected, endpoint: { health }, checks }: HostRow): string {
  const flags: string[] = [];
  if (checks.failed) flags.push('/failed_active_hc');
  if (ejected) flags.push('/failed_outlier_check');
  if (health === 'unhealthy') flags.push('/failed_eds_health');
  if (checks.pending) flags.push('/pending_active_hc');
  if (checks.excluded) flags.push('/excluded_via_immediate_hc_fail');
  if (checks.timedOut) flags.push('/active_hc_timeout');
  if (health === 'draining') flags.push('/eds_status_draining');
  return flags.length === 0 ? 'healthy' : flags.join('');
}

export function clustersText(rows: readonly ClusterRow[]): string {
  const lines: string[] = [];
  for (const { cluster, hosts } of rows) {
    const { name, limits } = cluster;
    lines.push(
      `${name}::observability_name::${name}`,
      `${name}::default_priority::max_connections::${limits.connectionsMax}`,
      `${name}::default_priority::max_pending_requests::${limits.pendingRequestsMax}`,
      `${name}::default_priority::max_requests::${limits.requestsMax}`,
      `${name}::default_priority::max_retries::${limits.retriesMax}`,
      `${name}::added_via_api::${cluster.discovery.kind === 'eds'}`,
    );
    for (const host of hosts) {
      const at = `${name}::${host.address}`;
      for (const stat of Object.keys(host.stats).sort()) lines.push(`${at}::${stat}::${host.stats[stat]}`);
      lines.push(
        `${at}::hostname::${host.endpoint.hostname ?? ''}`,
        `${at}::health_flags::${healthFlags(host)}`,
        `${at}::weight::${host.weight}`,
        `${at}::region::${host.endpoint.region ?? ''}`,
        `${at}::zone::${host.endpoint.zone}`,
        `${at}::sub_zone::${host.endpoint.subZone ?? ''}`,
        `${at}::canary::false`,
        `${at}::priority::${host.endpoint.priority}`,
        `${at}::success_rate::${host.successRate}`,
        `${at}::local_origin_success_rate::${host.localSuccessRate}`,
      );
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

const statuses = { healthy: 'HEALTHY', unhealthy: 'UNHEALTHY', draining: 'DRAINING' } as const;

function addressJson(address: string): unknown {
  const colon = address.lastIndexOf(':');
  const ip = address.slice(0, colon);
  return {
    socket_address: {
      address: ip.startsWith('[') ? ip.slice(1, -1) : ip,
      port_value: Number(address.slice(colon + 1)),
    },
  };
}

const localityJson = ({ region = '', zone, subZone = '' }: Endpoint): unknown => ({
  ...(region === '' ? {} : { region }),
  ...(zone === '' ? {} : { zone }),
  ...(subZone === '' ? {} : { sub_zone: subZone }),
});

const hostJson = (host: HostRow): unknown => ({
  address: addressJson(host.address),
  // Whole numbers of 64 bits are text in JSON (protobuf), and nothing is said of zero.
  stats: Object.entries(host.stats).map(([name, value]) => ({
    ...(name.endsWith('_active') ? { type: 'GAUGE' } : {}),
    ...(value === 0 ? {} : { value: String(value) }),
    name,
  })),
  health_status: {
    ...(host.checks.failed ? { failed_active_health_check: true } : {}),
    ...(host.ejected ? { failed_outlier_check: true } : {}),
    ...(host.checks.pending ? { pending_active_hc: true } : {}),
    ...(host.checks.excluded ? { excluded_via_immediate_hc_fail: true } : {}),
    ...(host.checks.timedOut ? { active_hc_timeout: true } : {}),
    eds_health_status: statuses[host.endpoint.health],
  },
  ...(host.successRate < 0 ? {} : { success_rate: { value: host.successRate } }),
  ...(host.localSuccessRate < 0 ? {} : { local_origin_success_rate: { value: host.localSuccessRate } }),
  weight: host.weight,
  ...(host.endpoint.hostname === undefined ? {} : { hostname: host.endpoint.hostname }),
  ...(host.endpoint.priority === 0 ? {} : { priority: host.endpoint.priority }),
  locality: localityJson(host.endpoint),
});

export const clustersJson = (rows: readonly ClusterRow[]): unknown => ({
  cluster_statuses: rows.map(({ cluster, hosts }) => ({
    name: cluster.name,
    ...(cluster.discovery.kind === 'eds' ? { added_via_api: true } : {}),
    ...(hosts.length === 0 ? {} : { host_statuses: hosts.map(hostJson) }),
    circuit_breakers: {
      thresholds: [
        {
          max_connections: cluster.limits.connectionsMax,
          max_pending_requests: cluster.limits.pendingRequestsMax,
          max_requests: cluster.limits.requestsMax,
          max_retries: cluster.limits.retriesMax,
        },
      ],
    },
    observability_name: cluster.name,
    ...(cluster.discovery.kind === 'eds' ? { eds_service_name: cluster.discovery.serviceName } : {}),
  })),
});
