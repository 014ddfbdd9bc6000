import { asString, asStrings, at, clone, ensure, type JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { finalizersOf, isDeleting } from '../object.ts';
import { conflict, notFound } from '../status.ts';
import type { ApiContext } from './context.ts';

/** namespaces/finalize: the only way to change spec.finalizers; the last one gone, the namespace goes. */
export function finalizeNamespace(context: ApiContext, type: ResourceType, name: string, body: JsonObject): JsonObject {
  const stored = context.store.get(type.storage, '', name);
  if (stored === undefined) throw notFound(type, name);
  const asked = asString(at(body, 'metadata', 'resourceVersion'));
  if (asked !== '' && asked !== String(stored.revision)) throw conflict(type, name);
  const next = clone(stored.object);
  const finalizers = asStrings(at(body, 'spec', 'finalizers'));
  if (finalizers.length > 0) ensure(next, 'spec')['finalizers'] = finalizers;
  else next['spec'] = {};
  const result = context.store.update(type.storage, next, stored.revision);
  if (!result.ok) throw conflict(type, name);
  if (finalizers.length === 0 && isDeleting(next) && finalizersOf(next).length === 0) {
    context.store.delete(type.storage, '', name, result.stored.revision);
  }
  return result.stored.object;
}
