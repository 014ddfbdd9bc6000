import type { DescEnum, DescField, JsonValue } from '@bufbuild/protobuf';
import { isRecord } from './json-record.ts';

/**
 * Names of a field's enum values in any case, as Envoy reads a file (`type: strict_dns`), made those that are declared.
 * What is not as the field wants it stays as it is, for whoever checks it.
 */
export function withEnumNames(field: DescField, value: JsonValue): JsonValue {
  const type = field.enum;
  if (type === undefined) return value;
  if (field.fieldKind === 'list') return Array.isArray(value) ? value.map((item) => enumValue(type, item)) : value;
  if (field.fieldKind !== 'map') return enumValue(type, value);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, enumValue(type, item)]));
}

function enumValue({ values }: DescEnum, value: JsonValue): JsonValue {
  if (typeof value !== 'string' || values.some(({ name }) => name === value)) return value;
  const upper = value.toUpperCase();
  return values.find(({ name }) => name.toUpperCase() === upper)?.name ?? value;
}
