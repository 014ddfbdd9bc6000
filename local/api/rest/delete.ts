import { asNumber, asObject, asString, asStrings, at, clone, type JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { ensureMeta, finalizersOf, isDeleting, metaOf, nameOf, rfc3339, uidOf } from '../object.ts';
import { badRequest, conflict, notFound } from '../status.ts';
import type { Stored } from '../store/store.ts';
import type { ApiContext, Call } from './context.ts';

/** DELETE with preconditions, finalizers, propagation policy and, for pods on a node, grace. */
export interface DeleteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: '' | 'Background' | 'Foreground' | 'Orphan';
  readonly uid: string;
  readonly resourceVersion: string;
}

export interface Deleted {
  readonly object: JsonObject;
  /** False while finalizers, grace or content of a namespace keep it. */
  readonly gone: boolean;
}

export function readDeleteOptions(body: JsonObject, query: URLSearchParams): DeleteOptions {
  const grace = query.get('gracePeriodSeconds');
  const orphan =
    body['orphanDependents'] ??
    (query.get('orphanDependents') === null ? undefined : query.get('orphanDependents') === 'true');
  const policy =
    asString(body['propagationPolicy']) || (query.get('propagationPolicy') ?? '') || (orphan === true ? 'Orphan' : '');
  if (policy !== '' && policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw badRequest(`invalid propagationPolicy ${JSON.stringify(policy)}: must be Background, Foreground or Orphan`);
  }
  return {
    gracePeriodSeconds: asNumber(body['gracePeriodSeconds']) ?? (grace === null ? undefined : Number(grace)),
    propagationPolicy: policy,
    uid: asString(at(body, 'preconditions', 'uid')),
    resourceVersion: asString(at(body, 'preconditions', 'resourceVersion')),
  };
}

export const background: DeleteOptions = {
  gracePeriodSeconds: undefined,
  propagationPolicy: 'Background',
  uid: '',
  resourceVersion: '',
};

const attemptsMax = 5;

export async function remove(
  context: ApiContext,
  type: ResourceType,
  namespace: string,
  name: string,
  options: DeleteOptions,
  call: Call,
): Promise<Deleted> {
  for (let attempt = 1; ; attempt++) {
    const stored = context.store.get(type.storage, namespace, name);
    if (stored === undefined) throw notFound(type, name);
    checkPreconditions(type, stored, options);
    const object = type.fromStorage(stored.object);
    const input = { operation: 'DELETE', type, subresource: '', namespace, name, object: undefined } as const;
    // There is nothing to change, but a mutating webhook may refuse, too.
    await context.admission.mutate({ ...input, oldObject: object, call });
    await context.admission.validate({ ...input, oldObject: object, call });
    const done = removeOnce(context, type, stored, options, call);
    if (done !== undefined) return { ...done, object: type.fromStorage(done.object) };
    if (attempt >= attemptsMax) throw conflict(type, name);
  }
}

function checkPreconditions(type: ResourceType, stored: Stored, options: DeleteOptions): void {
  const uid = uidOf(stored.object);
  if (options.uid !== '' && options.uid !== uid) {
    throw conflict(
      type,
      stored.name,
      `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`,
    );
  }
  if (options.resourceVersion !== '' && options.resourceVersion !== String(stored.revision)) {
    throw conflict(
      type,
      stored.name,
      `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${stored.revision}`,
    );
  }
}

/** Undefined when another writer was faster. */
function removeOnce(
  context: ApiContext,
  type: ResourceType,
  stored: Stored,
  options: DeleteOptions,
  call: Call,
): Deleted | undefined {
  const next = clone(stored.object);
  const finalizers = finalizersFor(next, options);
  const grace = graceFor(type, next, options);
  const held = finalizers.length > 0 || holdsContent(type, next) || grace > 0;
  if (!held) {
    if (call.dryRun) return { object: stored.object, gone: true };
    const result = context.store.delete(type.storage, stored.namespace, stored.name, stored.revision);
    return result.ok ? { object: result.stored.object, gone: true } : undefined;
  }
  const meta = ensureMeta(next);
  if (finalizers.length > 0) meta['finalizers'] = finalizers;
  if (!isDeleting(stored.object)) {
    meta['deletionTimestamp'] = rfc3339(context.now() + grace * 1000);
    if (typeof meta['generation'] === 'number') meta['generation'] += 1;
    meta['deletionGracePeriodSeconds'] = grace;
  } else if (grace < (asNumber(meta['deletionGracePeriodSeconds']) ?? 0)) {
    meta['deletionGracePeriodSeconds'] = grace;
    meta['deletionTimestamp'] = rfc3339(
      Math.min(context.now() + grace * 1000, Date.parse(asString(meta['deletionTimestamp']))),
    );
  }
  if (type.storage === '/namespaces') next['status'] = { ...(asObject(next['status']) ?? {}), phase: 'Terminating' };
  if (call.dryRun || JSON.stringify(next) === JSON.stringify(stored.object)) return { object: next, gone: false };
  const result = context.store.update(type.storage, next, stored.revision);
  return result.ok ? { object: result.stored.object, gone: false } : undefined;
}

function finalizersFor(object: JsonObject, options: DeleteOptions): string[] {
  const others = finalizersOf(object).filter((name) => name !== 'orphan' && name !== 'foregroundDeletion');
  switch (options.propagationPolicy) {
    case 'Orphan':
      return [...others, 'orphan'];
    case 'Foreground':
      return [...others, 'foregroundDeletion'];
    case 'Background':
      return others;
    case '':
      return finalizersOf(object);
  }
}

/** A namespace and a definition stay until what is in them is gone. */
function holdsContent(type: ResourceType, object: JsonObject): boolean {
  if (type.storage === '/namespaces') return asStrings(at(object, 'spec', 'finalizers')).length > 0;
  return false;
}

/** Seconds that the node agent has to stop a pod; it then deletes with 0. A pod on no node, or one that is over, goes at once. */
function graceFor(type: ResourceType, object: JsonObject, options: DeleteOptions): number {
  if (type.storage !== '/pods') return 0;
  if (asString(at(object, 'spec', 'nodeName')) === '') return 0;
  const phase = at(object, 'status', 'phase');
  if (phase === 'Succeeded' || phase === 'Failed') return options.gracePeriodSeconds ?? 0;
  const wanted = options.gracePeriodSeconds ?? asNumber(at(object, 'spec', 'terminationGracePeriodSeconds')) ?? 30;
  const running = asNumber(metaOf(object)['deletionGracePeriodSeconds']);
  // A second delete may shorten the grace, never lengthen it.
  return Math.max(
    0,
    running === undefined || options.gracePeriodSeconds === undefined ? (running ?? wanted) : Math.min(running, wanted),
  );
}

export const detailsOf = (type: ResourceType, object: JsonObject): JsonObject => ({
  name: nameOf(object),
  ...(type.group === '' ? {} : { group: type.group }),
  kind: type.plural,
  uid: uidOf(object),
});
