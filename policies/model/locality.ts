/** Which endpoints of a Service a client is to use, by where both of them run. */
import type { Endpoint } from './cluster.ts';

/**
 * `prefer-zone`, `prefer-node`: the nearest that can take traffic, else those farther away (trafficDistribution).
 * `local-node`: those of the client's own node and no others (internalTrafficPolicy Local).
 * `zone-hints`: as the hints of the endpoints say, and only if all of them have some (topology-mode Auto).
 */
export type Locality = 'prefer-zone' | 'prefer-node' | 'local-node' | 'zone-hints';

/** Where a client runs; empty strings where it is not known, which is near to nothing. */
export interface Place {
  readonly zone: string;
  readonly node: string;
}

/** For whom an endpoint is meant, as Kubernetes decided when it wrote the slice (EndpointHints). */
export interface EndpointHints {
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

type Placed = Pick<Endpoint, 'zone' | 'node' | 'hints'>;

const onNode = ({ node = '', hints }: Placed, place: Place): boolean =>
  place.node !== '' && (hints !== undefined && hints.nodes.length > 0 ? hints.nodes : [node]).includes(place.node);

const inZone = ({ zone, hints }: Placed, place: Place): boolean =>
  place.zone !== '' && (hints !== undefined && hints.zones.length > 0 ? hints.zones : [zone]).includes(place.zone);

/** Where an endpoint really runs counts here, and not for whom it is meant. */
export const isOnNode = ({ node = '' }: Placed, place: Place): boolean => place.node !== '' && node === place.node;

export const TIERS = 3;

/** 0 is nearest. An endpoint of a higher tier is used where none of a lower one can take traffic. */
export function tierOf(endpoint: Placed, locality: Locality, place: Place): number {
  switch (locality) {
    case 'prefer-node':
      return onNode(endpoint, place) ? 0 : inZone(endpoint, place) ? 1 : 2;
    case 'prefer-zone':
    case 'zone-hints':
      return inZone(endpoint, place) ? 1 : 2;
    case 'local-node':
      return isOnNode(endpoint, place) ? 0 : 2;
  }
}

/** Hints count only if every endpoint has some: otherwise those without would get no traffic from anybody. */
export const ignoresHints = (endpoints: readonly Placed[], locality: Locality): boolean =>
  locality === 'zone-hints' && !endpoints.every(({ hints }) => hints !== undefined && hints.zones.length > 0);
