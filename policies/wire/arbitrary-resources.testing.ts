/** Any value of the model that the wire can carry, for property tests of what encodes or consumes it. */
import type fc from 'fast-check';
import type { ResourceKind, ResourceMap } from '../model/snapshot.ts';
import { address } from './arbitrary-addresses.testing.ts';
import { cluster, endpoints } from './arbitrary-clusters.testing.ts';
import { withHealthChecks } from './arbitrary-health.testing.ts';
import { listener, traced } from './arbitrary-listeners.testing.ts';
import { routeConfiguration } from './arbitrary-routes.testing.ts';
import { trustSecret } from './arbitrary-trust.testing.ts';

/** Records of fast-check have no prototype now and then; a clone always has the usual one. */
const plain = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> => arbitrary.map((value) => structuredClone(value));

export const arbitraryResources: { readonly [K in ResourceKind]: fc.Arbitrary<ResourceMap[K]> } = {
  secret: plain(trustSecret),
  address: plain(address),
  listener: plain(traced(listener)),
  route: plain(routeConfiguration),
  cluster: plain(withHealthChecks(cluster)),
  endpoints: plain(endpoints),
};
