import { asArray, asStrings, canonical, clone, equal, isObject, type Json, type JsonObject } from '../json.ts';
import { emptyNode, type SchemaNode } from '../schema/node.ts';

/**
 * Strategic merge patch: a merge patch in which lists whose schema has a merge key merge item by item, with the directives `$patch`,
 * `$retainKeys`, `$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>`.
 */
export function applyStrategicPatch(target: JsonObject, patch: JsonObject, schema: SchemaNode): JsonObject {
  return mergeObject(target, patch, schema);
}

const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

function childNode(schema: SchemaNode, key: string): SchemaNode {
  const property = schema.properties?.[key];
  if (property !== undefined) return property;
  return schema.additional === undefined || schema.additional === true ? emptyNode : schema.additional;
}

function withoutDirectives(value: Json): Json {
  if (Array.isArray(value))
    return value.filter((item) => !(isObject(item) && item['$patch'] !== undefined)).map(withoutDirectives);
  if (!isObject(value)) return clone(value);
  const out: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (!key.startsWith('$') && item !== undefined && item !== null) out[key] = withoutDirectives(item);
  }
  return out;
}

function mergeObject(target: JsonObject, patch: JsonObject, schema: SchemaNode): JsonObject {
  if (patch['$patch'] === 'replace') return asPlain(withoutDirectives({ ...patch, $patch: undefined }));
  if (patch['$patch'] === 'delete') return {};
  const out: JsonObject = { ...target };
  const retain = patch['$retainKeys'];
  if (retain !== undefined) {
    const kept = new Set(asStrings(retain));
    for (const key of Object.keys(out)) if (!kept.has(key)) delete out[key];
  }
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined || key.startsWith('$')) continue;
    if (value === null) delete out[key];
    else if (Array.isArray(value))
      out[key] = mergeList(out[key], value, childNode(schema, key), patch[orderPrefix + key]);
    else if (isObject(value)) {
      if (value['$patch'] === 'delete') delete out[key];
      else out[key] = mergeValue(out[key], value, childNode(schema, key));
    } else out[key] = value;
  }
  for (const key of Object.keys(patch)) {
    if (key.startsWith(deletePrefix)) removeScalars(out, key.slice(deletePrefix.length), asArray(patch[key]));
    else if (key.startsWith(orderPrefix) && patch[key.slice(orderPrefix.length)] === undefined) {
      const name = key.slice(orderPrefix.length);
      const current = out[name];
      if (Array.isArray(current))
        out[name] = reorder(current, asArray(patch[key]), childNode(schema, name).patchMergeKey);
    }
  }
  return out;
}

const asPlain = (value: Json): JsonObject => (isObject(value) ? value : {});

function mergeValue(target: Json | undefined, patch: JsonObject, schema: SchemaNode): Json {
  // A map that is one value (a selector) is still merged here: only server-side apply knows atomic maps.
  return mergeObject(isObject(target) ? target : {}, patch, schema);
}

function removeScalars(object: JsonObject, name: string, gone: readonly Json[]): void {
  const list = object[name];
  if (Array.isArray(list)) object[name] = list.filter((item) => !gone.some((other) => equal(item, other)));
}

function mergeList(
  target: Json | undefined,
  patch: readonly Json[],
  schema: SchemaNode,
  order: Json | undefined,
): Json[] {
  const existing = asArray(target);
  if (patch.some((item) => isObject(item) && item['$patch'] === 'replace' && Object.keys(item).length === 1)) {
    return asArray(withoutDirectives([...patch]));
  }
  const key = schema.patchMergeKey;
  const merges = schema.patchStrategy.split(',').includes('merge');
  if (!merges) return asArray(withoutDirectives([...patch]));
  const merged =
    key === '' ? mergeScalars(existing, patch) : mergeByKey(existing, patch, key, schema.items ?? emptyNode);
  return order === undefined ? merged : reorder(merged, asArray(order), key);
}

function mergeScalars(existing: readonly Json[], patch: readonly Json[]): Json[] {
  const added = patch.filter((item) => !existing.some((other) => equal(item, other)));
  return [...existing, ...added];
}

function mergeByKey(existing: readonly Json[], patch: readonly Json[], key: string, items: SchemaNode): Json[] {
  const out: Json[] = [...existing];
  const isSame = (a: Json | undefined, b: JsonObject): boolean =>
    isObject(a) && canonical(a[key]) === canonical(b[key]);
  for (const item of patch) {
    if (!isObject(item)) continue;
    if (item['$patch'] === 'delete') {
      for (let i = out.length - 1; i >= 0; i--) if (isSame(out[i], item)) out.splice(i, 1);
      continue;
    }
    const index = out.findIndex((other) => isSame(other, item));
    const current = out[index];
    if (index >= 0 && isObject(current)) out[index] = mergeObject(current, item, items);
    else out.push(mergeObject({}, item, items));
  }
  return out;
}

/** Items in the given order; those it does not name keep their place behind the item they followed. */
function reorder(list: readonly Json[], order: readonly Json[], key: string): Json[] {
  const identity = (item: Json): string => canonical(key !== '' && isObject(item) ? item[key] : item);
  const rank = new Map(order.map((item, index) => [identity(item), index]));
  const named = list
    .filter((item) => rank.has(identity(item)))
    .sort((a, b) => (rank.get(identity(a)) ?? 0) - (rank.get(identity(b)) ?? 0));
  const out: Json[] = [...named];
  for (const [index, item] of list.entries()) {
    if (rank.has(identity(item))) continue;
    const before = list[index - 1];
    const place = before === undefined ? 0 : out.findIndex((other) => identity(other) === identity(before)) + 1;
    out.splice(place, 0, item);
  }
  return out;
}
