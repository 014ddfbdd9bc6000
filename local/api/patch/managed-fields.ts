import { asObjects, asString, at, equal, type Json, type JsonObject } from '../json.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';
import { ensureMeta, metaOf, rfc3339 } from '../object.ts';
import type { Call } from '../rest/context.ts';
import { builtinType } from '../schema/builtin.ts';
import { byName, type SchemaNode } from '../schema/node.ts';
import {
  changedFields,
  difference,
  type FieldSet,
  fieldsOf,
  isEmpty,
  present,
  readFieldsV1,
  toFieldsV1,
  union,
} from './field-set.ts';

/** metadata.managedFields: who owns which field (server-side apply, "Field management"). */
export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  readonly subresource: string;
  readonly apiVersion: string;
  readonly time: string;
  readonly fields: FieldSet;
}

const managersMax = 10;
const serverMeta = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'managedFields',
  'selfLink',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
];

export function readManagers(object: JsonObject | undefined): Manager[] {
  return asObjects(at(object, 'metadata', 'managedFields')).map((entry) => ({
    name: asString(entry['manager']),
    operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
    subresource: asString(entry['subresource']),
    apiVersion: asString(entry['apiVersion']),
    time: asString(entry['time']),
    fields: readFieldsV1(entry['fieldsV1']),
  }));
}

export function writeManagers(object: JsonObject, managers: readonly Manager[]): void {
  const entries = managers
    .filter((manager) => !isEmpty(manager.fields))
    .map(
      (manager): JsonObject => ({
        manager: manager.name,
        operation: manager.operation,
        apiVersion: manager.apiVersion,
        time: manager.time,
        fieldsType: 'FieldsV1',
        fieldsV1: toFieldsV1(manager.fields),
        ...(manager.subresource === '' ? {} : { subresource: manager.subresource }),
      }),
    );
  if (entries.length === 0) delete ensureMeta(object)['managedFields'];
  else ensureMeta(object)['managedFields'] = entries;
}

/** The schema by which ownership is told: metadata is ObjectMeta for every kind. */
export function ownershipSchema(type: ResourceType): SchemaNode {
  return {
    ...type.schema,
    properties: byName([...Object.entries(type.schema.properties ?? {}), ['metadata', builtinType('V1ObjectMeta')]]),
  };
}

/** What can be owned: not identity, not the server's own fields, status only through its subresource. */
export function ownable(type: ResourceType, object: JsonObject, subresource: string): JsonObject {
  const meta = { ...metaOf(object) };
  for (const field of serverMeta) delete meta[field];
  const out: JsonObject = { ...object };
  for (const field of ['apiVersion', 'kind', 'metadata']) delete out[field];
  if (Object.keys(meta).length > 0) out['metadata'] = meta;
  if (subresource === 'status') return out['status'] === undefined ? {} : { status: out['status'] };
  if (type.hasStatus) delete out['status'];
  return out;
}

const rootFields = (value: JsonObject, schema: SchemaNode): FieldSet => {
  const set = fieldsOf(value, schema);
  if (Object.keys(value).length === 0) set.member = false;
  return set;
};

export { rootFields };

/** After any write but an apply: what changed is the writer's, and nobody else's. */
export function trackWrite(
  type: ResourceType,
  object: JsonObject,
  old: JsonObject | undefined,
  call: Call,
  subresource: string,
  nowMs: number,
): void {
  const given: Json | undefined = metaOf(object)['managedFields'];
  // A writer may edit managedFields itself: kubectl does, to move from client-side to server-side apply.
  const edited = old !== undefined && given !== undefined && !equal(given, metaOf(old)['managedFields']);
  const before = readManagers(edited ? object : old);
  if (edited && asObjects(given).every((entry) => Object.keys(entry).length === 0)) {
    delete ensureMeta(object)['managedFields'];
    return;
  }
  const schema = ownershipSchema(type);
  const now = ownable(type, object, subresource);
  const was = old === undefined ? undefined : ownable(type, old, subresource);
  const changed = was === undefined ? rootFields(now, schema) : changedFields(now, was, schema);
  if (Object.keys(now).length === 0) changed.member = false;
  const name = call.fieldManager;
  const isWriter = (manager: Manager): boolean =>
    manager.name === name && manager.operation === 'Update' && manager.subresource === subresource;
  const mine = before.find(isWriter);
  const others = before
    .filter((manager) => !isWriter(manager))
    .map((manager) => {
      const left =
        manager.subresource === subresource
          ? present(difference(manager.fields, changed), now, schema)
          : manager.fields;
      return { ...manager, fields: left };
    });
  const owned = present(union(mine?.fields ?? readFieldsV1({}), changed), now, schema);
  const time = isEmpty(changed) && mine !== undefined ? mine.time : rfc3339(nowMs);
  const own: Manager = { name, operation: 'Update', subresource, apiVersion: groupVersion(type), time, fields: owned };
  writeManagers(object, bounded([...others, own]));
}

/** Past the limit the oldest updaters become one, as on Kubernetes. */
function bounded(managers: readonly Manager[]): Manager[] {
  const updaters = managers.filter((manager) => manager.operation === 'Update');
  const excess = updaters
    .sort((a, b) => (a.time < b.time ? -1 : 1))
    .slice(0, Math.max(0, updaters.length - managersMax));
  const oldest = excess.at(-1);
  if (oldest === undefined) return [...managers];
  const fields = excess.reduce((set, manager) => union(set, manager.fields), readFieldsV1({}));
  const merged: Manager = { ...oldest, name: 'ancient-changes', subresource: '', fields };
  return [...managers.filter((manager) => !excess.includes(manager)), merged];
}
