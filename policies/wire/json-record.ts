import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

export const isRecord = (json: JsonValue): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);
