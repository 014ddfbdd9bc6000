import type { Address, AppProtocol, SocketAddress } from '@weft/policies/model/address';
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
      return { protocol: 'tcp', cluster, service: '' };
    case 'service':
      return { protocol: target.port.protocol, cluster, service: label(target.address) };
    case 'workload': {
      const port = target.address.ports.find((entry) => entry.port === destination.port);
      return { protocol: port?.protocol ?? 'detect', cluster, service: target.service ? label(target.service) : '' };
    }
  }
}

const label = ({ namespace, name }: ServiceName): string => `${namespace}/${name}`;
