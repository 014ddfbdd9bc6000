import { asNumber, asObject, asObjects, asString, asStrings, at, ensure, type JsonObject, stringMap } from './json.ts';

/** Accessors of ObjectMeta, so that no other file spells its paths. */
export const metaOf = (object: JsonObject): JsonObject => asObject(object['metadata']) ?? {};
export const ensureMeta = (object: JsonObject): JsonObject => ensure(object, 'metadata');
export const nameOf = (object: JsonObject): string => asString(metaOf(object)['name']);
export const namespaceOf = (object: JsonObject): string => asString(metaOf(object)['namespace']);
export const uidOf = (object: JsonObject): string => asString(metaOf(object)['uid']);
export const labelsOf = (object: JsonObject): Record<string, string> => stringMap(metaOf(object)['labels']);
export const finalizersOf = (object: JsonObject): string[] => asStrings(metaOf(object)['finalizers']);
export const isDeleting = (object: JsonObject): boolean => typeof metaOf(object)['deletionTimestamp'] === 'string';
export const generationOf = (object: JsonObject): number => asNumber(metaOf(object)['generation']) ?? 0;

export interface OwnerReference {
  readonly uid: string;
  readonly kind: string;
  readonly name: string;
  readonly apiVersion: string;
  readonly controller: boolean;
  readonly blockOwnerDeletion: boolean;
}

export function ownersOf(object: JsonObject): OwnerReference[] {
  return asObjects(at(object, 'metadata', 'ownerReferences')).map((ref) => ({
    uid: asString(ref['uid']),
    kind: asString(ref['kind']),
    name: asString(ref['name']),
    apiVersion: asString(ref['apiVersion']),
    controller: ref['controller'] === true,
    blockOwnerDeletion: ref['blockOwnerDeletion'] === true,
  }));
}

/** metav1.Time has whole seconds. */
export function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
