import type {
  Address,
  AppProtocol,
  ConnectionRoutes,
  ServerNameRoute,
  SocketAddress,
  WeightedTcpCluster,
} from '@weft/policies/model/address';
import { UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import { type Listener, ORIGINAL_DESTINATION, type TcpProxy } from '@weft/policies/model/listener';
import type { Lookup } from '@weft/policies/model/snapshot';
import { clusterOf, destinationOf, type ServiceName } from '../cluster/destination.ts';
import type { ListenerDeps } from './deps.ts';
import type { Detection } from './detect.ts';

/** What is done with a connection to an address, before its first byte. */
export interface OutboundPlan {
  readonly protocol: AppProtocol;
  /** For opaque bytes. */
  readonly cluster: string;
  /** Where they go in its place. */
  readonly connections: ConnectionRoutes | undefined;
  /** `<namespace>/<service>`, or empty. */
  readonly service: string;
  /** Not of the mesh. */
  readonly outside: boolean;
}

/** The listener leaves it to the original destination what a connection is for. */
export function routesByDestination(listener: Listener): boolean {
  return listener.filterChains.some(
    ({ terminal }) =>
      terminal.kind === 'http' && terminal.route.kind === 'rds' && terminal.route.name === ORIGINAL_DESTINATION,
  );
}

/** Calls back once, with the plan or with why there is none; after a while where the address is not known yet. */
export function findPlan(
  { source, onDemandWaitMsMax, recorder }: Pick<ListenerDeps, 'source' | 'onDemandWaitMsMax' | 'recorder'>,
  destination: SocketAddress,
  done: (plan: OutboundPlan | string) => void,
): void {
  const plan = (lookup: Lookup<Address>): void => {
    const address = lookup.state === 'found' ? lookup.value : undefined;
    done(planOutbound(address, destination) ?? `the Service at ${destination.ip} has no port ${destination.port}`);
  };
  const lookup = source.lookup('address', destination.ip);
  if (lookup.state !== 'pending') {
    plan(lookup);
    return;
  }
  const waits = source.wait('address', destination.ip, onDemandWaitMsMax, (late) => {
    if (late.state !== 'pending') {
      plan(late);
      return;
    }
    recorder.count('on-demand.timeout');
    done(`what ${destination.ip} stands for was not known within ${onDemandWaitMsMax} ms`);
  });
  if (waits) return;
  recorder.count('on-demand.overflow');
  done('too many connections wait for configuration');
}

/** Undefined: a Service without such a port; nothing else could be meant. */
function planOutbound(address: Address | undefined, destination: SocketAddress): OutboundPlan | undefined {
  const target = destinationOf(address, destination.port);
  if (target === undefined) return undefined;
  const cluster = clusterOf(target);
  switch (target.kind) {
    case 'outside':
      return { protocol: 'tcp', cluster, connections: undefined, service: UNKNOWN_SERVICE, outside: true };
    case 'service': {
      const { protocol, connections } = target.port;
      return { protocol, cluster, connections, service: label(target.address), outside: false };
    }
    case 'workload': {
      const protocol = target.address.ports.find(({ port }) => port === destination.port)?.protocol ?? 'detect';
      const service = target.service ? label(target.service) : '';
      return { protocol, cluster, connections: undefined, service, outside: false };
    }
  }
}

const label = ({ namespace, name }: ServiceName): string => `${namespace}/${name}`;

/** Where opaque bytes go, or why nowhere: no route of the Service is for them. */
export function clustersFor(
  { clusters }: TcpProxy,
  { cluster, connections, service }: OutboundPlan,
  detection: Detection,
): readonly WeightedTcpCluster[] | string {
  // A chain that says no cluster of its own leaves it to the destination.
  if (clusters.some(({ name }) => name !== ORIGINAL_DESTINATION)) return clusters;
  switch (connections?.kind) {
    case undefined:
      return [{ name: cluster, weight: 1 }];
    case 'weighted':
      return connections.clusters;
    case 'server-names': {
      if (detection.kind !== 'tls') return `no TLSRoute of ${service} is for what is no TLS`;
      const { serverName } = detection;
      return (
        byServerName(connections.routes, serverName) ?? `no TLSRoute of ${service} is for the name "${serverName}"`
      );
    }
  }
}

/** The name itself, then the longest wildcard; among equals the first. TLSRouteSpec.hostnames: a wildcard is a suffix. */
export function byServerName(
  routes: readonly ServerNameRoute[],
  serverName: string,
): readonly WeightedTcpCluster[] | undefined {
  const name = serverName.toLowerCase();
  if (name === '') return undefined;
  let found: readonly WeightedTcpCluster[] | undefined;
  let length = 0;
  for (const { serverNames, clusters } of routes) {
    for (const one of serverNames) {
      if (one === name) return clusters;
      if (one.length <= length || !one.startsWith('*.') || !name.endsWith(one.slice(1))) continue;
      found = clusters;
      length = one.length;
    }
  }
  return found;
}
