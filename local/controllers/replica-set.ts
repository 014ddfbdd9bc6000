import { isNotFound } from '../client/client.ts';
import type { Condition, Pod } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import { createKeyQueue, type KeyQueue } from '../client/queue.ts';
import { keyOf } from '../client/reflector.ts';
import type { Context, Controller } from './context.ts';
import type { ReplicaSet } from './kinds.ts';
import { controllerOf, matchesSelector } from './selector.ts';
import {
  canonical,
  compareVictims,
  isPodActive,
  isPodReady,
  msUntilAvailable,
  ownerReference,
  podFromTemplate,
} from './template.ts';

/** At most this many pods of one set are made or removed in one go; the next go follows at once. */
const BURST_MAX = 50;

/** Keeps as many pods as each ReplicaSet asks for. */
export class ReplicaSetController implements Controller {
  readonly #context: Context;
  readonly #queue: KeyQueue;
  /** Pods that we made or removed and that the watch has not shown yet, so that a late watch never leads to doubles. */
  readonly #created = new Map<string, Set<string>>();
  readonly #deleted = new Set<string>();

  constructor(context: Context) {
    this.#context = context;
    this.#queue = createKeyQueue({
      work: (key) => this.#sync(key),
      onError: (key, error) => context.onError(`replicaset ${key}: ${String(error)}`),
    });
    context.replicaSets.onChange((key) => this.#queue.add(key));
    context.pods.onChange((_key, now, before) => {
      const pod = now ?? before;
      if (pod === undefined) return;
      if (now === undefined) this.#deleted.delete(pod.metadata.uid ?? '');
      const owner = controllerOf(pod.metadata);
      if (owner?.kind === 'ReplicaSet') {
        this.#created.get(owner.uid)?.delete(pod.metadata.uid ?? '');
        this.#queue.add(`${pod.metadata.namespace}/${owner.name}`);
      } else if (owner === undefined) this.#queueAdopters(pod);
    });
  }

  #queueAdopters(pod: Pod): void {
    for (const set of this.#context.replicaSets.list()) {
      if (
        set.metadata.namespace === pod.metadata.namespace &&
        matchesSelector(set.spec.selector, pod.metadata.labels)
      ) {
        this.#queue.add(keyOf(set));
      }
    }
  }

  /** The set's pods; orphans that match are adopted, own pods that no longer match are let go. */
  async #podsOf(set: ReplicaSet): Promise<Pod[]> {
    const owned: Pod[] = [];
    for (const pod of this.#context.pods.list()) {
      if (pod.metadata.namespace !== set.metadata.namespace) continue;
      const owner = controllerOf(pod.metadata);
      const matches = matchesSelector(set.spec.selector, pod.metadata.labels);
      if (owner?.uid === set.metadata.uid) {
        if (matches) owned.push(pod);
        else await this.#release(pod, set);
      } else if (owner === undefined && matches && isPodActive(pod) && set.metadata.deletionTimestamp === undefined) {
        const reference = ownerReference({ ...set, apiVersion: 'apps/v1', kind: 'ReplicaSet' });
        const adopted = await this.#context.client.patch<Pod>(
          paths.core('pods', pod.metadata.namespace, pod.metadata.name),
          {
            metadata: { uid: pod.metadata.uid, ownerReferences: [...(pod.metadata.ownerReferences ?? []), reference] },
          },
        );
        if (adopted.ok) owned.push(adopted.value);
      }
    }
    return owned;
  }

  async #release(pod: Pod, set: ReplicaSet): Promise<void> {
    await this.#context.client.patch(paths.core('pods', pod.metadata.namespace, pod.metadata.name), {
      metadata: {
        uid: pod.metadata.uid,
        ownerReferences: (pod.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== set.metadata.uid),
      },
    });
  }

  async #sync(key: string): Promise<'done' | 'retry'> {
    const set = this.#context.replicaSets.get(key);
    if (set === undefined) return 'done';
    const uid = set.metadata.uid ?? '';
    const pods = await this.#podsOf(set);
    let failure: string | undefined;
    if (set.metadata.deletionTimestamp === undefined) {
      const unseen = this.#created.get(uid)?.size ?? 0;
      const active = pods.filter((pod) => isPodActive(pod) && !this.#deleted.has(pod.metadata.uid ?? ''));
      const missing = (set.spec.replicas ?? 1) - active.length - unseen;
      if (missing > 0) failure = await this.#create(set, Math.min(missing, BURST_MAX));
      else if (missing < 0 && unseen === 0) await this.#remove(set, active, Math.min(-missing, BURST_MAX));
      if (Math.abs(missing) > BURST_MAX) this.#queue.add(key);
    }
    const written = await this.#writeStatus(set, pods, failure);
    return failure === undefined && written ? 'done' : 'retry';
  }

  async #create(set: ReplicaSet, count: number): Promise<string | undefined> {
    const owner = { ...set, apiVersion: 'apps/v1', kind: 'ReplicaSet' };
    const body = podFromTemplate(owner, set.spec.template);
    const path = paths.core('pods', set.metadata.namespace);
    const unseen = this.#created.get(set.metadata.uid ?? '') ?? new Set<string>();
    this.#created.set(set.metadata.uid ?? '', unseen);
    // The first one alone: when it is refused, the others would be too.
    for (let done = 0, batch = 1; done < count; done += batch, batch = Math.min(batch * 4, 16)) {
      const size = Math.min(batch, count - done);
      const results = await Promise.all(
        Array.from({ length: size }, () => this.#context.client.create<Pod>(path, body)),
      );
      for (const result of results) {
        if (!result.ok) {
          this.#context.events.event(owner, 'Warning', 'FailedCreate', `Error creating: ${result.message}`);
          return result.message;
        }
        const { uid, name } = result.value.metadata;
        if (this.#context.pods.get(`${set.metadata.namespace}/${name}`) === undefined) unseen.add(uid ?? '');
        this.#context.events.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${name}`);
      }
    }
    return undefined;
  }

  async #remove(set: ReplicaSet, active: readonly Pod[], count: number): Promise<void> {
    const owner = { ...set, apiVersion: 'apps/v1', kind: 'ReplicaSet' };
    const victims = [...active].sort(compareVictims).slice(0, count);
    await Promise.all(
      victims.map(async (pod) => {
        this.#deleted.add(pod.metadata.uid ?? '');
        const result = await this.#context.client.remove(
          paths.core('pods', pod.metadata.namespace, pod.metadata.name),
          {
            preconditions: { uid: pod.metadata.uid },
          },
        );
        if (result.ok) {
          this.#context.events.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
        } else this.#deleted.delete(pod.metadata.uid ?? '');
      }),
    );
  }

  async #writeStatus(set: ReplicaSet, pods: readonly Pod[], failure: string | undefined): Promise<boolean> {
    const active = pods.filter(isPodActive);
    const minReady = set.spec.minReadySeconds ?? 0;
    const waits = active.map((pod) => msUntilAvailable(pod, minReady, Date.now()));
    const soon = Math.min(...waits.filter((ms) => ms !== undefined && ms > 0).map(Number));
    if (Number.isFinite(soon)) this.#queue.add(keyOf(set), soon + 5);
    const former = set.status?.conditions?.filter((condition) => condition.type !== 'ReplicaFailure') ?? [];
    const conditions: readonly Condition[] =
      failure === undefined
        ? former
        : [...former, { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: failure }];
    const labels = set.spec.template.metadata?.labels ?? {};
    const status = {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) =>
        Object.entries(labels).every(([key, value]) => pod.metadata.labels?.[key] === value),
      ).length,
      readyReplicas: active.filter(isPodReady).length,
      availableReplicas: waits.filter((ms) => ms === 0).length,
      observedGeneration: set.metadata.generation ?? 0,
      conditions,
    };
    if (
      canonical(status) ===
      canonical({ conditions: [], fullyLabeledReplicas: 0, readyReplicas: 0, availableReplicas: 0, ...set.status })
    )
      return true;
    const path = `${paths.apps('replicasets', set.metadata.namespace, set.metadata.name)}/status`;
    const written = await this.#context.client.patch(path, { metadata: { uid: set.metadata.uid }, status });
    return written.ok || isNotFound(written);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }
}
