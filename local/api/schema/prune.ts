import { isObject, type Json, type JsonObject } from '../json.ts';
import type { SchemaNode } from './node.ts';

/**
 * Removes what the schema does not know and returns the paths removed (apiextensions "field pruning"; for built-in kinds what the Go
 * decoder drops). Changes `value` in place: it is always the request's own copy.
 */
interface PruneOptions {
  /** Go's decoder reads null as "not set"; custom resources keep it for nullable fields. */
  readonly dropNulls: boolean;
}

const resourceFields = new Set(['apiVersion', 'kind', 'metadata']);

export function pruneRoot(object: JsonObject, node: SchemaNode, options: PruneOptions): string[] {
  const unknown: string[] = [];
  pruneObject(object, node, '', true, options, unknown);
  return unknown;
}

function prune(
  value: Json | undefined,
  node: SchemaNode,
  path: string,
  options: PruneOptions,
  unknown: string[],
): void {
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    for (const [index, item] of value.entries()) prune(item, node.items, `${path}[${index}]`, options, unknown);
    return;
  }
  if (isObject(value)) pruneObject(value, node, path, node.embeddedResource, options, unknown);
}

function pruneObject(
  object: JsonObject,
  node: SchemaNode,
  path: string,
  isResource: boolean,
  options: PruneOptions,
  unknown: string[],
): void {
  for (const key of Object.keys(object)) {
    const childPath = path === '' ? key : `${path}.${key}`;
    const property = node.properties?.[key];
    // A custom resource says no more than `type: object` of its metadata: the fields are the server's own.
    if (isResource && resourceFields.has(key) && property?.properties === undefined) continue;
    if (property !== undefined) {
      if (object[key] === null && options.dropNulls) delete object[key];
      else prune(object[key], property, childPath, options, unknown);
      continue;
    }
    if (node.additional === true) continue;
    if (node.additional !== undefined) {
      prune(object[key], node.additional, childPath, options, unknown);
      continue;
    }
    if (node.preserveUnknown) continue;
    unknown.push(childPath);
    delete object[key];
  }
}
