import type { SocketAddress } from '@weft/policies/model/address';
import type { Endpoint, EndpointAssignment } from '@weft/policies/model/cluster';
import type { EndpointSlice, Service } from '../index/core.ts';
import { keyOf } from '../index/objects.ts';
import { toldModes, usesMeshTls } from './authentication.ts';
import { identityOf, type TranslateContext, zoneOf } from './context.ts';
import { outboundName, type ServicePortRef } from './names.ts';

/** Endpoints of a Service port, from its slices; both address families. */
export function translateEndpoints(context: TranslateContext, ref: ServicePortRef): EndpointAssignment | undefined {
  const key = keyOf(ref.namespace, ref.service);
  const service = context.state.services.get(key);
  const port = service?.ports.find((one) => one.port === ref.port);
  if (service === undefined || port === undefined) return undefined;
  const byAddress = new Map<string, Endpoint>();
  /** A pod is one endpoint, though each family has a slice of its own with it. */
  const byPod = new Map<string, Endpoint>();
  for (const slice of byFamily(context.state.endpointSlices.by('service', key), service)) {
    const target = slice.ports.find((one) => one.name === port.name)?.port ?? 0;
    // A port without a number means "all ports" in the API; there is nothing to connect to.
    if (target === 0) continue;
    for (const endpoint of slice.endpoints) {
      const made = toEndpoint(context, service, slice, endpoint, target);
      if (made === undefined) continue;
      for (const ip of endpoint.addresses) {
        const address = { ip, port: target };
        const pod = endpoint.pod === '' ? undefined : `${endpoint.pod} ${target}`;
        const known = pod === undefined ? undefined : byPod.get(pod);
        const one = known === undefined ? { address, ...made } : withAlternative(known, address);
        byAddress.set(addressKey(one.address), one);
        if (pod !== undefined) byPod.set(pod, one);
      }
    }
  }
  const endpoints = [...byAddress].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
  return { clusterName: outboundName(ref), endpoints };
}

const addressKey = ({ ip, port }: SocketAddress): string => `${ip} ${port}`;

/** The Service's first family comes first: its addresses are what endpoints of both are known by. */
function byFamily(slices: readonly EndpointSlice[], service: Service): EndpointSlice[] {
  const first = service.firstFamily === 'v6' ? 'IPv6' : 'IPv4';
  const known = slices.filter(({ addressType }) => addressType !== 'FQDN');
  return [
    ...known.filter(({ addressType }) => addressType === first),
    ...known.filter(({ addressType }) => addressType !== first),
  ];
}

/** While slices are rewritten an address may be in two of them. */
function withAlternative(endpoint: Endpoint, address: SocketAddress): Endpoint {
  const { alternatives = [] } = endpoint;
  const known = [endpoint.address, ...alternatives].some((one) => addressKey(one) === addressKey(address));
  return known ? endpoint : { ...endpoint, alternatives: [...alternatives, address] };
}

function toEndpoint(
  context: TranslateContext,
  service: Service,
  slice: EndpointSlice,
  endpoint: EndpointSlice['endpoints'][number],
  port: number,
): Omit<Endpoint, 'address'> | undefined {
  const podKey = endpoint.pod === '' ? undefined : keyOf(slice.metadata.namespace, endpoint.pod);
  const pod = podKey === undefined ? undefined : context.state.pods.get(podKey);
  // The pod knows before its slice does: nothing new goes to it from the moment that its end is decided.
  const ending = endpoint.terminating || pod?.terminating === true;
  // EndpointConditions.ready: true of an endpoint that ends only where the Service publishes whatever there is.
  const leaving = ending && !(service.publishNotReady && endpoint.ready);
  if (leaving ? !endpoint.serving : !endpoint.ready) return undefined;
  const zone = endpoint.zone || zoneOf(context, endpoint.nodeName);
  return {
    weight: 1,
    priority: 0,
    zone,
    ...placeOf(service, endpoint, zone),
    health: leaving ? 'draining' : 'healthy',
    mtls: podKey !== undefined && pod?.meshed === true && usesMeshTls(toldModes(context, podKey, pod), port),
    spiffeId: pod === undefined ? undefined : identityOf(context, pod),
    workload: pod === undefined ? '' : keyOf(pod.metadata.namespace, pod.workload),
  };
}

/** Only what the Service's clients choose by: what they do not need would change for nothing. */
function placeOf(
  { locality }: Service,
  { nodeName, hints }: EndpointSlice['endpoints'][number],
  zone: string,
): Pick<Endpoint, 'node' | 'hints'> {
  if (locality === undefined) return {};
  const node = nodeName !== '' && (locality === 'local-node' || locality === 'prefer-node') ? { node: nodeName } : {};
  if (locality === 'local-node') return node;
  const nodes = locality === 'prefer-node' ? hints.nodes : [];
  // Kubernetes hints each endpoint for its own zone and node if it can: that need not be said.
  const own =
    locality !== 'zone-hints' && hints.zones.every((one) => one === zone) && nodes.every((one) => one === nodeName);
  return own ? node : { ...node, hints: { zones: hints.zones, nodes } };
}
