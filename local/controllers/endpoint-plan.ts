import type { Endpoint, EndpointPort, EndpointSlice, Pod, Service } from '../client/objects.ts';
import { matchesLabels } from './selector.ts';
import { isPodFinished, isPodReady } from './template.ts';

/** Which EndpointSlices a Service should have, from its pods; pure. */

export type AddressType = 'IPv4' | 'IPv6';

interface PlannedSlice {
  readonly name: string;
  readonly addressType: AddressType;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export const MANAGED_BY = 'endpointslice-controller.k8s.io';
const ENDPOINTS_PER_SLICE_MAX = 100;

export const isHeadless = (service: Service): boolean => service.spec.clusterIP === 'None';

function targetPortOf(pod: Pod, service: Service, index: number): number | undefined {
  const port = service.spec.ports?.[index];
  if (port === undefined) return undefined;
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  const protocol = port.protocol ?? 'TCP';
  const containers = [
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []).filter((item) => item.restartPolicy === 'Always'),
  ];
  return containers
    .flatMap((container) => container.ports ?? [])
    .find((item) => item.name === target && (item.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** The Service's ports as this pod serves them; ports that it does not name are left out. */
function portsOf(pod: Pod, service: Service): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port, index) => {
    const number = targetPortOf(pod, service, index);
    if (number === undefined) return [];
    return [
      {
        name: port.name ?? '',
        port: number,
        protocol: port.protocol ?? 'TCP',
        ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
      },
    ];
  });
}

const isV6 = (ip: string): boolean => ip.includes(':');

function endpointOf(pod: Pod, service: Service, ip: string, zone: string | undefined): Endpoint {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isPodReady(pod);
  return {
    addresses: [ip],
    conditions: {
      // A client that knows only `ready` must see a terminating pod as gone (EndpointConditions).
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(pod.spec.hostname !== undefined && pod.spec.subdomain === service.metadata.name
      ? { hostname: pod.spec.hostname }
      : {}),
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    ...(zone === undefined ? {} : { zone }),
    ...hintsOf(service, pod, zone, serving && !terminating),
    targetRef: {
      kind: 'Pod',
      name: pod.metadata.name,
      ...(pod.metadata.namespace === undefined ? {} : { namespace: pod.metadata.namespace }),
      ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }),
    },
  };
}

/** For the clients that are nearest to it, as the API server's own controller hints (KEP-3015); what is not ready has none. */
function hintsOf(service: Service, pod: Pod, zone: string | undefined, ready: boolean): Pick<Endpoint, 'hints'> {
  const { trafficDistribution } = service.spec;
  if (trafficDistribution === undefined || !ready) return {};
  const node = trafficDistribution === 'PreferSameNode' ? pod.spec.nodeName : undefined;
  if (zone === undefined && node === undefined) return {};
  return {
    hints: {
      ...(zone === undefined ? {} : { forZones: [{ name: zone }] }),
      ...(node === undefined ? {} : { forNodes: [{ name: node }] }),
    },
  };
}

export function planSlices(
  service: Service,
  pods: readonly Pod[],
  zoneOf: (nodeName: string) => string | undefined,
): PlannedSlice[] {
  const selector = service.spec.selector;
  if (selector === undefined || Object.keys(selector).length === 0 || service.spec.type === 'ExternalName') return [];
  const backends = pods
    .filter(
      (pod) => pod.metadata.namespace === service.metadata.namespace && matchesLabels(selector, pod.metadata.labels),
    )
    .filter((pod) => !isPodFinished(pod) && (pod.status?.podIPs ?? []).length > 0)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return (service.spec.ipFamilies ?? ['IPv4']).flatMap((family) =>
    planFamily(service, backends, family === 'IPv6' ? 'IPv6' : 'IPv4', zoneOf),
  );
}

function planFamily(
  service: Service,
  backends: readonly Pod[],
  addressType: AddressType,
  zoneOf: (nodeName: string) => string | undefined,
): PlannedSlice[] {
  // Pods may give one port name different numbers: each set of numbers is a slice of its own.
  const groups = new Map<string, { readonly ports: EndpointPort[]; readonly endpoints: Endpoint[] }>();
  for (const pod of backends) {
    const ip = pod.status?.podIPs?.find((item) => isV6(item.ip) === (addressType === 'IPv6'))?.ip;
    if (ip === undefined) continue;
    const ports = portsOf(pod, service);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(endpointOf(pod, service, ip, zoneOf(pod.spec.nodeName ?? '')));
  }
  // A Service without pods still has an empty slice: consumers tell "none" from "not known yet" by it.
  if (groups.size === 0)
    groups.set('', {
      ports: (service.spec.ports ?? []).map((port) => ({
        name: port.name ?? '',
        port: typeof port.targetPort === 'number' ? port.targetPort : port.port,
        protocol: port.protocol ?? 'TCP',
      })),
      endpoints: [],
    });
  const slices: PlannedSlice[] = [];
  for (const group of [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)) {
    for (let from = 0; from === 0 || from < group.endpoints.length; from += ENDPOINTS_PER_SLICE_MAX) {
      slices.push({
        name: `${service.metadata.name}-${addressType.toLowerCase()}-${slices.length}`,
        addressType,
        ports: group.ports,
        endpoints: group.endpoints.slice(from, from + ENDPOINTS_PER_SLICE_MAX),
      });
    }
  }
  return slices;
}

/** The legacy Endpoints object: the first family's addresses, ready and not. */
export function planEndpoints(slices: readonly PlannedSlice[]): unknown[] {
  const first = slices[0]?.addressType;
  return slices
    .filter((slice) => slice.addressType === first && slice.endpoints.length > 0)
    .map((slice) => {
      const addresses = (ready: boolean): unknown[] =>
        slice.endpoints
          .filter(
            (endpoint) => (endpoint.conditions?.ready === true) === ready && endpoint.conditions?.terminating !== true,
          )
          .map((endpoint) => ({
            ip: endpoint.addresses[0],
            ...(endpoint.hostname === undefined ? {} : { hostname: endpoint.hostname }),
            ...(endpoint.nodeName === undefined ? {} : { nodeName: endpoint.nodeName }),
            targetRef: endpoint.targetRef,
          }));
      const ready = addresses(true);
      const notReady = addresses(false);
      return {
        ...(ready.length === 0 ? {} : { addresses: ready }),
        ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
        ports: slice.ports.map((port) => (port.name === '' ? { port: port.port, protocol: port.protocol } : port)),
      };
    })
    .filter((subset) => 'addresses' in subset || 'notReadyAddresses' in subset);
}

export function sliceObject(service: Service, planned: PlannedSlice): EndpointSlice {
  const headless = isHeadless(service) ? { 'service.kubernetes.io/headless': '' } : {};
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: planned.name,
      ...(service.metadata.namespace === undefined ? {} : { namespace: service.metadata.namespace }),
      labels: {
        ...service.metadata.labels,
        ...headless,
        'kubernetes.io/service-name': service.metadata.name,
        'endpointslice.kubernetes.io/managed-by': MANAGED_BY,
      },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          name: service.metadata.name,
          uid: service.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    addressType: planned.addressType,
    endpoints: planned.endpoints,
    ports: planned.ports,
  };
}
