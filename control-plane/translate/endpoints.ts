import type { Endpoint, EndpointAssignment } from '@weft/policies/model/cluster';
import type { EndpointSlice } from '../index/core.ts';
import { keyOf } from '../index/objects.ts';
import { identityOf, type TranslateContext, zoneOf } from './context.ts';
import { outboundName, type ServicePortRef } from './names.ts';

/** Endpoints of a Service port, from its slices; both address families. */
export function translateEndpoints(context: TranslateContext, ref: ServicePortRef): EndpointAssignment | undefined {
  const key = keyOf(ref.namespace, ref.service);
  const port = context.state.services.get(key)?.ports.find((one) => one.port === ref.port);
  if (port === undefined) return undefined;
  const byAddress = new Map<string, Endpoint>();
  for (const slice of context.state.endpointSlices.by('service', key)) {
    if (slice.addressType === 'FQDN') continue;
    const target = slice.ports.find((one) => one.name === port.name)?.port ?? 0;
    // A port without a number means "all ports" in the API; there is nothing to connect to.
    if (target === 0) continue;
    for (const endpoint of slice.endpoints) {
      for (const ip of endpoint.addresses) {
        const made = toEndpoint(context, slice, endpoint, ip, target);
        if (made !== undefined) byAddress.set(`${ip} ${target}`, made);
      }
    }
  }
  const endpoints = [...byAddress].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
  return { clusterName: outboundName(ref), endpoints };
}

function toEndpoint(
  context: TranslateContext,
  slice: EndpointSlice,
  endpoint: EndpointSlice['endpoints'][number],
  ip: string,
  port: number,
): Endpoint | undefined {
  const podKey = endpoint.pod === '' ? undefined : keyOf(slice.metadata.namespace, endpoint.pod);
  const pod = podKey === undefined ? undefined : context.state.pods.get(podKey);
  // The pod knows before its slice does: nothing new goes to it from the moment that its end is decided.
  const leaving = endpoint.terminating || pod?.terminating === true;
  if (leaving ? !endpoint.serving : !endpoint.ready) return undefined;
  return {
    address: { ip, port },
    weight: 1,
    priority: 0,
    zone: endpoint.zone || zoneOf(context, endpoint.nodeName),
    health: leaving ? 'draining' : 'healthy',
    mtls: pod?.meshed ?? false,
    spiffeId: pod === undefined ? undefined : identityOf(context, pod),
    workload: pod === undefined ? '' : keyOf(pod.metadata.namespace, pod.workload),
  };
}
