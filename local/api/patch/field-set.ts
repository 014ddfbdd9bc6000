import { asObject, canonical, isObject, type Json, type JsonObject, parseJson } from '../json.ts';
import { emptyNode, type SchemaNode } from '../schema/node.ts';

/**
 * Sets of fields of an object, as managedFields keeps them (FieldsV1): a tree of path elements `f:<name>`, `k:<keys>` (item of a map list)
 * and `v:<value>` (item of a set). A member is a field that somebody owns.
 */
export interface FieldSet {
  member: boolean;
  readonly children: Map<string, FieldSet>;
}

export const emptySet = (member = false): FieldSet => ({ member, children: new Map() });

export const isEmpty = (set: FieldSet): boolean => !set.member && set.children.size === 0;

function fromFieldsV1(fields: Json | undefined): FieldSet {
  const object = asObject(fields) ?? {};
  const keys = Object.keys(object);
  const set = emptySet(keys.length === 0 || object['.'] !== undefined);
  for (const key of keys) if (key !== '.') set.children.set(key, fromFieldsV1(object[key]));
  return set;
}

export function readFieldsV1(fields: Json | undefined): FieldSet {
  const set = fromFieldsV1(fields);
  if (set.children.size === 0) set.member = false;
  return set;
}

export function toFieldsV1(set: FieldSet): JsonObject {
  const out: JsonObject = {};
  if (set.member && set.children.size > 0) out['.'] = {};
  for (const key of [...set.children.keys()].sort()) {
    const child = set.children.get(key);
    if (child !== undefined) out[key] = toFieldsV1(child);
  }
  return out;
}

export function childSchema(schema: SchemaNode, element: string): SchemaNode {
  if (!element.startsWith('f:')) return schema.items ?? emptyNode;
  const property = schema.properties?.[element.slice(2)];
  if (property !== undefined) return property;
  return schema.additional === undefined || schema.additional === true ? emptyNode : schema.additional;
}

/** The element that names an item of a list, undefined in an atomic list. */
export function itemElement(item: Json, schema: SchemaNode): string | undefined {
  if (schema.listType === 'set') return `v:${JSON.stringify(item)}`;
  if (schema.listType !== 'map' || !isObject(item)) return undefined;
  const keys: JsonObject = {};
  for (const key of [...schema.listMapKeys].sort()) {
    const value = item[key] ?? schema.items?.properties?.[key]?.defaultValue ?? impliedKeys[key];
    if (value !== undefined) keys[key] = value;
  }
  return `k:${JSON.stringify(keys)}`;
}

/** Keys of built-in lists that are defaulted later than they are looked at. */
const impliedKeys: Readonly<Record<string, Json | undefined>> = { protocol: 'TCP' };

/** The child values of a container by element; undefined for a value that is one field. */
export function childrenOf(value: Json, schema: SchemaNode): Map<string, Json> | undefined {
  const out = new Map<string, Json>();
  if (isObject(value)) {
    if (schema.atomicMap || Object.keys(value).length === 0) return undefined;
    for (const [key, item] of Object.entries(value)) if (item !== undefined) out.set(`f:${key}`, item);
    return out;
  }
  if (!Array.isArray(value) || (schema.listType !== 'map' && schema.listType !== 'set') || value.length === 0)
    return undefined;
  for (const item of value) {
    const element = itemElement(item, schema);
    if (element !== undefined) out.set(element, item);
  }
  return out;
}

export function fieldsOf(value: Json, schema: SchemaNode): FieldSet {
  const children = childrenOf(value, schema);
  if (children === undefined) return emptySet(true);
  const set = emptySet();
  for (const [element, item] of children) {
    const child = element.startsWith('v:') ? emptySet(true) : fieldsOf(item, childSchema(schema, element));
    // That an item is there is a fact of its own.
    if (element.startsWith('k:')) child.member = true;
    set.children.set(element, child);
  }
  return set;
}

/** Fields of `now` that are new or have another value than in `before`. */
export function changedFields(now: Json, before: Json | undefined, schema: SchemaNode): FieldSet {
  if (before === undefined) return fieldsOf(now, schema);
  const children = childrenOf(now, schema);
  const old = childrenOf(before, schema);
  if (children === undefined) return emptySet(canonical(now) !== canonical(before));
  const set = emptySet();
  for (const [element, item] of children) {
    const child = element.startsWith('v:')
      ? emptySet(old?.get(element) === undefined)
      : changedFields(item, old?.get(element), childSchema(schema, element));
    if (element.startsWith('k:') && old?.get(element) === undefined) child.member = true;
    if (!isEmpty(child)) set.children.set(element, child);
  }
  return set;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const set = emptySet(a.member || b.member);
  for (const [element, child] of a.children)
    set.children.set(element, union(child, b.children.get(element) ?? emptySet()));
  for (const [element, child] of b.children) if (!a.children.has(element)) set.children.set(element, child);
  return set;
}

export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const set = emptySet(a.member && !b.member);
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    const left = other === undefined ? child : difference(child, other);
    if (!isEmpty(left)) set.children.set(element, left);
  }
  return set;
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const set = emptySet(a.member && b.member);
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    const both = other === undefined ? emptySet() : intersection(child, other);
    if (!isEmpty(both)) set.children.set(element, both);
  }
  return set;
}

/** The members of a set that the value has: what was removed from an object is nobody's. */
export function present(set: FieldSet, value: Json | undefined, schema: SchemaNode): FieldSet {
  if (value === undefined) return emptySet();
  const children = childrenOf(value, schema);
  const out = emptySet(set.member);
  for (const [element, child] of set.children) {
    const item = children?.get(element);
    const left = item === undefined ? emptySet() : present(child, item, childSchema(schema, element));
    if (!isEmpty(left)) out.children.set(element, left);
  }
  return out;
}

/** Paths of all members, as conflicts show them: `.spec.containers[name="c"].image`. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  const out = set.member && prefix !== '' ? [prefix] : [];
  for (const [element, child] of set.children) out.push(...pathsOf(child, prefix + shown(element)));
  return out;
}

function shown(element: string): string {
  if (element.startsWith('f:')) return `.${element.slice(2)}`;
  if (element.startsWith('v:')) return `[=${element.slice(2)}]`;
  const keys = asObject(parseJson(element.slice(2))) ?? {};
  return `[${Object.entries(keys)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`;
}
