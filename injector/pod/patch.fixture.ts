import type { PatchOperation } from './patch.ts';

/** An applier of JSON Patch for tests, strict as RFC 6902 section 4 wants it: a missing parent or target is an error. */

const unescapeName = (name: string): string => name.replaceAll('~1', '/').replaceAll('~0', '~');

function child(parent: unknown, name: string, path: string): unknown {
  if (Array.isArray(parent) && /^(0|[1-9][0-9]*)$/.test(name) && Number(name) < parent.length)
    return parent[Number(name)];
  if (!Array.isArray(parent) && typeof parent === 'object' && parent !== null && Object.hasOwn(parent, name))
    return Reflect.get(parent, name);
  throw new Error(`${path}: nothing at ${name}`);
}

function applyToArray(parent: unknown[], name: string, operation: PatchOperation): void {
  const index = name === '-' ? parent.length : Number(name);
  const most = operation.op === 'add' ? parent.length : parent.length - 1;
  if (!Number.isInteger(index) || index < 0 || index > most) throw new Error(`${operation.path}: no such element`);
  if (operation.op === 'remove') parent.splice(index, 1);
  else parent.splice(index, operation.op === 'add' ? 0 : 1, structuredClone(operation.value));
}

function applyOne(document: unknown, operation: PatchOperation): void {
  const names = operation.path.split('/').slice(1).map(unescapeName);
  const last = names.pop();
  if (last === undefined) throw new Error('the whole document cannot be replaced here');
  const parent = names.reduce((at, name) => child(at, name, operation.path), document);
  if (Array.isArray(parent)) applyToArray(parent, last, operation);
  else if (typeof parent !== 'object' || parent === null) throw new Error(`${operation.path}: the parent is no object`);
  else if (operation.op !== 'add' && !Object.hasOwn(parent, last)) throw new Error(`${operation.path}: is not there`);
  else if (operation.op === 'remove') Reflect.deleteProperty(parent, last);
  else Reflect.set(parent, last, structuredClone(operation.value));
}

export function applyPatch<T>(document: T, patch: readonly PatchOperation[]): T {
  const copy = structuredClone(document);
  for (const operation of patch) applyOne(copy, operation);
  return copy;
}
