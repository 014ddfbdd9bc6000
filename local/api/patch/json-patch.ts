import { asArray, asString, clone, equal, isObject, type Json, type JsonObject } from '../json.ts';

/** JSON Patch (RFC 6902). Works on a copy; what cannot be applied is an Error that names the operation. */
export function applyJsonPatch(document: JsonObject, operations: Json): JsonObject | Error {
  const root: { value: Json } = { value: clone(document) };
  for (const operation of asArray(operations)) {
    if (!isObject(operation)) return new Error('a JSON patch is a list of operations');
    const problem = applyOne(root, operation);
    if (problem !== undefined) return new Error(problem);
  }
  return isObject(root.value) ? root.value : new Error('the patch leaves no object');
}

/** RFC 6901. */
function parsePointer(pointer: string): string[] | undefined {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function child(parent: Json | undefined, key: string): Json | undefined {
  if (Array.isArray(parent)) return /^(0|[1-9]\d*)$/.test(key) ? parent[Number(key)] : undefined;
  return isObject(parent) && Object.hasOwn(parent, key) ? parent[key] : undefined;
}

function lookup(root: Json, path: readonly string[]): Json | undefined {
  let current: Json | undefined = root;
  for (const key of path) current = child(current, key);
  return current;
}

function applyOne(root: { value: Json }, operation: JsonObject): string | undefined {
  const op = asString(operation['op']);
  const pointer = asString(operation['path']);
  const path = parsePointer(pointer);
  const missing = (at: string): string => `${op} operation does not apply: doc is missing path: ${at}: missing value`;
  if (path === undefined) return `${op} operation has the invalid path ${JSON.stringify(pointer)}`;
  switch (op) {
    case 'add':
      return operation['value'] === undefined
        ? 'add operation has no value'
        : add(root, path, clone(operation['value']))
          ? undefined
          : missing(pointer);
    case 'remove':
      return remove(root, path) ? undefined : `remove operation does not apply: doc is missing path: ${pointer}`;
    case 'replace': {
      if (lookup(root.value, path) === undefined) return missing(pointer);
      const value = clone(operation['value'] ?? null);
      if (path.length > 0 && !Array.isArray(lookup(root.value, path.slice(0, -1))))
        return add(root, path, value) ? undefined : missing(pointer);
      if (path.length > 0) remove(root, path);
      return add(root, path, value) ? undefined : missing(pointer);
    }
    case 'test':
      return equal(lookup(root.value, path) ?? null, operation['value'] ?? null)
        ? undefined
        : `testing value ${pointer} failed: test failed`;
    case 'move':
    case 'copy': {
      const from = parsePointer(asString(operation['from']));
      const value = from === undefined ? undefined : lookup(root.value, from);
      if (from === undefined || value === undefined) return missing(asString(operation['from']));
      const copied = clone(value);
      if (op === 'move') remove(root, from);
      return add(root, path, copied) ? undefined : missing(pointer);
    }
    default:
      return `unexpected kind: ${JSON.stringify(op)}`;
  }
}

function add(root: { value: Json }, path: readonly string[], value: Json): boolean {
  const key = path.at(-1);
  if (key === undefined) {
    root.value = value;
    return true;
  }
  const parent = lookup(root.value, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = key === '-' ? parent.length : Number(key);
    if (!Number.isInteger(index) || index < 0 || index > parent.length) return false;
    parent.splice(index, 0, value);
    return true;
  }
  if (!isObject(parent)) return false;
  parent[key] = value;
  return true;
}

function remove(root: { value: Json }, path: readonly string[]): boolean {
  const key = path.at(-1);
  const parent = lookup(root.value, path.slice(0, -1));
  if (key === undefined || child(parent, key) === undefined) return false;
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else if (isObject(parent)) delete parent[key];
  return true;
}

/** JSON Merge Patch (RFC 7386): null removes, objects merge, everything else replaces. */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return clone(patch);
  const out: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else if (value !== undefined) out[key] = applyMergePatch(out[key], value);
  }
  return out;
}
