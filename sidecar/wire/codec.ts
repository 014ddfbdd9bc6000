/**
 * Everything of protobuf that a sidecar of a mesh needs, behind one door: a program of its own, which is loaded when there
 * is something to read and let go when there has been nothing for a while (`door.ts`).
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { ClusterLoadAssignmentSchema } from '@weft/policies/wire/gen/envoy/config/endpoint/v3/endpoint_pb';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  ResourceSchema,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { SignRequestSchema, SignResponseSchema } from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { decodeResource } from '@weft/policies/wire/resource';
import { typeUrls } from '@weft/policies/wire/type-urls';
import type { SignedChain } from '../identity/manager.ts';
import type {
  Decoded,
  DeltaEffect,
  DeltaNode,
  DeltaRequest,
  DeltaResponse,
  ReceivedResource,
  StateRequest,
  StateResponse,
  XdsWire,
} from '../xds/messages.ts';
import type { Change } from '../xds/table-source.ts';
import { decodeHeld, encodeHeld } from './held.ts';

/** Of xDS, and of the certificate authority. */
export interface ControlWire extends XdsWire {
  encodeSignRequest(csr: Uint8Array): Buffer;
  decodeSignResponse(bytes: Buffer): SignedChain;
}

/** google.rpc.Code.INVALID_ARGUMENT, what Envoy puts into a NACK. */
const INVALID_ARGUMENT = 3;
const NACK_MESSAGE_LENGTH_MAX = 4_000;
/** In which a response may put a resource, to say its name beside it. */
const RESOURCE_WRAPPER = '/envoy.service.discovery.v3.Resource';

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function encodeRequest(request: DeltaRequest, node: DeltaNode | undefined): Buffer {
  const message = create(DeltaDiscoveryRequestSchema, {
    typeUrl: request.typeUrl,
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: request.heldVersions,
    responseNonce: request.nonce,
    ...encodeNode(node),
    ...encodeRefusal(request.refusal),
  });
  return buffer(toBinary(DeltaDiscoveryRequestSchema, message));
}

const encodeNode = (node: DeltaNode | undefined) =>
  node === undefined
    ? {}
    : {
        node: {
          id: node.id,
          cluster: node.cluster,
          ...(node.metadata === undefined ? {} : { metadata: node.metadata }),
          ...(node.locality === undefined ? {} : { locality: node.locality }),
          userAgentName: 'weft',
          clientFeatures: [...node.clientFeatures],
        },
      };

const encodeRefusal = (refusal: string) =>
  refusal === '' ? {} : { errorDetail: { code: INVALID_ARGUMENT, message: refusal.slice(0, NACK_MESSAGE_LENGTH_MAX) } };

function encodeStateRequest(request: StateRequest, node: DeltaNode | undefined): Buffer {
  const message = create(DiscoveryRequestSchema, {
    typeUrl: request.typeUrl,
    versionInfo: request.version,
    resourceNames: [...request.names],
    responseNonce: request.nonce,
    ...encodeNode(node),
    ...encodeRefusal(request.refusal),
  });
  return buffer(toBinary(DiscoveryRequestSchema, message));
}

function decodeStateResponse(bytes: Buffer): StateResponse {
  const { typeUrl, nonce, versionInfo, resources } = fromBinary(DiscoveryResponseSchema, bytes);
  return {
    typeUrl,
    nonce,
    version: versionInfo,
    resources: resources.map(({ typeUrl: type, value }) => {
      const wrapped = type.endsWith(RESOURCE_WRAPPER) ? fromBinary(ResourceSchema, value) : undefined;
      const resource = wrapped === undefined ? value : (wrapped.resource?.value ?? new Uint8Array());
      // Of another type there is none.
      const its = wrapped === undefined ? type : wrapped.resource?.typeUrl;
      const name = its === typeUrl ? wrapped?.name || nameOf(typeUrl, resource) : '';
      return { name, version: versionInfo, bytes: resource };
    }),
  };
}

/** Incremental xDS says it beside the resource; here it is in it. Empty where it cannot be read. */
function nameOf(typeUrl: string, bytes: Uint8Array): string {
  if (typeUrl !== typeUrls.endpoints) return '';
  try {
    return fromBinary(ClusterLoadAssignmentSchema, bytes).clusterName;
  } catch {
    return '';
  }
}

function decodeResponse(bytes: Buffer): DeltaResponse {
  const { typeUrl, nonce, resources, removedResources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return {
    typeUrl,
    nonce,
    resources: resources.map(({ name, version, resource }) => ({
      name,
      version,
      bytes: resource?.value ?? new Uint8Array(),
    })),
    removed: removedResources,
  };
}

function decodeEffect(kind: ResourceKind, typeUrl: string, effect: DeltaEffect): Decoded {
  const changes: Change[] = [];
  const accepted: ReceivedResource[] = [];
  const errors: string[] = [];
  let unknownFields = 0;
  for (const resource of effect.upserts) {
    const decoded = decodeResource(typeUrl, resource.bytes);
    if (!decoded.ok) {
      for (const error of decoded.error) errors.push(`${resource.name}: ${error.path}: ${error.message}`);
      continue;
    }
    const { name, unknownFields: passedOver } = decoded.value;
    // As which they go everywhere else.
    if (kind === 'endpoints' && name !== resource.name) {
      errors.push(`${resource.name}: cluster_name: is "${name}"`);
      continue;
    }
    unknownFields += passedOver;
    accepted.push(resource);
    changes.push({ kind, name: resource.name, entry: { value: decoded.value.value } } as Change);
  }
  for (const name of effect.removals) changes.push({ kind, name, entry: { absent: true } } as Change);
  return { changes, accepted, errors, unknownFields };
}

export const controlWire: ControlWire = {
  encodeRequest,
  decodeResponse,
  encodeStateRequest,
  decodeStateResponse,
  decodeEffect,
  encodeHeld,
  decodeHeld,
  encodeSignRequest: (csr) => buffer(toBinary(SignRequestSchema, create(SignRequestSchema, { csr }))),
  decodeSignResponse(bytes) {
    const response = fromBinary(SignResponseSchema, bytes);
    return {
      chain: response.certificateChain,
      trustAnchors: response.trustAnchors,
      authorityUnixMs: Number(response.nowUnixMs),
    };
  },
};
