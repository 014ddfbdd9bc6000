import type { MessageInitShape } from '@bufbuild/protobuf';
import { parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.ts';
import type { Endpoint, EndpointAssignment } from '../model/cluster.ts';
import type { At } from './decoding.ts';
import type { Locality } from './gen/envoy/config/core/v3/base_pb.ts';
import { HealthStatus } from './gen/envoy/config/core/v3/health_check_pb.ts';
import type {
  LbEndpoint,
  LbEndpointSchema,
  LocalityLbEndpointsSchema,
} from './gen/envoy/config/endpoint/v3/endpoint_components_pb.ts';
import type { ClusterLoadAssignment, ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import {
  decodeSocketAddress,
  decodeUriText,
  encodeMetadata,
  encodeSocketAddress,
  StructReader,
  WEFT_METADATA,
  weftMetadata,
} from './values.ts';

/** What Envoy matches an endpoint with, to choose the transport socket. */
const TRANSPORT_SOCKET_MATCH = 'envoy.transport_socket_match';
export const MESH_TLS_MATCH = { 'weft.dev/tls': 'mtls' } as const;

const health = {
  healthy: HealthStatus.HEALTHY,
  unhealthy: HealthStatus.UNHEALTHY,
  draining: HealthStatus.DRAINING,
} as const;

/** Grouped by priority and locality in order of first appearance: gRPC takes a locality only once. */
export function encodeEndpoints(assignment: EndpointAssignment): MessageInitShape<typeof ClusterLoadAssignmentSchema> {
  const groups = new Map<string, Endpoint[]>();
  for (const endpoint of assignment.endpoints) {
    const key = JSON.stringify([endpoint.priority, endpoint.region, endpoint.zone, endpoint.subZone]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [endpoint]);
    else group.push(endpoint);
  }
  return { clusterName: assignment.clusterName, endpoints: [...groups.values()].map(encodeGroup) };
}

const encodeGroup = (group: readonly Endpoint[]): MessageInitShape<typeof LocalityLbEndpointsSchema> => ({
  locality: { region: group[0]?.region ?? '', zone: group[0]?.zone ?? '', subZone: group[0]?.subZone ?? '' },
  priority: group[0]?.priority ?? 0,
  // gRPC passes over a locality without a weight.
  loadBalancingWeight: Math.max(
    1,
    group.reduce((sum, { weight }) => sum + weight, 0),
  ),
  lbEndpoints: group.map(encodeEndpoint),
});

const encodeEndpoint = (endpoint: Endpoint): MessageInitShape<typeof LbEndpointSchema> => ({
  hostIdentifier: {
    case: 'endpoint',
    value: {
      address: encodeSocketAddress(endpoint.address),
      hostname: endpoint.hostname ?? '',
      additionalAddresses: (endpoint.alternatives ?? []).map((one) => ({ address: encodeSocketAddress(one) })),
    },
  },
  healthStatus: health[endpoint.health],
  loadBalancingWeight: Math.max(1, endpoint.weight),
  metadata: encodeMetadata({
    [TRANSPORT_SOCKET_MATCH]: endpoint.mtls ? { ...MESH_TLS_MATCH } : {},
    [WEFT_METADATA]: {
      ...(endpoint.spiffeId === undefined ? {} : { spiffe_id: endpoint.spiffeId }),
      ...(endpoint.workload === '' ? {} : { workload: endpoint.workload }),
      ...(endpoint.node === undefined ? {} : { node: endpoint.node }),
      ...(endpoint.hints === undefined
        ? {}
        : { hints: { zones: [...endpoint.hints.zones], nodes: [...endpoint.hints.nodes] } }),
    },
  }),
});

export function decodeEndpoints(message: ClusterLoadAssignment, at: At): EndpointAssignment {
  if (message.clusterName === '') at.field('cluster_name').fail('is required', undefined);
  return {
    clusterName: message.clusterName,
    endpoints: message.endpoints.flatMap((group, g) => {
      const here = at.field('endpoints').index(g);
      // Envoy allows 0 to 127.
      if (group.priority > 127) here.field('priority').fail('is more than 127', undefined);
      return group.lbEndpoints.map((endpoint, i) => ({
        ...decodeEndpoint(endpoint, here.field('lb_endpoints').index(i)),
        priority: group.priority,
        ...decodeLocality(group.locality),
      }));
    }),
  };
}

const decodeLocality = (locality: Locality | undefined): Pick<Endpoint, 'zone' | 'region' | 'subZone'> => ({
  zone: locality?.zone ?? '',
  ...(locality === undefined || locality.region === '' ? {} : { region: locality.region }),
  ...(locality === undefined || locality.subZone === '' ? {} : { subZone: locality.subZone }),
});

function decodeEndpoint(endpoint: LbEndpoint, at: At): Omit<Endpoint, 'priority' | 'zone'> {
  const host = endpoint.hostIdentifier.case === 'endpoint' ? endpoint.hostIdentifier.value : undefined;
  const weight = endpoint.loadBalancingWeight ?? 1;
  if (weight === 0) at.field('load_balancing_weight').fail('has to be at least 1', undefined);
  const socket = new StructReader(
    endpoint.metadata?.filterMetadata[TRANSPORT_SOCKET_MATCH] ?? {},
    at.field('metadata').field('filter_metadata').key(TRANSPORT_SOCKET_MATCH),
  );
  const own = weftMetadata(endpoint.metadata, at);
  const others = at.field('endpoint').field('additional_addresses');
  const alternatives = (host?.additionalAddresses ?? []).map(({ address }, i) =>
    decodeSocketAddress(address, others.index(i).field('address')),
  );
  const node = own.string('node');
  const decoded = {
    address: decodeSocketAddress(host?.address, at.field('endpoint').field('address')),
    ...(alternatives.length === 0 ? {} : { alternatives }),
    ...(host === undefined || host.hostname === ''
      ? {}
      : { hostname: decodeUriText(host.hostname, at.field('endpoint').field('hostname')) }),
    ...(node === '' ? {} : { node }),
    ...decodeHints(own.object('hints')),
    weight,
    health: decodeHealth(endpoint.healthStatus, at.field('health_status')),
    mtls: socket.string('weft.dev/tls') === 'mtls',
    spiffeId: decodeSpiffeId(own),
    workload: own.string('workload'),
  };
  own.end();
  return decoded;
}

function decodeHints(reader: StructReader | undefined): Pick<Endpoint, 'hints'> {
  if (reader === undefined) return {};
  const hints = { zones: reader.strings('zones'), nodes: reader.strings('nodes') };
  reader.end();
  return { hints };
}

function decodeSpiffeId(reader: StructReader): SpiffeId | undefined {
  const text = reader.string('spiffe_id');
  if (text === '') return undefined;
  const id = parseSpiffeId(text);
  return id.ok ? id.value : reader.place('spiffe_id').fail(id.error, undefined);
}

function decodeHealth(status: HealthStatus, at: At): Endpoint['health'] {
  switch (status) {
    case HealthStatus.UNKNOWN:
    case HealthStatus.HEALTHY:
      return 'healthy';
    case HealthStatus.UNHEALTHY:
    case HealthStatus.TIMEOUT:
      return 'unhealthy';
    case HealthStatus.DRAINING:
      return 'draining';
    default:
      return at.fail(`health status ${status} is not supported by Weft`, 'unhealthy');
  }
}
