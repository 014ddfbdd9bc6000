import { isNotFound } from '../client/client.ts';
import { paths } from '../client/paths.ts';
import { createKeyQueue, type KeyQueue } from '../client/queue.ts';
import { keyOf } from '../client/reflector.ts';
import type { Context, Controller } from './context.ts';
import { deploymentStatus, progressDeadlineMs } from './deployment-status.ts';
import type { Deployment, ReplicaSet } from './kinds.ts';
import { nextSizes, type RolloutBounds, rolloutBounds, type SetView } from './rollout.ts';
import { controllerOf, matchesSelector } from './selector.ts';
import { canonical, HASH_LABEL, ownerReference, templateHash, templateText } from './template.ts';

const REVISION = 'deployment.kubernetes.io/revision';
const HISTORY_LIMIT_DEFAULT = 10;
/** Written on sets by kubectl and this controller; never copied from the Deployment. */
const OWN_ANNOTATIONS = new Set([
  REVISION,
  'deployment.kubernetes.io/revision-history',
  'deployment.kubernetes.io/desired-replicas',
  'deployment.kubernetes.io/max-replicas',
  'deprecated.deployment.rollback.to',
  'kubectl.kubernetes.io/last-applied-configuration',
]);

const revisionOf = (object: { readonly metadata: ReplicaSet['metadata'] }): number =>
  Number(object.metadata.annotations?.[REVISION] ?? 0) || 0;

const created = (set: ReplicaSet): number => Date.parse(set.metadata.creationTimestamp ?? '') || 0;

/** Moves each Deployment's pods from old templates to the current one, by way of ReplicaSets. */
export class DeploymentController implements Controller {
  readonly #context: Context;
  readonly #queue: KeyQueue;
  /** Sets just made that the watch has not shown yet. */
  readonly #fresh = new Map<string, ReplicaSet>();

  constructor(context: Context) {
    this.#context = context;
    this.#queue = createKeyQueue({
      work: (key) => this.#sync(key),
      onError: (key, error) => context.onError(`deployment ${key}: ${String(error)}`),
    });
    context.deployments.onChange((key) => this.#queue.add(key));
    context.replicaSets.onChange((_key, now, before) => {
      const set = now ?? before;
      if (set === undefined) return;
      this.#fresh.delete(set.metadata.uid ?? '');
      const owner = controllerOf(set.metadata);
      if (owner?.kind === 'Deployment') this.#queue.add(`${set.metadata.namespace}/${owner.name}`);
    });
    // A Recreate waits for pods to go, and those changes do not always show in the set.
    context.pods.onChange((_key, now, before) => {
      const owner = now === undefined && before !== undefined ? controllerOf(before.metadata) : undefined;
      if (owner?.kind !== 'ReplicaSet' || before === undefined) return;
      const set = context.replicaSets.get(`${before.metadata.namespace}/${owner.name}`);
      const parent = set === undefined ? undefined : controllerOf(set.metadata);
      if (parent !== undefined) this.#queue.add(`${before.metadata.namespace}/${parent.name}`);
    });
  }

  async #setsOf(deployment: Deployment): Promise<ReplicaSet[]> {
    const sets: ReplicaSet[] = [];
    const known = this.#context.replicaSets.list();
    const seen = new Set(known.map((set) => set.metadata.uid));
    for (const set of [...known, ...[...this.#fresh.values()].filter((item) => !seen.has(item.metadata.uid))]) {
      if (set.metadata.namespace !== deployment.metadata.namespace) continue;
      const owner = controllerOf(set.metadata);
      if (owner?.uid === deployment.metadata.uid) sets.push(set);
      else if (owner === undefined && matchesSelector(deployment.spec.selector, set.metadata.labels)) {
        const reference = ownerReference({ ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' });
        const adopted = await this.#context.client.patch<ReplicaSet>(this.#path(set), {
          metadata: { uid: set.metadata.uid, ownerReferences: [...(set.metadata.ownerReferences ?? []), reference] },
        });
        if (adopted.ok) sets.push(adopted.value);
      }
    }
    return sets.sort((a, b) => created(a) - created(b) || revisionOf(a) - revisionOf(b));
  }

  #path(set: ReplicaSet): string {
    return paths.apps('replicasets', set.metadata.namespace, set.metadata.name);
  }

  async #sync(key: string): Promise<'done' | 'retry'> {
    const deployment = this.#context.deployments.get(key);
    if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return 'done';
    const sets = await this.#setsOf(deployment);
    const wanted = templateText(deployment.spec.template);
    let current = sets.find((set) => templateText(set.spec.template) === wanted);
    const old = sets.filter((set) => set !== current);
    const paused = deployment.spec.paused === true;
    const bounds = this.#bounds(deployment);
    if (current === undefined && !paused) {
      const made = await this.#createSet(deployment, old, bounds);
      if (made === undefined) return 'retry';
      current = made;
    } else if (current !== undefined) {
      const numbered = await this.#number(deployment, current, old);
      if (numbered === undefined) return 'retry';
      current = numbered;
    }
    const scaled = current === undefined ? true : await this.#scale(deployment, current, old, bounds, paused);
    const cleaned = await this.#cleanHistory(deployment, old);
    const written = await this.#writeStatus(
      deployment,
      current,
      [...old, ...(current === undefined ? [] : [current])],
      bounds,
    );
    return scaled && cleaned && written ? 'done' : 'retry';
  }

  #bounds(deployment: Deployment): RolloutBounds {
    return rolloutBounds(deployment.spec.strategy?.rollingUpdate, deployment.spec.replicas ?? 1);
  }

  async #createSet(
    deployment: Deployment,
    old: readonly ReplicaSet[],
    bounds: RolloutBounds,
  ): Promise<ReplicaSet | undefined> {
    const { template, selector, minReadySeconds } = deployment.spec;
    const hash = templateHash(template);
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    const replicas = deployment.spec.replicas ?? 1;
    const owner = { ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' };
    const result = await this.#context.client.create<ReplicaSet>(
      paths.apps('replicasets', deployment.metadata.namespace),
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: {
          name: `${deployment.metadata.name}-${hash}`,
          namespace: deployment.metadata.namespace,
          labels: { ...template.metadata?.labels, [HASH_LABEL]: hash },
          annotations: {
            ...Object.fromEntries(
              Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !OWN_ANNOTATIONS.has(name)),
            ),
            [REVISION]: String(revision),
            'deployment.kubernetes.io/desired-replicas': String(replicas),
            'deployment.kubernetes.io/max-replicas': String(replicas + bounds.maxSurge),
          },
          ownerReferences: [ownerReference(owner)],
        },
        spec: {
          replicas: 0,
          selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH_LABEL]: hash } },
          template: {
            ...template,
            metadata: { ...template.metadata, labels: { ...template.metadata?.labels, [HASH_LABEL]: hash } },
          },
          ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
        },
      },
    );
    if (!result.ok) {
      this.#context.events.event(owner, 'Warning', 'ReplicaSetCreateError', result.message);
      this.#context.onError(`deployment ${keyOf(deployment)}: ${result.message}`);
      return undefined;
    }
    this.#fresh.set(result.value.metadata.uid ?? '', result.value);
    return (await this.#setRevision(deployment, revision)) ? result.value : undefined;
  }

  /** A set that became current again (`rollout undo`) takes the next revision number. */
  async #number(
    deployment: Deployment,
    current: ReplicaSet,
    old: readonly ReplicaSet[],
  ): Promise<ReplicaSet | undefined> {
    const newest = Math.max(0, ...old.map(revisionOf));
    let set = current;
    if (revisionOf(current) <= newest) {
      const history = current.metadata.annotations?.['deployment.kubernetes.io/revision-history'];
      const former = [history, String(revisionOf(current))]
        .filter((text) => text !== undefined && text !== '')
        .join(',');
      const patched = await this.#context.client.patch<ReplicaSet>(this.#path(current), {
        metadata: {
          uid: current.metadata.uid,
          annotations: { [REVISION]: String(newest + 1), 'deployment.kubernetes.io/revision-history': former },
        },
      });
      if (!patched.ok) return undefined;
      set = patched.value;
    }
    return (await this.#setRevision(deployment, revisionOf(set))) ? set : undefined;
  }

  async #setRevision(deployment: Deployment, revision: number): Promise<boolean> {
    if (revisionOf(deployment) === revision) return true;
    const patched = await this.#context.client.patch(
      paths.apps('deployments', deployment.metadata.namespace, deployment.metadata.name),
      { metadata: { uid: deployment.metadata.uid, annotations: { [REVISION]: String(revision) } } },
    );
    return patched.ok || isNotFound(patched);
  }

  async #scale(
    deployment: Deployment,
    current: ReplicaSet,
    old: readonly ReplicaSet[],
    bounds: RolloutBounds,
    paused: boolean,
  ): Promise<boolean> {
    const replicas = deployment.spec.replicas ?? 1;
    const uids = new Set(old.map((set) => set.metadata.uid));
    const oldPods = this.#context.pods.list().filter((pod) => uids.has(controllerOf(pod.metadata)?.uid)).length;
    const active = old.filter((set) => (set.spec.replicas ?? 0) > 0 || (set.status?.replicas ?? 0) > 0);
    // While paused, a rollout does not go on, but a Deployment with a single live set still scales.
    if (paused && active.length > 0) return true;
    const sizes = nextSizes({
      replicas,
      bounds,
      recreate: deployment.spec.strategy?.type === 'Recreate',
      current: viewOf(current),
      old: active.map(viewOf),
      oldPods,
    });
    let done = true;
    for (const set of [current, ...active]) {
      const size = sizes.get(set.metadata.name) ?? 0;
      if (size === (set.spec.replicas ?? 0)) continue;
      const from = set.spec.replicas ?? 0;
      const patched = await this.#context.client.patch<ReplicaSet>(this.#path(set), {
        metadata: {
          uid: set.metadata.uid,
          annotations: { 'deployment.kubernetes.io/desired-replicas': String(replicas) },
        },
        spec: { replicas: size },
      });
      if (!patched.ok) done = false;
      else {
        this.#context.events.event(
          { ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' },
          'Normal',
          'ScalingReplicaSet',
          `Scaled ${size > from ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${size}`,
        );
      }
    }
    return done;
  }

  async #cleanHistory(deployment: Deployment, old: readonly ReplicaSet[]): Promise<boolean> {
    const limit = deployment.spec.revisionHistoryLimit ?? HISTORY_LIMIT_DEFAULT;
    const idle = old.filter((set) => (set.spec.replicas ?? 0) === 0 && (set.status?.replicas ?? 0) === 0);
    const surplus = idle.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, idle.length - limit));
    for (const set of surplus) {
      const removed = await this.#context.client.remove(this.#path(set), { preconditions: { uid: set.metadata.uid } });
      if (!removed.ok && !isNotFound(removed)) return false;
    }
    return true;
  }

  async #writeStatus(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    sets: readonly ReplicaSet[],
    bounds: RolloutBounds,
  ): Promise<boolean> {
    const status = deploymentStatus(deployment, current, sets, bounds, Date.now());
    const deadlineMs = progressDeadlineMs(deployment, status, Date.now());
    if (deadlineMs !== undefined) this.#queue.add(keyOf(deployment), deadlineMs);
    if (canonical(status) === canonical(deployment.status)) return true;
    const path = `${paths.apps('deployments', deployment.metadata.namespace, deployment.metadata.name)}/status`;
    const written = await this.#context.client.patch(path, { metadata: { uid: deployment.metadata.uid }, status });
    return written.ok || isNotFound(written);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }
}

function viewOf(set: ReplicaSet): SetView {
  return {
    name: set.metadata.name,
    desired: set.spec.replicas ?? 0,
    replicas: set.status?.replicas ?? 0,
    ready: set.status?.readyReplicas ?? 0,
    available: Math.min(set.status?.availableReplicas ?? 0, set.spec.replicas ?? 0),
  };
}
