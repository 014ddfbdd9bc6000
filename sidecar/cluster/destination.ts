import {
  type Address,
  isPlaintextPort,
  type ServiceAddress,
  type ServicePort,
  type SocketAddress,
  type WorkloadAddress,
} from '@weft/policies/model/address';
import type { Endpoint } from '@weft/policies/model/cluster';
import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import type { ProxyError } from '../http/errors.ts';

/** The cluster of destinations that are not of the mesh. */
export const PASSTHROUGH = 'passthrough';

/** What the original destination of a connection stands for: it picks the Service, never the Host header. */
export type Destination =
  | { readonly kind: 'service'; readonly address: ServiceAddress; readonly port: ServicePort }
  | {
      readonly kind: 'workload';
      readonly address: WorkloadAddress;
      /** Of the headless Service that was called, whose settings count. */
      readonly port: ServicePort | undefined;
      /** For labels; undefined where no Service has this pod. */
      readonly service: ServiceName | undefined;
    }
  /** Not of the mesh. */
  | { readonly kind: 'outside' };

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

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
      addWorkload(byPort, address);
    }
    known.set(address, byPort);
  }
  return byPort.get(port) ?? byPort.get(ANY_PORT);
}

/** Pods have ports that nobody declared. */
const ANY_PORT = 0;

function addWorkload(byPort: Map<number, Destination>, address: WorkloadAddress): void {
  const { namespace, service: name } = address;
  const service = name === '' ? undefined : { namespace, name };
  byPort.set(ANY_PORT, { kind: 'workload', address, port: undefined, service });
  for (const port of address.ports) {
    if (port.cluster !== '') byPort.set(port.port, { kind: 'workload', address, port, service });
  }
}

/** The cluster of opaque bytes. */
export function clusterOf(destination: Destination): string {
  switch (destination.kind) {
    case 'service':
      return destination.port.cluster;
    case 'workload':
      return destination.port?.cluster ?? ORIGINAL_DESTINATION;
    case 'outside':
      return PASSTHROUGH;
  }
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
    mtls: takesMeshTls(workload, destination.port),
    spiffeId: workload?.spiffeId,
    workload: workload === undefined ? '' : `${workload.namespace}/${workload.workloadName}`,
  };
}

function takesMeshTls(workload: WorkloadAddress | undefined, port: number): boolean {
  if (workload?.mtls !== true) return false;
  return workload.plaintext === undefined || !isPlaintextPort(workload.plaintext, port);
}

export function hostRefused(cluster: string, host: string): ProxyError {
  const detail = `${host === '' ? 'no host' : host} may not be called by cluster ${cluster}`;
  return { source: 'internal', flag: 'NR', status: 502, retry: 'no', detail };
}

export function noCluster(detail: string): ProxyError {
  return { source: 'internal', flag: 'NC', status: 503, retry: 'no', detail };
}
