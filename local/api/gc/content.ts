import { asString, at, clone } from '../json.ts';
import { definitionsStorage } from '../kinds/definitions.ts';
import { storageKey } from '../kinds/resource.ts';
import { ensureMeta, finalizersOf, isDeleting, uidOf } from '../object.ts';
import { type ApiContext, systemCall } from '../rest/context.ts';
import { background, remove } from '../rest/delete.ts';
import { finalizeNamespace } from '../rest/finalize.ts';
import { StatusError } from '../status.ts';
import type { Stored, StoreEvent } from '../store/store.ts';
import { WorkQueue } from './work-queue.ts';

/** Empties what is being deleted: namespaces of everything in them, definitions of their objects. Old Events go by age. */
const definitionFinalizer = 'customresourcecleanup.apiextensions.k8s.io';
const namespacesStorage = storageKey('', 'namespaces');
const eventsStorage = storageKey('', 'events');
const eventKeptMs = 60 * 60_000;
const sweepMs = 60_000;

export class ContentCleaner {
  readonly #context: ApiContext;
  readonly #queue: WorkQueue;
  readonly #stop: () => void;
  readonly #sweeper: NodeJS.Timeout;

  constructor(context: ApiContext) {
    this.#context = context;
    this.#queue = new WorkQueue((key) => this.#work(key));
    for (const storage of [namespacesStorage, definitionsStorage]) {
      for (const stored of context.store.list(storage)) this.#consider(stored);
    }
    this.#stop = context.store.subscribe((event) => this.#onEvent(event));
    this.#sweeper = setInterval(() => this.#sweepEvents(), sweepMs);
    this.#sweeper.unref();
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#stop();
    this.#queue.close();
  }

  #consider(stored: Stored): void {
    if (
      stored.resource === definitionsStorage &&
      !isDeleting(stored.object) &&
      !finalizersOf(stored.object).includes(definitionFinalizer)
    ) {
      this.#queue.add(`definition|${stored.name}`);
    }
    if (!isDeleting(stored.object)) return;
    if (stored.resource === namespacesStorage) this.#queue.add(`namespace|${stored.name}`);
    if (stored.resource === definitionsStorage) this.#queue.add(`definition|${stored.name}`);
  }

  #onEvent({ type, current }: StoreEvent): void {
    if (type !== 'DELETED') {
      this.#consider(current);
      return;
    }
    const namespace = this.#context.store.get(namespacesStorage, '', current.namespace);
    if (namespace !== undefined) this.#consider(namespace);
    const definition = this.#context.store
      .list(definitionsStorage)
      .find((stored) => storageOf(stored) === current.resource);
    if (definition !== undefined) this.#consider(definition);
  }

  #work(key: string): Promise<void> {
    const [kind, name = ''] = key.split('|');
    return kind === 'namespace' ? this.#emptyNamespace(name) : this.#syncDefinition(name);
  }

  async #emptyNamespace(name: string): Promise<void> {
    const { store, registry } = this.#context;
    const namespace = store.get(namespacesStorage, '', name);
    const type = registry.find('', 'v1', 'namespaces');
    if (namespace === undefined || type === undefined || !isDeleting(namespace.object)) return;
    let left = 0;
    for (const resource of store.resources()) {
      for (const stored of store.list(resource, name)) {
        if (!isDeleting(stored.object)) await this.#delete(stored);
        if (store.get(resource, name, stored.name) !== undefined) left++;
      }
    }
    // What waits for a finalizer or for the node agent comes back here when it goes.
    if (left === 0 && store.get(namespacesStorage, '', name) !== undefined)
      finalizeNamespace(this.#context, type, name, {});
  }

  async #syncDefinition(name: string): Promise<void> {
    const { store } = this.#context;
    const definition = store.get(definitionsStorage, '', name);
    if (definition === undefined) return;
    const finalizers = finalizersOf(definition.object);
    if (!isDeleting(definition.object)) {
      if (!finalizers.includes(definitionFinalizer))
        this.#setFinalizers(definition, [...finalizers, definitionFinalizer]);
      return;
    }
    const resource = storageOf(definition);
    for (const stored of store.list(resource)) if (!isDeleting(stored.object)) await this.#delete(stored);
    if (store.count(resource) > 0) return;
    const current = store.get(definitionsStorage, '', name);
    if (current === undefined) return;
    const others = finalizersOf(current.object).filter((item) => item !== definitionFinalizer);
    if (others.length > 0) this.#setFinalizers(current, others);
    else store.delete(definitionsStorage, '', name, current.revision);
  }

  #setFinalizers(stored: Stored, finalizers: string[]): void {
    const next = clone(stored.object);
    ensureMeta(next)['finalizers'] = finalizers;
    this.#context.store.update(stored.resource, next, stored.revision);
  }

  async #delete(stored: Stored): Promise<void> {
    const type = this.#context.registry.ofStorage(stored.resource);
    if (type === undefined) {
      this.#context.store.delete(stored.resource, stored.namespace, stored.name, undefined);
      return;
    }
    try {
      await remove(
        this.#context,
        type,
        stored.namespace,
        stored.name,
        { ...background, uid: uidOf(stored.object) },
        systemCall(),
      );
    } catch (error) {
      if (!(error instanceof StatusError) || (error.code !== 404 && error.code !== 409)) throw error;
    }
  }

  #sweepEvents(): void {
    const oldest = this.#context.now() - eventKeptMs;
    for (const stored of this.#context.store.list(eventsStorage)) {
      const last = Date.parse(
        asString(at(stored.object, 'lastTimestamp')) || asString(at(stored.object, 'metadata', 'creationTimestamp')),
      );
      if (last < oldest) this.#context.store.delete(eventsStorage, stored.namespace, stored.name, stored.revision);
    }
  }
}

function storageOf(definition: Stored): string {
  return storageKey(
    asString(at(definition.object, 'spec', 'group')),
    asString(at(definition.object, 'spec', 'names', 'plural')),
  );
}
