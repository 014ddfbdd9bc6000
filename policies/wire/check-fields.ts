import { isMessage } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { At } from './decoding.ts';
import { LoadBalancingPolicy_PolicySchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { registry } from './registry.ts';
import { supportedFieldsOf } from './supported-fields.ts';

/**
 * Walks over everything that is set in a message, extensions included, and refuses what Weft does not act on:
 * a setting that is silently without effect is worse than one that is refused.
 */
export function checkFields(message: ReflectMessage, at: At): void {
  const supported = supportedFieldsOf(message.desc.typeName);
  at.skip('a field number', message.getUnknown()?.length ?? 0);
  for (const field of message.sortedFields) {
    if (!message.isSet(field)) continue;
    const here = at.field(field.name);
    if (supported?.has(field.name) !== true) {
      here.fail(`${message.desc.name}.${field.name} is not supported by Weft`, undefined);
      continue;
    }
    if (field.fieldKind === 'message') {
      if (!isSkippedExtension(message, at)) checkMessage(message.get(field), here);
    } else if (field.fieldKind === 'list' && field.listKind === 'message') {
      let index = 0;
      for (const item of message.get(field)) if (isReflect(item)) checkMessage(item, here.index(index++));
    } else if (field.fieldKind === 'map' && field.mapKind === 'message') {
      for (const [key, item] of message.get(field)) if (isReflect(item)) checkMessage(item, here.key(String(key)));
    }
  }
}

const isReflect = (value: unknown): value is ReflectMessage =>
  typeof value === 'object' && value !== null && 'sortedFields' in value;

function checkMessage(message: ReflectMessage, at: At): void {
  if (isMessage(message.message, AnySchema)) {
    const any = message.message;
    const inner = at.decoding.unpack(any);
    const desc = inner === undefined ? undefined : registry.getMessage(inner.$typeName);
    if (inner === undefined || desc === undefined) {
      const known = registry.getMessage(any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1)) !== undefined;
      at.fail(
        known ? `malformed bytes for ${any.typeUrl}` : `extension "${any.typeUrl}" is not supported by Weft`,
        undefined,
      );
      return;
    }
    checkFields(reflect(desc, inner), at);
    return;
  }
  // Durations, wrappers and structs have no fields to choose from.
  if (!message.desc.typeName.startsWith('google.protobuf.')) checkFields(message, at);
}

/** An HTTP filter that we do not have and may do without, or a balancer that is passed over for the next one. */
function isSkippedExtension(message: ReflectMessage, at: At): boolean {
  const filter = message.message;
  if (isMessage(filter, LoadBalancingPolicy_PolicySchema)) {
    const config = filter.typedExtensionConfig?.typedConfig;
    return config !== undefined && at.decoding.unpack(config) === undefined;
  }
  if (!('isOptional' in filter && filter.isOptional === true && 'configType' in filter)) return false;
  const config = filter.configType;
  if (typeof config !== 'object' || config === null || !('value' in config)) return false;
  const any = config.value;
  return isMessage(any, AnySchema) && at.decoding.unpack(any) === undefined;
}
