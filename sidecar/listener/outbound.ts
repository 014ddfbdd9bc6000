import type { Address, AppProtocol, SocketAddress } from '@weft/policies/model/address';
import { UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import { type Listener, ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import type { Lookup } from '@weft/policies/model/snapshot';
import { clusterOf, destinationOf, type ServiceName } from '../cluster/destination.ts';
import type { ListenerDeps } from './deps.ts';

/** What is done with a connection to an address, before its first byte. */
export interface OutboundPlan {
  readonly protocol: AppProtocol;
  /** For opaque bytes. */
  readonly cluster: string;
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
      return { protocol: 'tcp', cluster, service: UNKNOWN_SERVICE, outside: true };
    case 'service':
      return { protocol: target.port.protocol, cluster, service: label(target.address), outside: false };
    case 'workload': {
      const protocol = target.address.ports.find(({ port }) => port === destination.port)?.protocol ?? 'detect';
      return { protocol, cluster, service: target.service ? label(target.service) : '', outside: false };
    }
  }
}

const label = ({ namespace, name }: ServiceName): string => `${namespace}/${name}`;
