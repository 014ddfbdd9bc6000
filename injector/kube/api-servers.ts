import type { CoreV1Api, DiscoveryV1Api } from '@kubernetes/client-node';
import { withDeadline } from './client.ts';

const formatEndpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** Every address that the API is served at, Service and endpoints, as `weft-init` takes them; sorted, so that pods of one template are alike. */
export async function readApiServers(core: CoreV1Api, discovery: DiscoveryV1Api): Promise<readonly string[]> {
  const namespace = 'default';
  const [service, slices] = await Promise.all([
    withDeadline('service kubernetes', core.readNamespacedService({ namespace, name: 'kubernetes' })),
    withDeadline(
      'endpoints of kubernetes',
      discovery.listNamespacedEndpointSlice({ namespace, labelSelector: 'kubernetes.io/service-name=kubernetes' }),
    ),
  ]);
  const found = new Set<string>();
  for (const address of service.spec?.clusterIPs ?? [])
    for (const { port } of service.spec?.ports ?? []) found.add(formatEndpoint(address, port));
  for (const slice of slices.items) {
    if (slice.addressType === 'FQDN') continue;
    for (const { port } of slice.ports ?? [])
      if (port !== undefined)
        for (const address of (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses))
          found.add(formatEndpoint(address, port));
  }
  return [...found].toSorted();
}
