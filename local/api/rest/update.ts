import { asString, asStrings, at, clone, equal, type JsonObject } from '../json.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';
import { ensureMeta, finalizersOf, generationOf, isDeleting, metaOf, nameOf, namespaceOf, uidOf } from '../object.ts';
import { trackWrite } from '../patch/managed-fields.ts';
import { conflict, invalid, notFound } from '../status.ts';
import type { Stored } from '../store/store.ts';
import type { ApiContext, Call } from './context.ts';
import {
  applyTypeDefaults,
  checkEscalation,
  copyStatus,
  hasGeneration,
  mutateByWebhooks,
  validateObject,
  wanted,
} from './pipeline.ts';

export interface Change {
  /** The object that is wanted, made from a private copy of the existing one. */
  readonly make: (existing: JsonObject) => JsonObject;
  readonly subresource: string;
  readonly managedFieldsDone?: boolean;
}

const attemptsMax = 5;

/** PUT and every PATCH. Unless it asks for one resourceVersion, a conflict with another writer is tried again on what is there now. */
export async function update(
  context: ApiContext,
  type: ResourceType,
  namespace: string,
  name: string,
  change: Change,
  call: Call,
): Promise<JsonObject> {
  for (let attempt = 1; ; attempt++) {
    const stored = context.store.get(type.storage, namespace, name);
    if (stored === undefined) throw notFound(type, name);
    const existing = type.fromStorage(stored.object);
    const next = change.make(clone(existing));
    const asked = asString(metaOf(next)['resourceVersion']);
    if (asked !== '' && asked !== String(stored.revision)) throw conflict(type, name);
    checkIdentity(type, next, existing);
    const object = await prepare(context, type, next, existing, change, call);
    if (unchanged(object, existing)) return existing;
    const done = save(context, type, stored, object, call);
    if (done !== undefined) return done;
    // A patch is made again of what is there now; who asked for one version is told above that it is gone.
    if (attempt >= attemptsMax) throw conflict(type, name);
  }
}

function checkIdentity(type: ResourceType, next: JsonObject, existing: JsonObject): void {
  const uid = uidOf(next);
  if (uid !== '' && uid !== uidOf(existing)) {
    throw conflict(
      type,
      nameOf(existing),
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${uidOf(existing)}`,
    );
  }
  if (nameOf(next) !== nameOf(existing)) {
    throw invalid(type.group, type.kind, nameOf(existing), [
      {
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(nameOf(next))}: field is immutable`,
        field: 'metadata.name',
      },
    ]);
  }
}

const serverFields = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'namespace',
  'generateName',
  'selfLink',
];

/** What a user cannot change is put back before anything looks at the object. */
function carryOver(type: ResourceType, next: JsonObject, existing: JsonObject, subresource: string): JsonObject {
  let object = next;
  if (subresource === 'status') {
    object = clone(existing);
    copyStatus(next, object);
    const meta = ensureMeta(object);
    const from = metaOf(next);
    if (!type.custom)
      for (const field of ['labels', 'annotations', 'finalizers'])
        if (from[field] !== undefined) meta[field] = clone(from[field]);
    if (from['managedFields'] !== undefined) meta['managedFields'] = from['managedFields'];
  } else if (type.hasStatus) copyStatus(existing, object);
  const meta = ensureMeta(object);
  for (const field of serverFields) {
    const value = metaOf(existing)[field];
    if (value === undefined) delete meta[field];
    else meta[field] = value;
  }
  meta['resourceVersion'] = metaOf(existing)['resourceVersion'] ?? '';
  const generation = metaOf(existing)['generation'];
  if (generation === undefined) delete meta['generation'];
  else meta['generation'] = generation;
  object['apiVersion'] = groupVersion(type);
  object['kind'] = type.kind;
  return object;
}

async function prepare(
  context: ApiContext,
  type: ResourceType,
  next: JsonObject,
  existing: JsonObject,
  change: Change,
  call: Call,
): Promise<JsonObject> {
  let object = carryOver(type, next, existing, change.subresource);
  applyTypeDefaults(type, object);
  object = await mutateByWebhooks(context, type, 'UPDATE', change.subresource, object, existing, call);
  object = carryOver(type, object, existing, change.subresource);
  if (change.subresource === '') type.strategy.prepare(object, existing);
  if (type.storage === '/services' && change.subresource === '') {
    const causes = context.serviceIps.assign(object, existing);
    if (causes.length > 0) throw invalid(type.group, type.kind, nameOf(object), causes);
  }
  if (hasGeneration(type) && !equal(wanted(type, object), wanted(type, existing))) {
    ensureMeta(object)['generation'] = generationOf(existing) + 1;
  }
  // Nothing is asked of an object that is only waiting for its finalizers.
  if (!(isDeleting(existing) && equal(wanted(type, object), wanted(type, existing)))) {
    validateObject(type, object, existing, change.subresource);
  }
  checkEscalation(context, type, object, existing, call);
  if (change.managedFieldsDone !== true) trackWrite(type, object, existing, call, change.subresource, context.now());
  if (unchanged(object, existing)) return object;
  await context.admission.validate({
    operation: 'UPDATE',
    type,
    subresource: change.subresource,
    namespace: namespaceOf(object),
    name: nameOf(object),
    object,
    oldObject: existing,
    call,
  });
  return object;
}

function unchanged(object: JsonObject, existing: JsonObject): boolean {
  const strip = (source: JsonObject): JsonObject => {
    const meta = { ...metaOf(source) };
    delete meta['managedFields'];
    return { ...source, metadata: meta };
  };
  const owners = (source: JsonObject): string =>
    JSON.stringify(at(source, 'metadata', 'managedFields') ?? []).replace(/"time":"[^"]*",?/g, '');
  return equal(strip(object), strip(existing)) && owners(object) === owners(existing);
}

/** Undefined when another writer was faster. */
function save(
  context: ApiContext,
  type: ResourceType,
  stored: Stored,
  object: JsonObject,
  call: Call,
): JsonObject | undefined {
  if (call.dryRun) return object;
  const final = type.toStorage(object);
  const result = context.store.update(type.storage, final, stored.revision);
  if (!result.ok) return undefined;
  const namespaceHeld = type.storage === '/namespaces' && asStrings(at(final, 'spec', 'finalizers')).length > 0;
  const waitsForNode = type.storage === '/pods' && (at(final, 'metadata', 'deletionGracePeriodSeconds') ?? 0) !== 0;
  if (
    isDeleting(final) &&
    finalizersOf(final).length === 0 &&
    !namespaceHeld &&
    !waitsForNode &&
    finalizersOf(stored.object).length > 0
  ) {
    context.store.delete(type.storage, stored.namespace, stored.name, result.stored.revision);
  }
  return type.fromStorage(result.stored.object);
}
