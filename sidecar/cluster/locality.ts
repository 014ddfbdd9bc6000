/** Which of a cluster's endpoints a client in this place uses: a pure choice before the balancer's. */
import type { Endpoint } from '@weft/policies/model/cluster';
import { ignoresHints, isOnNode, type Locality, type Place, TIERS, tierOf } from '@weft/policies/model/locality';
import type { Host } from './host.ts';

/** Where the sidecar runs, and the address families that its pod has. */
export interface OwnPlace extends Place {
  readonly v4: boolean;
  readonly v6: boolean;
}

/** Near to nothing, and able to reach everything. */
export const nowhere: OwnPlace = { zone: '', node: '', v4: true, v6: true };

/**
 * Endpoints that may be used at all, each by an address that can be reached. One that has none is left out as long as
 * there are others: a connection to it would fail, but that says more than "no endpoint".
 */
export function endpointsInReach(
  endpoints: readonly Endpoint[],
  locality: Locality | undefined,
  place: OwnPlace,
): readonly Endpoint[] {
  const local = locality === 'local-node' ? endpoints.filter((one) => isOnNode(one, place)) : endpoints;
  if (place.v4 && place.v6) return local;
  const reached = local.flatMap((one) => byReachableAddress(one, place) ?? []);
  return reached.length > 0 ? reached : local;
}

const isReachable = (ip: string, place: OwnPlace): boolean => (ip.includes(':') ? place.v6 : place.v4);

function byReachableAddress(endpoint: Endpoint, place: OwnPlace): Endpoint | undefined {
  if (isReachable(endpoint.address.ip, place)) return endpoint;
  const address = endpoint.alternatives?.find(({ ip }) => isReachable(ip, place));
  return address === undefined ? undefined : { ...endpoint, address };
}

/** Of the endpoints that can take traffic, the nearest. */
export function nearestHosts(
  hosts: readonly Host[],
  locality: Locality | undefined,
  place: Place,
  all: readonly Endpoint[],
): readonly Host[] {
  if (locality === undefined || locality === 'local-node') return hosts;
  if (
    ignoresHints(
      all.filter(({ health }) => health === 'healthy'),
      locality,
    )
  )
    return hosts;
  for (let tier = 0; tier < TIERS; tier++) {
    const near = hosts.filter((host) => tierOf(host.endpoint, locality, place) === tier);
    if (near.some(({ weight }) => weight > 0)) return near;
  }
  return hosts;
}
