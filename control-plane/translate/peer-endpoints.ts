/**
 * Endpoints as a client needs them that does not choose by itself: an Envoy or a gRPC program. What is nearer has a
 * lower priority number, what is out of reach is left out, and what ends is offered where there is nothing else.
 */
import type { Endpoint, EndpointAssignment } from '@weft/policies/model/cluster';
import { ignoresHints, isOnNode, type Locality, type Place, tierOf } from '@weft/policies/model/locality';

export function endpointsForPlace(
  assignment: EndpointAssignment,
  locality: Locality | undefined,
  place: Place,
): EndpointAssignment {
  const inReach =
    locality === 'local-node' ? assignment.endpoints.filter((one) => isOnNode(one, place)) : assignment.endpoints;
  const ready = inReach.filter(({ health }) => health === 'healthy');
  // Neither Envoy nor gRPC sends anything to what drains; kube-proxy does when nothing else is left (KEP-1669).
  const offered =
    ready.length > 0
      ? inReach
      : inReach.map((one) => (one.health === 'draining' ? { ...one, health: 'healthy' as const } : one));
  return { ...assignment, endpoints: byTier(offered, locality, place).map(withoutPlace) };
}

function byTier(endpoints: readonly Endpoint[], locality: Locality | undefined, place: Place): readonly Endpoint[] {
  if (locality === undefined || locality === 'local-node' || ignoresHints(endpoints, locality)) return endpoints;
  const tiers = endpoints.map((one) => tierOf(one, locality, place));
  // gRPC refuses priorities with gaps.
  const present = [...new Set(tiers)].sort((a, b) => a - b);
  return endpoints.map((one, i) => ({ ...one, priority: present.indexOf(tiers[i] ?? 0) }));
}

/** What has been decided here is not sent. */
const withoutPlace = ({ node: _node, hints: _hints, ...endpoint }: Endpoint): Endpoint => endpoint;
