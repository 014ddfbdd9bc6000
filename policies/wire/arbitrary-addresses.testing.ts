import fc from 'fast-check';
import type { Address, AppProtocol, ConnectionRoutes, ServicePort } from '../model/address.ts';
import { port, spiffeId, text } from './arbitrary-values.testing.ts';

const protocol = fc.constantFrom<AppProtocol>('detect', 'tcp', 'http', 'http2', 'grpc', 'tls');
const weightedTcp = fc.array(fc.record({ name: text, weight: fc.nat(1_000_000) }), { maxLength: 3 });
const connectionRoutes: fc.Arbitrary<ConnectionRoutes> = fc.oneof(
  fc.record({ kind: fc.constant('weighted' as const), clusters: weightedTcp }),
  fc.record({
    kind: fc.constant('server-names' as const),
    routes: fc.array(fc.record({ serverNames: fc.array(text, { maxLength: 2 }), clusters: weightedTcp }), {
      maxLength: 2,
    }),
  }),
);

const ports: fc.Arbitrary<ServicePort[]> = fc.array(
  fc.record(
    { port, protocol, routeConfiguration: text, cluster: text, connections: connectionRoutes },
    { requiredKeys: ['port', 'protocol', 'routeConfiguration', 'cluster'] },
  ),
  { maxLength: 3 },
);
const nodeName = fc.constantFrom({}, { node: 'node-1' });
export const address: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ kind: fc.constant('service' as const), namespace: text, name: text, ports }),
  fc
    .tuple(
      nodeName,
      fc.record({
        kind: fc.constant('workload' as const),
        namespace: text,
        name: text,
        spiffeId,
        workloadName: text,
        zone: text,
        mtls: fc.boolean(),
        service: text,
        ports,
        terminating: fc.boolean(),
      }),
    )
    .map(([node, all]) => ({ ...all, ...node })),
);
