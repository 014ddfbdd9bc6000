import { asNumber, asObjects, asString, at, type Json, type JsonObject } from '../json.ts';
import { isDeleting, labelsOf, ownersOf } from '../object.ts';
import { StatusError, tooManyRequests } from '../status.ts';
import { labelSelectorOf, matchesLabels } from '../store/selectors.ts';
import type { ApiContext } from './context.ts';

/**
 * Whether a pod may be evicted (policy/v1). There is no disruption controller here: what a budget still allows is counted from the pods
 * themselves at the moment of the eviction, which nothing else can overtake in one process.
 */
const isReady = (pod: JsonObject): boolean =>
  asObjects(at(pod, 'status', 'conditions')).some((item) => item['type'] === 'Ready' && item['status'] === 'True');

function owners(context: ApiContext, namespace: string, pods: readonly JsonObject[]): Map<string, number> | undefined {
  const expected = new Map<string, number>();
  for (const pod of pods) {
    const owner = ownersOf(pod).find((ref) => ref.controller);
    const storage = { ReplicaSet: 'apps/replicasets', StatefulSet: 'apps/statefulsets' }[owner?.kind ?? ''];
    if (owner === undefined || storage === undefined) return undefined;
    const stored = context.store.get(storage, namespace, owner.name)?.object;
    expected.set(owner.uid, asNumber(at(stored, 'spec', 'replicas')) ?? 0);
  }
  return expected;
}

/** A number of pods, or a percentage of them rounded up. */
function share(value: Json | undefined, of: number): number | undefined {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(asString(value))?.[1];
  return percent === undefined ? undefined : Math.ceil((Number(percent) * of) / 100);
}

interface Health {
  readonly healthy: number;
  /** Undefined where it cannot be told how many pods there should be. */
  readonly desired: number | undefined;
}

function healthOf(context: ApiContext, namespace: string, budget: JsonObject, pods: readonly JsonObject[]): Health {
  const healthy = pods.filter((pod) => isReady(pod) && !isDeleting(pod)).length;
  const minimum = at(budget, 'spec', 'minAvailable');
  if (typeof minimum === 'number') return { healthy, desired: minimum };
  const expected = owners(context, namespace, pods);
  if (expected === undefined) return { healthy, desired: undefined };
  const total = [...expected.values()].reduce((sum, count) => sum + count, 0);
  if (minimum !== undefined) return { healthy, desired: share(minimum, total) };
  const away = share(at(budget, 'spec', 'maxUnavailable'), total);
  return { healthy, desired: away === undefined ? undefined : Math.max(0, total - away) };
}

/** Throws when a PodDisruptionBudget forbids it. */
export function checkEviction(context: ApiContext, namespace: string, pod: JsonObject): void {
  const phase = at(pod, 'status', 'phase');
  if (isDeleting(pod) || phase === 'Pending' || phase === 'Succeeded' || phase === 'Failed') return;
  const selects = (budget: JsonObject, candidate: JsonObject): boolean =>
    matchesLabels(labelSelectorOf(at(budget, 'spec', 'selector')), labelsOf(candidate));
  const budgets = context.store
    .list('policy/poddisruptionbudgets', namespace)
    .filter(({ object }) => at(object, 'spec', 'selector') !== undefined && selects(object, pod));
  const [budget] = budgets;
  if (budget === undefined) return;
  if (budgets.length > 1) {
    const message = 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';
    throw new StatusError(500, 'InternalError', message);
  }
  const pods = context.store
    .list('/pods', namespace)
    .map(({ object }) => object)
    .filter((other) => selects(budget.object, other));
  const { healthy, desired } = healthOf(context, namespace, budget.object, pods);
  if (!isReady(pod)) {
    if (at(budget.object, 'spec', 'unhealthyPodEvictionPolicy') === 'AlwaysAllow') return;
    if (desired !== undefined && desired > 0 && healthy >= desired) return;
  }
  if (desired !== undefined && healthy - desired > 0) return;
  const why =
    desired === undefined
      ? 'the number of pods that it expects cannot be found'
      : `needs ${desired} healthy pods and has ${healthy} currently`;
  const refusal = tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.");
  const cause = { reason: 'DisruptionBudget', message: `The disruption budget ${budget.name} ${why}`, field: '' };
  throw new StatusError(refusal.code, refusal.reason, refusal.message, { ...refusal.details, causes: [cause] });
}
