import type { Json, JsonObject } from '../json.ts';
import type { Column, ResourceType } from '../kinds/resource.ts';
import { metaOf } from '../object.ts';

/** meta.k8s.io/v1 Table, and PartialObjectMetadata for clients that want only that. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export function columnDefinitions(columns: readonly Column[]): JsonObject[] {
  return columns.map((column) => ({
    name: column.name,
    type: column.type,
    format: column.format,
    description: column.description,
    priority: column.priority,
  }));
}

export function partialMetadata(object: JsonObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: metaOf(object) };
}

function rowOf(type: ResourceType, object: JsonObject, include: IncludeObject, nowMs: number): JsonObject {
  const cells: Json[] = type.columns.map((column) => column.cell(object, nowMs));
  if (include === 'None') return { cells };
  return { cells, object: include === 'Object' ? object : partialMetadata(object) };
}

export function tableOf(
  type: ResourceType,
  objects: readonly JsonObject[],
  listMeta: JsonObject,
  include: IncludeObject,
  nowMs: number,
  withColumns = true,
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta,
    columnDefinitions: withColumns ? columnDefinitions(type.columns) : [],
    rows: objects.map((object) => rowOf(type, object, include, nowMs)),
  };
}
