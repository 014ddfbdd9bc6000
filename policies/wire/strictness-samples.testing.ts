import assert from 'node:assert/strict';
import { type DescMessage, fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import type { ResourceKind } from '../model/snapshot.ts';
import type { WireError } from './decoding.ts';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts';
import { SecretSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import { AddressSchema } from './gen/weft/v1/address_pb.ts';
import { registry } from './registry.ts';
import { decodeResource } from './resource.ts';
import { typeUrls } from './type-urls.ts';

export const schemas = {
  secret: SecretSchema,
  listener: ListenerSchema,
  route: RouteConfigurationSchema,
  cluster: ClusterSchema,
  endpoints: ClusterLoadAssignmentSchema,
  address: AddressSchema,
} as const satisfies Record<ResourceKind, DescMessage>;

export const decode = (kind: ResourceKind, json: JsonObject) =>
  decodeResource(typeUrls[kind], toBinary(schemas[kind], fromJson(schemas[kind], json, { registry })));

export function errorsOf(kind: ResourceKind, json: JsonObject): readonly WireError[] {
  const decoded = decode(kind, json);
  assert.ok(!decoded.ok, 'was accepted');
  return decoded.error;
}

/** A message that Weft does not act on is compiled as its bytes: this is an empty one, set. */
export const empty = '';

export const type = (name: string): JsonObject => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` });
export const router = { name: 'router', typed_config: type('filters.http.router.v3.Router') };
export const action: JsonObject = { match: { prefix: '/' }, route: { cluster: 'c' } };
export const routes = (route: JsonObject = action): JsonObject => ({
  name: 'r',
  virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route] }],
});
export const manager = (change: JsonObject = {}): JsonObject => ({
  ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
  stat_prefix: 's',
  route_config: routes(),
  http_filters: [router],
  ...change,
});
export const listener = (hcm: JsonObject = manager(), change: JsonObject = {}): JsonObject => ({
  name: 'l',
  address: { socket_address: { address: '127.0.0.1', port_value: 1 } },
  filter_chains: [{ filters: [{ name: 'f', typed_config: hcm }] }],
  ...change,
});
export const cluster = (change: JsonObject = {}): JsonObject => ({
  name: 'c',
  type: 'STATIC',
  load_assignment: { cluster_name: 'c' },
  ...change,
});
export const endpoints = (endpoint: JsonObject): JsonObject => ({
  cluster_name: 'c',
  endpoints: [
    {
      lb_endpoints: [
        { endpoint: { address: { socket_address: { address: '10.0.0.1', port_value: 80 } } }, ...endpoint },
      ],
    },
  ],
});

export const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
export const httpOptions = `typed_extension_protocol_options["${HTTP_OPTIONS}"]`;
export const upstreamOptions = (fields: JsonObject): JsonObject => ({
  typed_extension_protocol_options: {
    [HTTP_OPTIONS]: { ...type('upstreams.http.v3.HttpProtocolOptions'), ...fields },
  },
});
export const chain = 'filter_chains[0].filters[0].typed_config';
export const route = 'virtual_hosts[0].routes[0]';

export const ownPolicy = (value: JsonObject): JsonObject => ({
  typed_extension_config: {
    name: 'weft.dev/load-balancing',
    typed_config: {
      '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
      type_url: 'type.googleapis.com/weft.v1.LoadBalancing',
      value,
    },
  },
});
