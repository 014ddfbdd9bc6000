import { createHash } from 'node:crypto';
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { errorText } from '../kit/error-text.ts';
import { err, ok, type Result } from '../kit/result.ts';
import type { ResourceKind, ResourceMap } from '../model/snapshot.ts';
import { decodeAddress, encodeAddress } from './address.ts';
import { checkFields } from './check-fields.ts';
import { decodeCluster } from './cluster-decode.ts';
import { encodeCluster } from './cluster-encode.ts';
import { type At, Decoding, type WireError } from './decoding.ts';
import { decodeEndpoints, encodeEndpoints } from './endpoints.ts';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts';
import { SecretSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import { AddressSchema } from './gen/weft/v1/address_pb.ts';
import { decodeListener } from './listener-decode.ts';
import { encodeListener } from './listener-encode.ts';
import { decodeRouteConfiguration } from './route-decode.ts';
import { encodeRouteConfiguration } from './route-encode.ts';
import { decodeSecret, encodeSecret } from './secret.ts';
import { kindOf, type TypeUrl, typeUrls } from './type-urls.ts';

export type { WireError } from './decoding.ts';

export interface EncodedResource {
  readonly typeUrl: TypeUrl;
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A resource as it came, by kind. `name` is empty for an address, which does not hold its own: it is the xDS name. */
export type DecodedResource = {
  readonly [K in ResourceKind]: {
    readonly kind: K;
    readonly name: string;
    readonly value: ResourceMap[K];
    /** What was passed over, because a later version of the API knows it and this one does not. */
    readonly unknownFields: number;
  };
}[ResourceKind];

interface Codec<K extends ResourceKind, Desc extends DescMessage> {
  readonly schema: Desc;
  encode(value: ResourceMap[K]): MessageInitShape<Desc>;
  decode(message: MessageShape<Desc>, at: At): ResourceMap[K];
  name(message: MessageShape<Desc>): string;
}

interface BinaryCodec<K extends ResourceKind> {
  toBytes(value: ResourceMap[K]): Uint8Array;
  fromBytes(bytes: Uint8Array, decoding: Decoding): { readonly name: string; readonly value: ResourceMap[K] };
}

const binary = <K extends ResourceKind, Desc extends DescMessage>(codec: Codec<K, Desc>): BinaryCodec<K> => ({
  toBytes: (value) => toBinary(codec.schema, create(codec.schema, codec.encode(value))),
  fromBytes(bytes, decoding) {
    const message = fromBinary(codec.schema, bytes);
    const at = decoding.at('');
    checkFields(reflect(codec.schema, message), at);
    return { name: codec.name(message), value: codec.decode(message, at) };
  },
});

const codecs: { readonly [K in ResourceKind]: BinaryCodec<K> } = {
  secret: binary<'secret', typeof SecretSchema>({
    schema: SecretSchema,
    encode: encodeSecret,
    decode: decodeSecret,
    name: ({ name }) => name,
  }),
  address: binary<'address', typeof AddressSchema>({
    schema: AddressSchema,
    encode: encodeAddress,
    decode: decodeAddress,
    name: () => '',
  }),
  listener: binary<'listener', typeof ListenerSchema>({
    schema: ListenerSchema,
    encode: encodeListener,
    decode: decodeListener,
    name: ({ name }) => name,
  }),
  route: binary<'route', typeof RouteConfigurationSchema>({
    schema: RouteConfigurationSchema,
    encode: encodeRouteConfiguration,
    decode: decodeRouteConfiguration,
    name: ({ name }) => name,
  }),
  cluster: binary<'cluster', typeof ClusterSchema>({
    schema: ClusterSchema,
    encode: encodeCluster,
    decode: decodeCluster,
    name: ({ name }) => name,
  }),
  endpoints: binary<'endpoints', typeof ClusterLoadAssignmentSchema>({
    schema: ClusterLoadAssignmentSchema,
    encode: encodeEndpoints,
    decode: decodeEndpoints,
    name: ({ clusterName }) => clusterName,
  }),
};

/** The same model gives the same bytes. `name` is the xDS resource name: the model's own, and the IP for an address. */
export const encodeResource = <K extends ResourceKind>(
  kind: K,
  name: string,
  value: ResourceMap[K],
): EncodedResource => ({ typeUrl: typeUrls[kind], name, bytes: codecs[kind].toBytes(value) });

/** Every error is named by its path; nothing is half applied. */
export function decodeResource(typeUrl: string, bytes: Uint8Array): Result<DecodedResource, readonly WireError[]> {
  const kind = kindOf(typeUrl);
  if (kind === undefined) return err([{ path: '', message: `resource type "${typeUrl}" is not known` }]);
  const decoding = new Decoding();
  try {
    const decoded = decodeKind(kind, bytes, decoding);
    return decoding.errors.length > 0 ? err(decoding.errors) : ok(decoded);
  } catch (error) {
    const reason = errorText(error);
    return err([{ path: '', message: `malformed bytes for ${typeUrl}: ${reason}` }]);
  }
}

function decodeKind(kind: ResourceKind, bytes: Uint8Array, decoding: Decoding): DecodedResource {
  const rest = () => ({ unknownFields: decoding.unknownFields });
  switch (kind) {
    case 'secret':
      return { kind, ...codecs.secret.fromBytes(bytes, decoding), ...rest() };
    case 'address':
      return { kind, ...codecs.address.fromBytes(bytes, decoding), ...rest() };
    case 'listener':
      return { kind, ...codecs.listener.fromBytes(bytes, decoding), ...rest() };
    case 'route':
      return { kind, ...codecs.route.fromBytes(bytes, decoding), ...rest() };
    case 'cluster':
      return { kind, ...codecs.cluster.fromBytes(bytes, decoding), ...rest() };
    case 'endpoints':
      return { kind, ...codecs.endpoints.fromBytes(bytes, decoding), ...rest() };
  }
}

/** Short, and equal for equal bytes: the version of a resource over xDS. */
export const resourceVersion = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
