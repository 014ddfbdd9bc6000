/** TCPRoutes and TLSRoutes of a Service port, as part of what its address stands for. */
import type { TLSRoute } from '@weft/policies/crds/kinds';
import type { ServerNameRoute, ServicePort, WeightedTcpCluster } from '@weft/policies/model/address';
import type { Service } from '../index/core.ts';
import type { ClusterState } from '../index/state.ts';
import { type Port, routesFor } from './attachment.ts';
import { type BackendName, backendCluster } from './backends.ts';

/** Undefined: no route, or one for requests. */
export function connectionRoutes(
  state: ClusterState,
  clientNamespace: string,
  service: Service,
  port: Port,
): Pick<ServicePort, 'protocol' | 'connections'> | undefined {
  const routes = routesFor(state, clientNamespace, service, port);
  const [oldest] = routes;
  switch (oldest?.kind) {
    case undefined:
    case 'HTTPRoute':
    case 'GRPCRoute':
      return undefined;
    case 'TCPRoute': {
      // Nothing tells one from another: all connections match all TCPRoutes, and the oldest wins.
      const clusters = weighted(state, oldest, oldest.spec.rules);
      return { protocol: 'tcp', connections: { kind: 'weighted', clusters } };
    }
    case 'TLSRoute': {
      const named = routes
        .filter((route): route is TLSRoute => route.kind === 'TLSRoute')
        .map(
          (route): ServerNameRoute => ({
            serverNames: route.spec.hostnames,
            clusters: weighted(state, route, route.spec.rules),
          }),
        );
      return { protocol: 'tls', connections: { kind: 'server-names', routes: named } };
    }
  }
}

interface Rule {
  readonly backendRefs: readonly (BackendName & { readonly weight: number })[];
}

const weighted = (
  state: ClusterState,
  route: Parameters<typeof backendCluster>[1],
  rules: readonly Rule[],
): WeightedTcpCluster[] =>
  // The share of an invalid backend is refused (TCPRouteRule.backendRefs, TLSRouteRule.backendRefs).
  rules.flatMap(({ backendRefs }) =>
    backendRefs.map((ref) => ({ name: backendCluster(state, route, ref), weight: ref.weight })),
  );
