import type { DescEnum, DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import { registry } from './registry.ts';

/**
 * Names of enum values in any case, as Envoy reads a file (`type: strict_dns`), made those that are declared. What is
 * not as the message wants it stays as it is, for whoever checks it.
 */
export function withEnumNames(desc: DescMessage, json: JsonValue, depth = 0): JsonValue {
  if (!isRecord(json) || depth > DEPTH_MAX) return json;
  if (desc.typeName === 'google.protobuf.Any') {
    const type = json['@type'];
    const inner = typeof type === 'string' ? registry.getMessage(type.slice(type.lastIndexOf('/') + 1)) : undefined;
    return inner === undefined ? json : withEnumNames(inner, json, depth + 1);
  }
  // Those have JSON forms of their own.
  if (desc.typeName.startsWith('google.protobuf.')) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => {
      const field = desc.fields.find(({ name, jsonName }) => name === key || jsonName === key);
      return [key, field === undefined ? value : fieldValue(field, value, depth + 1)];
    }),
  );
}

/** Deeper is refused by its path. */
const DEPTH_MAX = 200;

function fieldValue(field: DescField, value: JsonValue, depth: number): JsonValue {
  const one = (item: JsonValue): JsonValue => {
    if (field.enum !== undefined && field.enum !== null) return enumValue(field.enum, item);
    return field.message === undefined || field.message === null ? item : withEnumNames(field.message, item, depth);
  };
  if (field.fieldKind === 'list') return Array.isArray(value) ? value.map(one) : value;
  if (field.fieldKind !== 'map') return one(value);
  return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, one(item)])) : value;
}

function enumValue({ values }: DescEnum, value: JsonValue): JsonValue {
  if (typeof value !== 'string' || values.some(({ name }) => name === value)) return value;
  const upper = value.toUpperCase();
  return values.find(({ name }) => name.toUpperCase() === upper)?.name ?? value;
}

const isRecord = (json: JsonValue): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);
