import { randomUUID } from 'node:crypto';
import { admitPod } from '../admission/service-account.ts';
import { asString, type JsonObject } from '../json.ts';
import { generateName } from '../kinds/names.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';
import { ensureMeta, nameOf, rfc3339 } from '../object.ts';
import { trackWrite } from '../patch/managed-fields.ts';
import { alreadyExists, badRequest, invalid, StatusError } from '../status.ts';
import type { ApiContext, Call } from './context.ts';
import { decode } from './decode.ts';
import {
  applyTypeDefaults,
  checkEscalation,
  checkNamespace,
  hasGeneration,
  mutateByWebhooks,
  validateObject,
} from './pipeline.ts';

export interface CreateOptions {
  /** Server-side apply tracks its own fields. */
  readonly managedFieldsDone?: boolean;
}

/** POST: the object as it was stored, in the version asked for. */
export async function create(
  context: ApiContext,
  type: ResourceType,
  namespace: string,
  body: JsonObject,
  call: Call,
  options: CreateOptions = {},
): Promise<JsonObject> {
  let object = decode(type, body, call);
  placeInNamespace(type, object, namespace);
  const applied = options.managedFieldsDone === true ? ensureMeta(object)['managedFields'] : undefined;
  stamp(type, object, context.now());
  checkNamespace(context, type, namespace, nameOf(object));
  if (type.hasStatus) delete object['status'];
  applyTypeDefaults(type, object);
  if (type.storage === '/pods') admitPod(context.store, object, namespace);
  object = await mutateByWebhooks(context, type, 'CREATE', '', object, undefined, call);
  if (type.hasStatus) delete object['status'];
  generateName(object);
  if (type.hasStatus && !type.custom && type.schema.properties?.['status'] !== undefined) object['status'] = {};
  type.strategy.prepare(object, undefined);
  if (type.storage === '/services') {
    const causes = context.serviceIps.assign(object, undefined);
    if (causes.length > 0) throw invalid(type.group, type.kind, nameOf(object), causes);
  }
  validateObject(type, object, undefined, '');
  checkEscalation(context, type, object, undefined, call);
  await context.admission.validate({
    operation: 'CREATE',
    type,
    subresource: '',
    namespace,
    name: nameOf(object),
    object,
    oldObject: undefined,
    call,
  });
  if (applied !== undefined) ensureMeta(object)['managedFields'] = applied;
  else trackWrite(type, object, undefined, call, '', context.now());
  return save(context, type, object, call);
}

function save(context: ApiContext, type: ResourceType, object: JsonObject, call: Call): JsonObject {
  const final = type.toStorage(object);
  const namespace = asString(ensureMeta(final)['namespace']);
  if (call.dryRun) {
    if (context.store.get(type.storage, namespace, nameOf(final)) !== undefined)
      throw alreadyExists(type, nameOf(final));
    return object;
  }
  const result = context.store.create(type.storage, final);
  if (!result.ok) throw alreadyExists(type, nameOf(object));
  return type.fromStorage(result.stored.object);
}

function placeInNamespace(type: ResourceType, object: JsonObject, namespace: string): void {
  const meta = ensureMeta(object);
  const given = asString(meta['namespace']);
  if (!type.namespaced) {
    delete meta['namespace'];
    return;
  }
  if (given !== '' && given !== namespace) {
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  }
  meta['namespace'] = namespace;
}

function stamp(type: ResourceType, object: JsonObject, nowMs: number): void {
  const meta = ensureMeta(object);
  if (asString(meta['resourceVersion']) !== '' && meta['resourceVersion'] !== '0') {
    throw new StatusError(400, 'BadRequest', 'resourceVersion should not be set on objects to be created');
  }
  for (const field of ['resourceVersion', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'generation'])
    delete meta[field];
  delete meta['managedFields'];
  meta['uid'] = randomUUID();
  meta['creationTimestamp'] = rfc3339(nowMs);
  if (hasGeneration(type)) meta['generation'] = 1;
  object['apiVersion'] = groupVersion(type);
  object['kind'] = type.kind;
}
