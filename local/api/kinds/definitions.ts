import { WorkQueue } from '../gc/work-queue.ts';
import { asObject, asObjects, asString, asStrings, at, clone, equal, type Json, type JsonObject } from '../json.ts';
import { isDeleting, nameOf, rfc3339 } from '../object.ts';
import { rawColumns, schemaOfVersion, versionsOf } from '../schema/definition.ts';
import type { Store, Stored } from '../store/store.ts';
import { ageColumn, type Cell, nameColumn, since } from '../table/cells.ts';
import { jsonPath } from '../table/jsonpath.ts';
import type { Registry } from './registry.ts';
import { allVerbs, type Column, noStrategy, type ResourceType, type ScalePaths, storageKey } from './resource.ts';

/** Turns stored CustomResourceDefinitions into served resources, and keeps their conditions. */
export const definitionsStorage = storageKey('apiextensions.k8s.io', 'customresourcedefinitions');

function cellOf(values: readonly Json[], type: string, nowMs: number): Cell {
  const first = values[0];
  if (first === undefined || first === null) return type === 'date' ? '<unknown>' : type === 'string' ? '' : null;
  switch (type) {
    case 'date':
      return since(first, nowMs);
    case 'integer':
      return typeof first === 'number' ? Math.trunc(first) : Number.parseInt(String(first), 10);
    case 'number':
      return Number(first);
    case 'boolean':
      return first === true;
    default:
      return values.length === 1 && typeof first !== 'object' ? String(first) : shownList(values);
  }
}

function shownList(values: readonly Json[]): string {
  const text = (value: Json): string => (typeof value === 'object' ? JSON.stringify(value) : String(value));
  return values.length === 1 ? text(values[0] ?? null) : values.map(text).join(',');
}

function columnsOf(version: JsonObject): Column[] {
  const raw = rawColumns(version);
  if (raw.length === 0) return [nameColumn, ageColumn];
  const custom = raw.map((item): Column => {
    const declared = asString(item['type']);
    const type =
      declared === 'integer' || declared === 'number' || declared === 'boolean' || declared === 'date'
        ? declared
        : 'string';
    const path = asString(item['jsonPath']);
    return {
      name: asString(item['name']),
      type,
      format: asString(item['format']),
      description: asString(item['description']),
      priority: typeof item['priority'] === 'number' ? item['priority'] : 0,
      cell: (object, nowMs) => cellOf(jsonPath(object, path), type, nowMs),
    };
  });
  return [nameColumn, ...custom];
}

function scaleOf(version: JsonObject): ScalePaths | undefined {
  const scale = asObject(at(version, 'subresources', 'scale'));
  if (scale === undefined) return undefined;
  return {
    specReplicas: asString(scale['specReplicasPath']),
    statusReplicas: asString(scale['statusReplicasPath']),
    labelSelector: asString(scale['labelSelectorPath']),
  };
}

function typesOf(definition: JsonObject): ResourceType[] {
  const spec = asObject(definition['spec']) ?? {};
  const names = asObject(spec['names']) ?? {};
  const group = asString(spec['group']);
  const plural = asString(names['plural']);
  const stored = asString(versionsOf(definition).find((version) => version['storage'] === true)?.['name']);
  return versionsOf(definition)
    .filter((version) => version['served'] === true)
    .map((version): ResourceType => {
      const name = asString(version['name']);
      // Conversion strategy None: only apiVersion differs between versions.
      const as =
        (version: string) =>
        (object: JsonObject): JsonObject => {
          const apiVersion = `${group}/${version}`;
          return object['apiVersion'] === apiVersion ? object : { ...object, apiVersion };
        };
      return {
        group,
        version: name,
        kind: asString(names['kind']),
        listKind: asString(names['listKind']),
        plural,
        singular: asString(names['singular']),
        shortNames: asStrings(names['shortNames']),
        categories: asStrings(names['categories']),
        namespaced: spec['scope'] === 'Namespaced',
        verbs: allVerbs,
        storage: storageKey(group, plural),
        hasStatus: at(version, 'subresources', 'status') !== undefined,
        scale: scaleOf(version),
        subresources: [],
        schema: schemaOfVersion(version),
        columns: columnsOf(version),
        selectableFields: asObjects(version['selectableFields']).map((field) =>
          asString(field['jsonPath']).replace(/^\./, ''),
        ),
        strategy: noStrategy,
        custom: true,
        fromStorage: as(name),
        toStorage: as(stored),
      };
    });
}

function withCondition(conditions: JsonObject[], condition: JsonObject, nowMs: number): JsonObject[] {
  const old = conditions.find((item) => item['type'] === condition['type']);
  const same = old !== undefined && old['status'] === condition['status'];
  const lastTransitionTime = same ? (old['lastTransitionTime'] ?? '') : rfc3339(nowMs);
  return [...conditions.filter((item) => item !== old), { lastTransitionTime, ...condition }];
}

function nameConflict(definition: JsonObject, registry: Registry): string | undefined {
  const group = asString(at(definition, 'spec', 'group'));
  const kind = asString(at(definition, 'spec', 'names', 'kind'));
  const plural = asString(at(definition, 'spec', 'names', 'plural'));
  const taken = registry.all().find((type) => type.group === group && type.kind === kind && type.plural !== plural);
  return taken === undefined ? undefined : `"${kind}" is already in use`;
}

/** The status that a definition should have now. */
function definitionStatus(definition: JsonObject, conflict: string | undefined, nowMs: number): JsonObject {
  const status = clone(asObject(definition['status']) ?? {});
  let conditions = asObjects(status['conditions']);
  const accepted = conflict === undefined;
  conditions = withCondition(
    conditions,
    {
      type: 'NamesAccepted',
      status: accepted ? 'True' : 'False',
      reason: accepted ? 'NoConflicts' : 'KindConflict',
      message: conflict ?? 'no conflicts found',
    },
    nowMs,
  );
  conditions = withCondition(
    conditions,
    {
      type: 'Established',
      status: accepted ? 'True' : 'False',
      reason: accepted ? 'InitialNamesAccepted' : 'NotAccepted',
      message: accepted ? 'the initial names have been accepted' : 'not all names are accepted',
    },
    nowMs,
  );
  const storage = asString(versionsOf(definition).find((version) => version['storage'] === true)?.['name']);
  const storedVersions = asStrings(status['storedVersions']);
  return {
    ...status,
    acceptedNames: clone(asObject(at(definition, 'spec', 'names')) ?? {}),
    conditions,
    storedVersions: storedVersions.includes(storage) ? storedVersions : [...storedVersions, storage],
  };
}

/** Brings registry and conditions up to date with one definition. A definition being deleted goes on serving until its objects are gone. */
export function syncDefinition(stored: Stored, store: Store, registry: Registry, nowMs: number): void {
  const definition = stored.object;
  const conflict = nameConflict(definition, registry);
  if (conflict === undefined) registry.setCustom(nameOf(definition), typesOf(definition));
  if (isDeleting(definition)) return;
  const status = definitionStatus(definition, conflict, nowMs);
  if (!equal(status, definition['status']))
    store.update(definitionsStorage, { ...definition, status }, stored.revision);
}

export function watchDefinitions(store: Store, registry: Registry, now: () => number): () => void {
  // A status that could not be written (a full disk) is written later.
  const again = new WorkQueue((name) => {
    const stored = store.get(definitionsStorage, '', name);
    if (stored !== undefined) syncDefinition(stored, store, registry, now());
  });
  const sync = (stored: Stored): void => {
    try {
      syncDefinition(stored, store, registry, now());
    } catch {
      again.add(stored.name);
    }
  };
  for (const stored of store.list(definitionsStorage)) sync(stored);
  const unsubscribe = store.subscribe((event) => {
    if (event.current.resource !== definitionsStorage) return;
    if (event.type === 'DELETED') registry.removeCustom(event.current.name);
    else if (!equal(event.previous?.object['spec'], event.current.object['spec']) || event.previous === undefined) {
      sync(event.current);
    }
  });
  return () => {
    unsubscribe();
    again.close();
  };
}
