import {
  create,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  toJson,
} from '@bufbuild/protobuf';
import type { Cluster, EndpointAssignment } from '../model/cluster.ts';
import type { Listener } from '../model/listener.ts';
import type { RouteConfiguration } from '../model/route.ts';
import { encodeCluster } from './cluster-encode.ts';
import { encodeEndpoints } from './endpoints.ts';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts';
import { isRecord } from './json-record.ts';
import { encodeListener } from './listener-encode.ts';
import { registry } from './registry.ts';
import { encodeRouteConfiguration } from './route-encode.ts';
import { typeUrls } from './type-urls.ts';

/** What stands in for the value of a secret. */
const REDACTED = '[redacted]';

/** A resource as Envoy's admin interface shows one: names as in the `.proto` files, its type, and no secrets. */
function shown<Desc extends DescMessage>(desc: Desc, init: MessageInitShape<Desc>, typeUrl: string): JsonObject {
  const json = toJson(desc, create(desc, init), { registry, useProtoFieldName: true });
  return { '@type': typeUrl, ...record(redact(json)) };
}

export const listenerJson = (listener: Listener): JsonObject =>
  shown(ListenerSchema, encodeListener(listener), typeUrls.listener);
export const clusterJson = (cluster: Cluster): JsonObject =>
  shown(ClusterSchema, encodeCluster(cluster), typeUrls.cluster);
export const routeJson = (route: RouteConfiguration): JsonObject =>
  shown(RouteConfigurationSchema, encodeRouteConfiguration(route), typeUrls.route);
export const endpointsJson = (assignment: EndpointAssignment): JsonObject =>
  shown(ClusterLoadAssignmentSchema, encodeEndpoints(assignment), typeUrls.endpoints);

const record = (json: JsonValue): JsonObject => (isRecord(json) ? json : {});

function redact(json: JsonValue): JsonValue {
  if (Array.isArray(json)) return json.map(redact);
  if (!isRecord(json)) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key, key === 'private_key' ? secret(value) : redact(value)]),
  );
}

/** Where a key lies may be shown, what it is may not. */
const secret = (source: JsonValue): JsonValue =>
  Object.fromEntries(
    Object.entries(record(source)).map(([key, value]) => [key, key === 'filename' ? value : REDACTED]),
  );
