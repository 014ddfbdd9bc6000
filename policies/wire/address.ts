import type { MessageInitShape } from '@bufbuild/protobuf';
import { parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.ts';
import type { Address, AppProtocol, ConnectionRoutes, ServicePort, WeightedTcpCluster } from '../model/address.ts';
import type { At } from './decoding.ts';
import {
  type Address as AddressMessage,
  type AddressSchema,
  Protocol,
  type ServicePort as ServicePortMessage,
  type ServicePortSchema,
  type WeightedCluster,
  type WeightedClusterSchema,
} from './gen/weft/v1/address_pb.ts';

const protocols = {
  detect: Protocol.UNSPECIFIED,
  tcp: Protocol.TCP,
  http: Protocol.HTTP,
  http2: Protocol.HTTP2,
  grpc: Protocol.GRPC,
  tls: Protocol.TLS,
} as const satisfies Record<AppProtocol, Protocol>;

export function encodeAddress(address: Address): MessageInitShape<typeof AddressSchema> {
  const { namespace, name } = address;
  const ports = address.ports.map(encodePort);
  if (address.kind === 'service') return { kind: { case: 'service', value: { namespace, name, ports } } };
  const { spiffeId, workloadName, zone, node = '', mtls, service, terminating, plaintext } = address;
  return {
    kind: {
      case: 'workload',
      value: {
        ...{ namespace, name, spiffeId, workloadName, zone, node, mtls, service, ports, terminating },
        ...(plaintext === undefined ? {} : { plaintext: { ports: [...plaintext.ports], others: plaintext.others } }),
      },
    },
  };
}

const encodePort = (port: ServicePort): MessageInitShape<typeof ServicePortSchema> => ({
  port: port.port,
  protocol: protocols[port.protocol],
  routeConfiguration: port.routeConfiguration,
  cluster: port.cluster,
  ...encodeConnections(port.connections),
});

function encodeConnections(
  connections: ConnectionRoutes | undefined,
): Pick<MessageInitShape<typeof ServicePortSchema>, 'connections'> {
  switch (connections?.kind) {
    case undefined:
      return {};
    case 'weighted':
      return { connections: { case: 'weighted', value: { clusters: connections.clusters.map(encodeWeighted) } } };
    case 'server-names':
      return {
        connections: {
          case: 'serverNames',
          value: {
            routes: connections.routes.map(({ serverNames, clusters }) => ({
              serverNames: [...serverNames],
              clusters: clusters.map(encodeWeighted),
            })),
          },
        },
      };
  }
}

const encodeWeighted = ({ name, weight }: WeightedTcpCluster): MessageInitShape<typeof WeightedClusterSchema> => ({
  name,
  weight,
});

function decodeConnections({ connections }: ServicePortMessage): ConnectionRoutes | undefined {
  switch (connections.case) {
    case undefined:
      return undefined;
    case 'weighted':
      return { kind: 'weighted', clusters: connections.value.clusters.map(decodeWeighted) };
    case 'serverNames':
      return {
        kind: 'server-names',
        routes: connections.value.routes.map(({ serverNames, clusters }) => ({
          serverNames: [...serverNames],
          clusters: clusters.map(decodeWeighted),
        })),
      };
  }
}

const decodeWeighted = ({ name, weight }: WeightedCluster): WeightedTcpCluster => ({ name, weight });

export function decodeAddress(message: AddressMessage, at: At): Address {
  const { kind } = message;
  switch (kind.case) {
    case 'service': {
      const { namespace, name, ports } = kind.value;
      return { kind: 'service', namespace, name, ports: decodePorts(ports, at.field('service')) };
    }
    case 'workload': {
      const { namespace, name, workloadName, zone, node, mtls, service, ports, terminating, plaintext } = kind.value;
      const here = at.field('workload');
      const spiffeId = parseSpiffeId(kind.value.spiffeId);
      return {
        kind: 'workload',
        ...{ namespace, name, workloadName, zone, mtls, service, terminating },
        ...(node === '' ? {} : { node }),
        ...(plaintext === undefined ? {} : { plaintext: { ports: [...plaintext.ports], others: plaintext.others } }),
        spiffeId: spiffeId.ok ? spiffeId.value : here.field('spiffe_id').fail(spiffeId.error, '' as SpiffeId),
        ports: decodePorts(ports, here),
      };
    }
    case undefined:
      return at.fail('service or workload is required', { kind: 'service', namespace: '', name: '', ports: [] });
  }
}

const decodePorts = (ports: readonly ServicePortMessage[], at: At): readonly ServicePort[] =>
  ports.map((message, i) => {
    const { port, protocol, routeConfiguration, cluster } = message;
    const connections = decodeConnections(message);
    const here = at.field('ports').index(i);
    if (port < 1 || port > 65_535) here.field('port').fail('has to be from 1 to 65535', undefined);
    const known = (['detect', 'tcp', 'http', 'http2', 'grpc', 'tls'] as const).find(
      (name) => protocols[name] === protocol,
    );
    // A protocol of a later version: looking at the first bytes is always right.
    if (known === undefined) here.field('protocol').skip(`protocol ${protocol}`);
    const said = { port, protocol: known ?? 'detect', routeConfiguration, cluster } as const;
    return connections === undefined ? said : { ...said, connections };
  });
