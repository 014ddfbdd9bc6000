/** Discovery responses put together from resources that are encoded already: each is encoded once for all streams. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';

/** Field 2, length-delimited: `resources` in both kinds of response (protobuf encoding, "Message Structure"). */
const resourcesTag = 0x12;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}

/** Fields may come in any order, so that the resources can follow what was encoded before them. */
function withResources(head: Uint8Array, resources: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [head];
  for (const resource of resources) {
    parts.push(Uint8Array.from([resourcesTag, ...varint(resource.length)]), resource);
  }
  return Buffer.concat(parts);
}

export function deltaResponse(parts: {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly systemVersionInfo: string;
  readonly resources: readonly Uint8Array[];
  readonly removedResources: readonly string[];
}): Buffer {
  const { typeUrl, nonce, systemVersionInfo } = parts;
  const head = create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce,
    systemVersionInfo,
    removedResources: [...parts.removedResources],
  });
  return withResources(toBinary(DeltaDiscoveryResponseSchema, head), parts.resources);
}

export function sotwResponse(parts: {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly versionInfo: string;
  readonly resources: readonly Uint8Array[];
}): Buffer {
  const { typeUrl, nonce, versionInfo } = parts;
  const head = create(DiscoveryResponseSchema, { typeUrl, nonce, versionInfo });
  return withResources(toBinary(DiscoveryResponseSchema, head), parts.resources);
}
