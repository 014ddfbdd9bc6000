import type { EndpointState, LimitUse, UpstreamState } from '../telemetry/upstream-families.ts';
import type { Host } from './host.ts';
import { retriesAllowed } from './limits.ts';
import type { ClusterRuntime } from './runtime.ts';

/** For metrics. */
export function upstreamState(runtime: ClusterRuntime): UpstreamState {
  const { cluster, startedBreaker: breaker, outliers, healthChecks, limits } = runtime;
  return {
    cluster: cluster.name,
    service: cluster.service === undefined ? '' : `${cluster.service.namespace}/${cluster.service.name}`,
    breaker: breaker && { state: breaker.state, opened: breaker.opened, refused: breaker.refused },
    endpoints: endpointsByState(runtime.endpoints),
    ejections: outliers && {
      detected: outliers.counters.detectedByCause,
      enforced: outliers.counters.byCause,
      overflow: outliers.counters.overflow,
    },
    checks: healthChecks && { ...healthChecks.results },
    limits: limitsInUse(runtime),
    refused: limits.refused,
  };
}

function limitsInUse({ cluster, limits }: ClusterRuntime): readonly LimitUse[] {
  const { connectionsMax, pendingRequestsMax, requestsMax } = cluster.limits;
  return [
    { limit: 'connections', max: connectionsMax, inUse: limits.connections },
    { limit: 'pending', max: pendingRequestsMax, inUse: limits.pending },
    { limit: 'requests', max: requestsMax, inUse: limits.requests },
    { limit: 'retries', max: retriesAllowed(cluster.limits, limits.requests), inUse: limits.retries },
  ];
}

function endpointsByState(hosts: readonly Host[]): Readonly<Record<EndpointState, number>> {
  const counts: Record<EndpointState, number> = {
    draining: 0,
    unhealthy: 0,
    failed_check: 0,
    ejected: 0,
    available: 0,
  };
  for (const host of hosts) counts[stateOf(host)]++;
  return counts;
}

function stateOf({ endpoint, health, outlier }: Host): EndpointState {
  if (endpoint.health !== 'healthy') return endpoint.health;
  if (health?.failed === true) return 'failed_check';
  return outlier?.ejected === true ? 'ejected' : 'available';
}
