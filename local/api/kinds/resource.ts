import type { JsonObject } from '../json.ts';
import type { SchemaNode } from '../schema/node.ts';
import type { Cause } from '../status.ts';

/** One resource in one served version: what every layer needs to know about it. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly Verb[];
  /** Key of the store: the same for all versions. */
  readonly storage: string;
  readonly hasStatus: boolean;
  readonly scale: ScalePaths | undefined;
  /** Subresources besides status and scale. */
  readonly subresources: readonly SubresourceInfo[];
  readonly schema: SchemaNode;
  readonly columns: readonly Column[];
  /** Field selectors besides metadata.name and metadata.namespace. */
  readonly selectableFields: readonly string[];
  readonly strategy: Strategy;
  /** Set for custom resources: the definition's UID, by which a recreated definition is told apart. */
  readonly custom: boolean;
  /** Older first version wins discovery when it is the storage or priority version. */
  readonly fromStorage: (object: JsonObject) => JsonObject;
  readonly toStorage: (object: JsonObject) => JsonObject;
}

type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';
export const allVerbs: readonly Verb[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];

export interface ScalePaths {
  readonly specReplicas: string;
  readonly statusReplicas: string;
  readonly labelSelector: string;
}

export interface SubresourceInfo {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
}

export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, above only with `-o wide`. */
  readonly priority: number;
  readonly cell: (object: JsonObject, nowMs: number) => string | number | boolean | null;
}

/** What a built-in kind does beyond its schema. All functions change the request's own copy of the object. */
export interface Strategy {
  readonly defaults: (object: JsonObject) => void;
  readonly validate: (object: JsonObject) => Cause[];
  readonly validateUpdate: (object: JsonObject, old: JsonObject) => Cause[];
  /** Fields that only the server sets: carried over or cleared before a write. */
  readonly prepare: (object: JsonObject, old: JsonObject | undefined) => void;
}

export const noStrategy: Strategy = {
  defaults: () => {},
  validate: () => [],
  validateUpdate: () => [],
  prepare: () => {},
};

export const groupVersion = (type: { readonly group: string; readonly version: string }): string =>
  type.group === '' ? type.version : `${type.group}/${type.version}`;

export const storageKey = (group: string, plural: string): string => `${group}/${plural}`;
