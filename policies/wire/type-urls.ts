import type { ResourceKind } from '../model/snapshot.ts';

/** xDS resource types (v3 API; `weft.v1.Address` is our own). */
export const typeUrls = {
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  address: 'type.googleapis.com/weft.v1.Address',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
} as const satisfies Record<ResourceKind, string>;

export type TypeUrl = (typeof typeUrls)[ResourceKind];

/** In make-before-break order: what is named comes before what names it. */
export const resourceKinds = [
  'secret',
  'cluster',
  'endpoints',
  'listener',
  'route',
  'address',
] as const satisfies ResourceKind[];

export const kindOf = (typeUrl: string): ResourceKind | undefined =>
  resourceKinds.find((kind) => typeUrls[kind] === typeUrl);
