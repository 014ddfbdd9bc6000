import { rulesOf } from '../auth/rbac.ts';
import { asObject, asString, at, clone, equal, type JsonObject } from '../json.ts';
import { nameRuleOf, validateMeta } from '../kinds/names.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { nameOf } from '../object.ts';
import { validateRules } from '../schema/cel.ts';
import { applyDefaults } from '../schema/defaults.ts';
import { validateRoot } from '../schema/validate.ts';
import { type Cause, forbidden, invalid, notFound, StatusError } from '../status.ts';
import type { ApiContext, Call } from './context.ts';
import { removeUnknown } from './decode.ts';

/** The steps that create and update share: defaults, admission by webhooks, validation. */
export function applyTypeDefaults(type: ResourceType, object: JsonObject): void {
  if (type.custom) applyDefaults(object, type.schema);
  else type.strategy.defaults(object);
}

export function validateObject(
  type: ResourceType,
  object: JsonObject,
  old: JsonObject | undefined,
  subresource: string,
): void {
  const causes: Cause[] = validateMeta(object, nameRuleOf(type.group, type.kind), type.namespaced);
  const schema = type.schema;
  const structural = validateRoot(object, schema);
  causes.push(...structural);
  if (type.custom) {
    // Rules assume a value that fits the schema.
    if (structural.length === 0) causes.push(...validateRules(object, old, schema));
  } else if (subresource === '') {
    causes.push(...type.strategy.validate(object));
    if (old !== undefined) causes.push(...type.strategy.validateUpdate(object, old));
  }
  if (causes.length > 0) throw invalid(type.group, type.kind, nameOf(object), dedupe(causes));
}

function dedupe(causes: readonly Cause[]): Cause[] {
  const seen = new Set<string>();
  return causes.filter((cause) => {
    const key = `${cause.field} ${cause.message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Namespaced content only goes into a namespace that exists and is not being deleted. */
export function checkNamespace(context: ApiContext, type: ResourceType, namespace: string, name: string): void {
  if (!type.namespaced) return;
  const stored = context.store.get('/namespaces', '', namespace);
  if (stored === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
  if (at(stored.object, 'status', 'phase') !== 'Terminating') return;
  const refusal = forbidden(
    type,
    name,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  };
  throw new StatusError(refusal.code, refusal.reason, refusal.message, { ...refusal.details, causes: [cause] });
}

/** Mutating webhooks may answer with anything: what comes back is brought into shape like a body. */
export async function mutateByWebhooks(
  context: ApiContext,
  type: ResourceType,
  operation: 'CREATE' | 'UPDATE',
  subresource: string,
  object: JsonObject,
  old: JsonObject | undefined,
  call: Call,
): Promise<JsonObject> {
  const namespace = asString(at(object, 'metadata', 'namespace'));
  const input = { operation, type, subresource, namespace, name: nameOf(object), object, oldObject: old, call };
  const mutated = (await context.admission.mutate(input)) ?? object;
  if (mutated === object) return object;
  removeUnknown(type, mutated);
  applyTypeDefaults(type, mutated);
  return mutated;
}

const rbacGroup = 'rbac.authorization.k8s.io';

/** Nobody grants what they lack (RBAC, "privilege escalation prevention"). */
export function checkEscalation(
  context: ApiContext,
  type: ResourceType,
  object: JsonObject,
  old: JsonObject | undefined,
  call: Call,
): void {
  if (type.group !== rbacGroup) return;
  const namespace = asString(at(object, 'metadata', 'namespace'));
  const allowed = (verb: string, resource: string, name: string): boolean =>
    context.authorizer.authorize(call.user, {
      verb,
      group: rbacGroup,
      resource,
      subresource: '',
      name,
      namespace,
      path: '',
    }).allowed;
  const isRole = type.kind === 'Role' || type.kind === 'ClusterRole';
  if (old !== undefined && equal(at(object, isRole ? 'rules' : 'subjects'), at(old, isRole ? 'rules' : 'subjects')))
    return;
  if (isRole) {
    if (allowed('escalate', type.plural, nameOf(object))) return;
    refuseIfLacking(context, type, object, namespace, rulesOf(object), call);
    return;
  }
  const roleKind = asString(at(object, 'roleRef', 'kind'));
  const roleName = asString(at(object, 'roleRef', 'name'));
  if (allowed('bind', roleKind === 'Role' ? 'roles' : 'clusterroles', roleName)) return;
  const role = context.authorizer.roleOf(object, namespace);
  if (role === undefined) {
    if (call.user.groups.includes('system:masters')) return;
    throw notFound({ group: rbacGroup, plural: roleKind === 'Role' ? 'roles' : 'clusterroles' }, roleName);
  }
  refuseIfLacking(context, type, object, namespace, rulesOf(role), call);
}

function refuseIfLacking(
  context: ApiContext,
  type: ResourceType,
  object: JsonObject,
  namespace: string,
  rules: ReturnType<typeof rulesOf>,
  call: Call,
): void {
  const lacking = context.authorizer.lacking(call.user, namespace, rules);
  if (lacking === undefined) return;
  const shown = `{APIGroups:${JSON.stringify(lacking.apiGroups)}, Resources:${JSON.stringify(lacking.resources)}, Verbs:${JSON.stringify(lacking.verbs)}}`;
  throw forbidden(
    type,
    nameOf(object),
    `user "${call.user.name}" (groups=${JSON.stringify(call.user.groups)}) is attempting to grant RBAC permissions not currently held:\n${shown}`,
  );
}

/** Kinds whose metadata.generation counts changes of what a user wants. */
export function hasGeneration(type: ResourceType): boolean {
  if (type.custom) return true;
  if (type.group === '') return type.kind === 'Pod';
  return !['coordination.k8s.io', 'events.k8s.io', rbacGroup, 'storage.k8s.io', 'scheduling.k8s.io'].includes(
    type.group,
  );
}

/** Everything but metadata and, where it has a subresource of its own, status. */
export function wanted(type: ResourceType, object: JsonObject): JsonObject {
  const out: JsonObject = { ...object };
  for (const field of ['metadata', 'apiVersion', 'kind']) delete out[field];
  if (type.hasStatus) delete out['status'];
  return out;
}

export function copyStatus(from: JsonObject, to: JsonObject): void {
  const status = from['status'];
  if (status === undefined) delete to['status'];
  else to['status'] = clone(asObject(status) ?? status);
}
