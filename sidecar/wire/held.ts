import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { DeltaDiscoveryResponseSchema } from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import type { HeldResources, ReceivedResource } from '../xds/messages.ts';

/**
 * Container format: for each type its length (u32), then a DeltaDiscoveryResponse. Envoy's own message is used, so
 * that one decoder reads both, and a damaged file is refused by it.
 */
export function encodeHeld(held: HeldResources, typeUrlOf: (kind: ResourceKind) => string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [kind, resources] of held) {
    const message = toBinary(
      DeltaDiscoveryResponseSchema,
      create(DeltaDiscoveryResponseSchema, {
        typeUrl: typeUrlOf(kind),
        resources: [...resources.values()].map((resource) => ({
          name: resource.name,
          version: resource.version,
          resource: { typeUrl: typeUrlOf(kind), value: resource.bytes },
        })),
      }),
    );
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.length);
    parts.push(length, message);
  }
  return Buffer.concat(parts);
}

/** Undefined when the bytes are not a whole file of this format. */
export function decodeHeld(bytes: Uint8Array): ReadonlyMap<string, readonly ReceivedResource[]> | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const held = new Map<string, readonly ReceivedResource[]>();
  let at = 0;
  while (at < buffer.length) {
    if (at + 4 > buffer.length) return undefined;
    const end = at + 4 + buffer.readUInt32BE(at);
    if (end > buffer.length) return undefined;
    try {
      const response = fromBinary(DeltaDiscoveryResponseSchema, buffer.subarray(at + 4, end));
      held.set(
        response.typeUrl,
        response.resources.map((resource) => ({
          name: resource.name,
          version: resource.version,
          // A copy: a view would keep the whole file in memory.
          bytes: Uint8Array.from(resource.resource?.value ?? []),
        })),
      );
    } catch {
      return undefined;
    }
    at = end;
  }
  return held;
}
