import type {
  Address,
  ServiceAddress,
  ServicePort,
  SocketAddress,
  WorkloadAddress,
} from '@weft/policies/model/address';
import type { Endpoint } from '@weft/policies/model/cluster';
import type { ProxyError } from '../http/errors.ts';

/** The cluster of destinations that are not of the mesh. */
export const PASSTHROUGH = 'passthrough';

/** What the original destination of a connection stands for: it picks the Service, never the Host header. */
export type Destination =
  | { readonly kind: 'service'; readonly address: ServiceAddress; readonly port: ServicePort }
  | { readonly kind: 'workload'; readonly address: WorkloadAddress }
  /** Not of the mesh. */
  | { readonly kind: 'outside' };

const outside: Destination = { kind: 'outside' };

/** Kept for each Address object, so that a request allocates nothing for it. */
const known = new WeakMap<Address, Map<number, Destination>>();

/** Undefined: a Service without such a port. */
export function destinationOf(address: Address | undefined, port: number): Destination | undefined {
  if (address === undefined) return outside;
  let byPort = known.get(address);
  if (byPort === undefined) {
    byPort = new Map();
    if (address.kind === 'service') {
      for (const entry of address.ports) byPort.set(entry.port, { kind: 'service', address, port: entry });
    } else {
      byPort.set(0, { kind: 'workload', address });
    }
    known.set(address, byPort);
  }
  return byPort.get(address.kind === 'service' ? port : 0);
}

/** The endpoint that an original destination is: a workload's own identity if it is one, else an unknown peer. */
export function endpointOf(destination: SocketAddress, address: Address | undefined): Endpoint {
  const workload = address?.kind === 'workload' ? address : undefined;
  return {
    address: destination,
    weight: 1,
    priority: 0,
    zone: workload?.zone ?? '',
    health: 'healthy',
    mtls: workload?.mtls ?? false,
    spiffeId: workload?.spiffeId,
    workload: workload === undefined ? '' : `${workload.namespace}/${workload.workloadName}`,
  };
}

export function noCluster(detail: string): ProxyError {
  return { source: 'internal', flag: 'NC', status: 503, retry: 'no', detail };
}
