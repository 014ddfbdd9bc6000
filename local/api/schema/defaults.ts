import { clone, isObject, type Json, type JsonObject } from '../json.ts';
import type { SchemaNode } from './node.ts';

/** Defaulting of structural schemas: top-down, so that a default makes room for the defaults inside it. Changes `value` in place. */
export function applyDefaults(value: Json | undefined, node: SchemaNode): void {
  if (Array.isArray(value)) {
    if (node.items !== undefined) for (const item of value) applyDefaults(item, node.items);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, property] of Object.entries(node.properties ?? {})) applyProperty(value, name, property);
  if (node.additional === undefined || node.additional === true) return;
  for (const key of Object.keys(value))
    if (node.properties?.[key] === undefined) applyDefaults(value[key], node.additional);
}

function applyProperty(object: JsonObject, name: string, property: SchemaNode): void {
  // A null where null is not allowed means "not set" if there is a default to take its place.
  if (object[name] === null && !property.nullable && property.defaultValue !== undefined) delete object[name];
  if (object[name] === undefined && property.defaultValue !== undefined) object[name] = clone(property.defaultValue);
  applyDefaults(object[name], property);
}
