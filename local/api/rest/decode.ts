import { asObject, type JsonObject } from '../json.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';
import { builtinType } from '../schema/builtin.ts';
import { pruneRoot } from '../schema/prune.ts';
import { validateRoot } from '../schema/validate.ts';
import { badRequest } from '../status.ts';
import type { Call } from './context.ts';

/** From a parsed body to an object of the type: kind checked, unknown fields handled as `fieldValidation` asks, basic types right. */
export function decode(type: ResourceType, body: JsonObject, call: Call): JsonObject {
  const expected = groupVersion(type);
  body['apiVersion'] ??= expected;
  body['kind'] ??= type.kind;
  if (body['apiVersion'] !== expected) {
    throw badRequest(
      `the API version in the data (${body['apiVersion']}) does not match the expected API version (${expected})`,
    );
  }
  if (body['kind'] !== type.kind) {
    throw badRequest(
      `${body['kind']} in version "${type.version}" cannot be handled as a ${type.kind}: no kind "${body['kind']}" is registered for this resource`,
    );
  }
  const unknown = removeUnknown(type, body);
  reportUnknown(type, unknown, call);
  checkTypes(type, body);
  return body;
}

export function removeUnknown(type: ResourceType, object: JsonObject): string[] {
  const unknown = pruneRoot(object, type.schema, { dropNulls: !type.custom });
  if (!type.custom) return unknown;
  // The schema of a definition says nothing about metadata: it is ObjectMeta everywhere.
  const meta = asObject(object['metadata']);
  if (meta === undefined) return unknown;
  const unknownMeta = pruneRoot(meta, { ...builtinType('V1ObjectMeta'), additional: undefined }, { dropNulls: true });
  return [...unknown, ...unknownMeta.map((path) => `metadata.${path}`)];
}

const reportedMax = 100;

function reportUnknown(type: ResourceType, unknown: readonly string[], call: Call): void {
  if (unknown.length === 0 || call.fieldValidation === 'Ignore') return;
  const texts = unknown.slice(0, reportedMax).map((path) => `unknown field "${path}"`);
  if (call.fieldValidation === 'Warn') call.warnings.push(...texts);
  else {
    throw badRequest(
      `${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: strict decoding error: ${texts.join(', ')}`,
    );
  }
}

function checkTypes(type: ResourceType, object: JsonObject): void {
  const meta = validateRoot(asObject(object['metadata']) ?? {}, builtinType('V1ObjectMeta'));
  const problems = type.custom ? meta : [...meta, ...validateRoot(object, type.schema)];
  const problem = problems.find((cause) => cause.reason === 'FieldValueTypeInvalid');
  if (problem !== undefined) {
    throw badRequest(
      `${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: json: cannot unmarshal: ${problem.message}`,
    );
  }
}
