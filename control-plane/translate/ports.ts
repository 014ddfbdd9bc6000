import type { AppProtocol } from '@weft/policies/model/address';
import type { Pod, Service, ServicePortSpec } from '../index/core.ts';
import type { ClusterState } from '../index/state.ts';
import { protocolOf } from './protocol.ts';

export interface PodPort {
  readonly port: number;
  readonly protocol: AppProtocol;
}

/** The number that a Service port means on this pod: a name stands for the container port of that name. */
export function targetPortOf(port: ServicePortSpec, pod: Pod): number | undefined {
  if (typeof port.targetPort === 'number') return port.targetPort;
  return pod.ports.find((one) => one.name === port.targetPort)?.port;
}

/**
 * What a Service port speaks, to its clients and to its pods alike: opaque bytes where the Service or one of its pods
 * says so, whatever name or appProtocol the port has. One pod is enough: bytes pass at the others too, while what they
 * mean may be lost if they are looked at.
 */
export function servicePortProtocol(state: ClusterState, service: Service, port: ServicePortSpec): AppProtocol {
  if (service.opaquePorts.includes(port.port)) return 'tcp';
  for (const pod of state.opaquePodsOf(service)) {
    const target = targetPortOf(port, pod);
    if (target !== undefined && pod.opaquePorts.includes(target)) return 'tcp';
  }
  return protocolOf(port);
}

/**
 * Ports of a pod with their protocols, by number: what Services say about them counts for more than the names of
 * container ports. Services that disagree leave it to detection, and what the pod says is opaque is.
 */
export function podPorts(state: ClusterState, pod: Pod): PodPort[] {
  const protocols = new Map<number, AppProtocol>();
  for (const service of state.servicesSelecting(pod)) {
    for (const port of service.ports) {
      const target = targetPortOf(port, pod);
      if (target === undefined) continue;
      const protocol = servicePortProtocol(state, service, port);
      const known = protocols.get(target);
      protocols.set(target, known === undefined || known === protocol ? protocol : 'detect');
    }
  }
  for (const port of pod.ports) {
    if (!protocols.has(port.port)) protocols.set(port.port, protocolOf({ name: port.name, appProtocol: '' }));
  }
  for (const port of pod.opaquePorts) protocols.set(port, 'tcp');
  return [...protocols].sort(([a], [b]) => a - b).map(([port, protocol]) => ({ port, protocol }));
}
