import { isConflict, isNotFound } from '../client/client.ts';
import type { NodeObject, Pod } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import { createKeyQueue, type KeyQueue } from '../client/queue.ts';
import { keyOf } from '../client/reflector.ts';
import type { Context, Controller } from './context.ts';
import { matchesLabels } from './selector.ts';
import { isPodFinished } from './template.ts';

const isBound = (pod: Pod): boolean => pod.spec.nodeName !== undefined && pod.spec.nodeName !== '';

/** Binds pods to a node that is ready and that the pod's nodeSelector allows; with several, to the one with the fewest pods. */
export class Scheduler implements Controller {
  readonly #context: Context;
  readonly #queue: KeyQueue;

  constructor(context: Context) {
    this.#context = context;
    this.#queue = createKeyQueue({
      work: (key) => this.#sync(key),
      onError: (key, error) => context.onError(`schedule ${key}: ${String(error)}`),
    });
    context.pods.onChange((key, now) => {
      if (now !== undefined && !isBound(now)) this.#queue.add(key);
    });
    context.nodes.onChange((_key, now, before) => {
      // Heartbeats change nodes all the time: look again only when one became usable.
      if (now === undefined || (before !== undefined && isUsable(before))) return;
      for (const pod of context.pods.list()) if (!isBound(pod)) this.#queue.add(keyOf(pod));
    });
  }

  #choose(pod: Pod): NodeObject | undefined {
    const load = new Map<string, number>();
    for (const other of this.#context.pods.list()) {
      const name = other.spec.nodeName;
      if (name !== undefined && !isPodFinished(other)) load.set(name, (load.get(name) ?? 0) + 1);
    }
    return this.#context.nodes
      .list()
      .filter((node) => isUsable(node) && matchesLabels(pod.spec.nodeSelector, node.metadata.labels))
      .sort((a, b) => (load.get(a.metadata.name) ?? 0) - (load.get(b.metadata.name) ?? 0))[0];
  }

  async #sync(key: string): Promise<'done' | 'retry'> {
    const pod = this.#context.pods.get(key);
    if (pod === undefined || isBound(pod) || pod.metadata.deletionTimestamp !== undefined || isPodFinished(pod))
      return 'done';
    const { namespace, name, uid } = pod.metadata;
    const about = { ...pod, kind: 'Pod', apiVersion: 'v1' };
    const node = this.#choose(pod);
    if (node === undefined) {
      const message = `0/${this.#context.nodes.list().length} nodes are available: none is ready and fits the pod's nodeSelector.`;
      await this.#markUnschedulable(pod, message);
      this.#context.events.event(about, 'Warning', 'FailedScheduling', message);
      return 'done';
    }
    const bound = await this.#context.client.create(`${paths.core('pods', namespace, name)}/binding`, {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node.metadata.name },
    });
    if (bound.ok) {
      this.#context.events.event(about, 'Normal', 'Scheduled', `Successfully assigned ${key} to ${node.metadata.name}`);
      return 'done';
    }
    if (isNotFound(bound) || isConflict(bound)) return 'done';
    this.#context.onError(`bind ${key}: ${bound.message}`);
    return 'retry';
  }

  async #markUnschedulable(pod: Pod, message: string): Promise<void> {
    const former = pod.status?.conditions?.find((item) => item.type === 'PodScheduled');
    if (former?.status === 'False' && former.message === message) return;
    const { namespace, name, uid } = pod.metadata;
    await this.#context.client.patch(`${paths.core('pods', namespace, name)}/status`, {
      metadata: { uid },
      status: {
        conditions: [
          ...(pod.status?.conditions ?? []).filter((item) => item.type !== 'PodScheduled'),
          {
            type: 'PodScheduled',
            status: 'False',
            reason: 'Unschedulable',
            message,
            lastTransitionTime: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
          },
        ],
      },
    });
  }

  close(): Promise<void> {
    return this.#queue.close();
  }
}

function isUsable(node: NodeObject): boolean {
  const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready');
  return ready?.status === 'True' && node.spec?.unschedulable !== true && node.metadata.deletionTimestamp === undefined;
}
