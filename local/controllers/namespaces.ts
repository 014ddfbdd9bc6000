import { isConflict } from '../client/client.ts';
import { paths } from '../client/paths.ts';
import { createKeyQueue, type KeyQueue } from '../client/queue.ts';
import { type Context, type Controller, type NamespaceObject, ROOT_CA } from './context.ts';

/** Gives every namespace its ServiceAccount `default` and the ConfigMap with the API's certificate authority. */
export class NamespaceDefaults implements Controller {
  readonly #context: Context;
  readonly #queue: KeyQueue;

  constructor(context: Context) {
    this.#context = context;
    this.#queue = createKeyQueue({
      work: (key) => this.#sync(key),
      onError: (key, error) => context.onError(`namespace ${key}: ${String(error)}`),
    });
    context.namespaces.onChange((key) => this.#queue.add(key));
    for (const reflector of [context.serviceAccounts, context.rootConfigMaps]) {
      reflector.onChange((_key, now, before) => {
        const namespace = (now ?? before)?.metadata.namespace;
        if (namespace !== undefined) this.#queue.add(namespace);
      });
    }
  }

  async #sync(name: string): Promise<'done' | 'retry'> {
    const namespace = this.#context.namespaces.get(name);
    if (namespace === undefined || isTerminating(namespace)) return 'done';
    const done = await Promise.all([this.#account(name), this.#rootCa(name)]);
    return done.every(Boolean) ? 'done' : 'retry';
  }

  async #account(namespace: string): Promise<boolean> {
    if (this.#context.serviceAccounts.get(`${namespace}/default`) !== undefined) return true;
    const made = await this.#context.client.create(paths.core('serviceaccounts', namespace), {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    });
    return made.ok || isConflict(made) || isForbidden(made.status);
  }

  async #rootCa(namespace: string): Promise<boolean> {
    const existing = this.#context.rootConfigMaps.get(`${namespace}/${ROOT_CA}`);
    const data = { 'ca.crt': this.#context.caPem };
    if (existing?.data?.['ca.crt'] === this.#context.caPem) return true;
    const path = paths.core('configmaps', namespace);
    const result =
      existing === undefined
        ? await this.#context.client.create(path, {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            metadata: { name: ROOT_CA, namespace },
            data,
          })
        : await this.#context.client.patch(`${path}/${ROOT_CA}`, { data });
    return result.ok || isConflict(result) || isForbidden(result.status);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }
}

/** A namespace that began to end in between refuses new objects, and rightly so. */
const isForbidden = (status: number): boolean => status === 403 || status === 404;

function isTerminating(namespace: NamespaceObject): boolean {
  return namespace.metadata.deletionTimestamp !== undefined || namespace.status?.phase === 'Terminating';
}
