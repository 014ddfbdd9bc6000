import { asString, at, canonical, clone, equal, isObject, type Json, type JsonObject, parseJson } from '../json.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';
import { ensureMeta, nameOf, rfc3339 } from '../object.ts';
import type { Call } from '../rest/context.ts';
import { emptyNode, type SchemaNode } from '../schema/node.ts';
import { badRequest, type Cause, StatusError } from '../status.ts';
import {
  childrenOf,
  childSchema,
  difference,
  emptySet,
  type FieldSet,
  intersection,
  isEmpty,
  itemElement,
  pathsOf,
  union,
} from './field-set.ts';
import { type Manager, ownable, ownershipSchema, readManagers, rootFields, writeManagers } from './managed-fields.ts';

/**
 * Server-side apply: merges what a manager wants into an object, removes what it wanted before and nobody else does, and refuses to change
 * what another manager owns unless forced.
 */
export function applyServerSide(
  type: ResourceType,
  existing: JsonObject | undefined,
  applied: JsonObject,
  call: Call,
  subresource: string,
  nowMs: number,
): JsonObject {
  const schema = ownershipSchema(type);
  const wanted = ownable(type, applied, subresource);
  const repeated = repeatedItem(wanted, schema, '');
  if (repeated !== undefined) {
    const what = `(${nameOf(applied)}; ${groupVersion(type)}, Kind=${type.kind})`;
    throw badRequest(`failed to create typed patch object ${what}: ${repeated}`);
  }
  const fields = rootFields(wanted, schema);
  const managers = readManagers(existing);
  const isMine = (manager: Manager): boolean =>
    manager.name === call.fieldManager && manager.operation === 'Apply' && manager.subresource === subresource;
  const mine = managers.find(isMine);
  let others = managers.filter((manager) => !isMine(manager));
  const current = existing === undefined ? {} : ownable(type, existing, subresource);
  const contested = contestedFields(wanted, current, schema);
  const forgiven = lastApplied(type, existing, call, schema);
  const disputes = others
    .map((manager) => ({ manager, fields: difference(intersection(manager.fields, contested), forgiven) }))
    .filter((item) => !isEmpty(item.fields));
  if (disputes.length > 0 && !call.force) throw conflictOf(disputes);
  others = others.map((manager) => ({ ...manager, fields: difference(manager.fields, contested) }));
  const merged = mergeObject(current, wanted, schema);
  if (mine !== undefined) {
    const kept = others.reduce((set, manager) => union(set, manager.fields), fields);
    removeFields(merged, difference(mine.fields, kept), kept, schema);
  }
  const object = assemble(existing, applied, merged, subresource);
  const unchanged =
    mine !== undefined &&
    isEmpty(difference(mine.fields, fields)) &&
    isEmpty(difference(fields, mine.fields)) &&
    equal(merged, current);
  const own: Manager = {
    name: call.fieldManager,
    operation: 'Apply',
    subresource,
    apiVersion: groupVersion(type),
    time: unchanged ? mine.time : rfc3339(nowMs),
    fields,
  };
  writeManagers(object, [own, ...others]);
  const version = asString(at(applied, 'metadata', 'resourceVersion'));
  if (version !== '') ensureMeta(object)['resourceVersion'] = version;
  const uid = asString(at(applied, 'metadata', 'uid'));
  if (uid !== '') ensureMeta(object)['uid'] = uid;
  return object;
}

/** Whoever applies owns items by their keys: two items of one key would be one. Objects that are stored may have such lists. */
function repeatedItem(value: Json | undefined, schema: SchemaNode, path: string): string | undefined {
  if (Array.isArray(value)) {
    const seen = new Set<string>();
    for (const item of value) {
      const element = itemElement(item, schema);
      if (element !== undefined && seen.has(element))
        return `${path}: duplicate entries for key [${element.slice(2).replace(/^\{(.*)\}$/, '$1')}]`;
      if (element !== undefined) seen.add(element);
      const found = repeatedItem(item, schema.items ?? emptyNode, `${path}[${element ?? ''}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isObject(value)) return undefined;
  for (const [key, item] of Object.entries(value)) {
    const found = repeatedItem(item, childSchema(schema, `f:${key}`), `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What client-side apply wanted is kubectl's own wish: moving from it to server-side apply is no conflict. */
function lastApplied(type: ResourceType, existing: JsonObject | undefined, call: Call, schema: SchemaNode): FieldSet {
  const text = asString(at(existing, 'metadata', 'annotations', 'kubectl.kubernetes.io/last-applied-configuration'));
  if (call.fieldManager !== 'kubectl' || text === '') return emptySet();
  try {
    const wanted = parseJson(text);
    return isObject(wanted) ? rootFields(ownable(type, wanted, ''), schema) : emptySet();
  } catch {
    return emptySet();
  }
}

/** Merged fields put back around what cannot be owned. */
function assemble(
  existing: JsonObject | undefined,
  applied: JsonObject,
  merged: JsonObject,
  subresource: string,
): JsonObject {
  const base: JsonObject = existing === undefined ? clone(applied) : clone(existing);
  if (subresource === 'status') {
    if (merged['status'] === undefined) delete base['status'];
    else base['status'] = merged['status'];
    return base;
  }
  const status = base['status'];
  const meta = ensureMeta(base);
  const out: JsonObject = { apiVersion: base['apiVersion'] ?? '', kind: base['kind'] ?? '', ...merged };
  const owned = isObject(merged['metadata']) ? merged['metadata'] : {};
  const serverMeta = Object.fromEntries(
    Object.entries(meta).filter(
      ([key]) => !['labels', 'annotations', 'finalizers', 'ownerReferences', 'generateName'].includes(key),
    ),
  );
  out['metadata'] = { ...serverMeta, ...owned };
  if (status !== undefined && merged['status'] === undefined) out['status'] = status;
  return out;
}

/** Fields of the wish that are there with another value. */
function contestedFields(wanted: Json, current: Json | undefined, schema: SchemaNode): FieldSet {
  const set = emptySet();
  if (current === undefined) return set;
  const children = childrenOf(wanted, schema);
  const existing = childrenOf(current, schema);
  if (children === undefined || existing === undefined) return emptySet(canonical(wanted) !== canonical(current));
  for (const [element, item] of children) {
    if (element.startsWith('v:')) continue;
    const child = contestedFields(item, existing.get(element), childSchema(schema, element));
    if (!isEmpty(child)) set.children.set(element, child);
  }
  return set;
}

function conflictOf(disputes: readonly { manager: Manager; fields: FieldSet }[]): StatusError {
  const causes = disputes.flatMap(({ manager, fields }): Cause[] => {
    const how = manager.operation === 'Update' ? ` using ${manager.apiVersion}` : '';
    const message = `conflict with "${manager.name}"${manager.subresource === '' ? '' : ` with subresource "${manager.subresource}"`}${how}`;
    return pathsOf(fields).map((field) => ({ reason: 'FieldManagerConflict', message, field }));
  });
  const plural = causes.length === 1 ? 'conflict' : 'conflicts';
  const lines = [...Map.groupBy(causes, (cause) => cause.message)].map(([message, list]) =>
    causes.length === 1
      ? `${message}: ${list[0]?.field}`
      : `${message.replace(/^conflict/, 'conflicts')}:\n${list.map((cause) => `- ${cause.field}`).join('\n')}`,
  );
  return new StatusError(409, 'Conflict', `Apply failed with ${causes.length} ${plural}: ${lines.join('\n')}`, {
    causes,
  });
}

function mergeObject(target: JsonObject, patch: JsonObject, schema: SchemaNode): JsonObject {
  const out = clone(target);
  for (const [key, value] of Object.entries(patch)) {
    if (value !== undefined) out[key] = mergeValue(out[key], value, childSchema(schema, `f:${key}`));
  }
  return out;
}

function mergeValue(target: Json | undefined, patch: Json, schema: SchemaNode): Json {
  if (isObject(patch) && isObject(target) && !schema.atomicMap) return mergeObject(target, patch, schema);
  if (Array.isArray(patch) && Array.isArray(target) && (schema.listType === 'map' || schema.listType === 'set')) {
    return mergeList(target, patch, schema);
  }
  return clone(patch);
}

/** Items of the wish in its order, each behind what stood before it; the others keep their places. */
function mergeList(target: readonly Json[], patch: readonly Json[], schema: SchemaNode): Json[] {
  const byElement = new Map(target.map((item) => [itemElement(item, schema), item]));
  const wantedElements = new Set(patch.map((item) => itemElement(item, schema)));
  const merged = patch.map((item) =>
    mergeValue(byElement.get(itemElement(item, schema)), item, schema.items ?? schema),
  );
  const out: Json[] = [];
  let next = 0;
  for (const item of target) {
    if (!wantedElements.has(itemElement(item, schema))) out.push(item);
    else {
      const replacement = merged[next++];
      if (replacement !== undefined) out.push(replacement);
    }
  }
  return [...out, ...merged.slice(next)];
}

/** Takes away fields that nobody wants any more. A container goes with its last content only if it was itself wanted. */
function removeFields(value: Json, gone: FieldSet, kept: FieldSet, schema: SchemaNode): void {
  for (const [element, child] of gone.children) {
    const keptChild = kept.children.get(element) ?? emptySet();
    const item = childrenOf(value, schema)?.get(element);
    if (item === undefined) continue;
    if (isEmpty(keptChild) && (child.member || (isObject(item) && Object.keys(item).length === 0)))
      removeChild(value, element, schema);
    else {
      removeFields(item, child, keptChild, childSchema(schema, element));
      const isBare = Array.isArray(item) ? item.length === 0 : isObject(item) && Object.keys(item).length === 0;
      if (isEmpty(keptChild) && isBare) removeChild(value, element, schema);
    }
  }
}

function removeChild(value: Json, element: string, schema: SchemaNode): void {
  if (isObject(value)) delete value[element.slice(2)];
  else if (Array.isArray(value)) {
    const index = value.findIndex((item) => itemElement(item, schema) === element);
    if (index >= 0) value.splice(index, 1);
  }
}
