/**
 * Everything of protobuf that a sidecar of a mesh needs, behind one door: a program of its own, which is loaded when there
 * is something to read and let go when there has been nothing for a while (`door.ts`).
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { SignRequestSchema, SignResponseSchema } from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { decodeResource } from '@weft/policies/wire/resource';
import type { SignedChain } from '../identity/manager.ts';
import type {
  Decoded,
  DeltaEffect,
  DeltaNode,
  DeltaRequest,
  DeltaResponse,
  ReceivedResource,
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

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function encodeRequest(request: DeltaRequest, node: DeltaNode | undefined): Buffer {
  const message = create(DeltaDiscoveryRequestSchema, {
    typeUrl: request.typeUrl,
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: request.heldVersions,
    responseNonce: request.nonce,
    ...(node === undefined
      ? {}
      : { node: { id: node.id, userAgentName: 'weft', clientFeatures: [...node.clientFeatures] } }),
    ...(request.refusal === ''
      ? {}
      : { errorDetail: { code: INVALID_ARGUMENT, message: request.refusal.slice(0, NACK_MESSAGE_LENGTH_MAX) } }),
  });
  return buffer(toBinary(DeltaDiscoveryRequestSchema, message));
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
    unknownFields += decoded.value.unknownFields;
    accepted.push(resource);
    changes.push({ kind, name: resource.name, entry: { value: decoded.value.value } } as Change);
  }
  for (const name of effect.removals) changes.push({ kind, name, entry: { absent: true } } as Change);
  return { changes, accepted, errors, unknownFields };
}

export const controlWire: ControlWire = {
  encodeRequest,
  decodeResponse,
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
