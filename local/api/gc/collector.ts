import { asObjects, clone } from '../json.ts';
import { ensureMeta, finalizersOf, isDeleting, ownersOf, uidOf } from '../object.ts';
import { type ApiContext, systemCall } from '../rest/context.ts';
import { background, remove } from '../rest/delete.ts';
import { StatusError } from '../status.ts';
import type { Stored, StoreEvent } from '../store/store.ts';
import { WorkQueue } from './work-queue.ts';

/** Garbage collection by ownerReferences: dependents of what is gone, and the finalizers `orphan` and `foregroundDeletion`. */
const keyOf = (stored: Stored): string => `${stored.resource}|${stored.namespace}|${stored.name}`;

export class Collector {
  readonly #context: ApiContext;
  readonly #queue: WorkQueue;
  /** Owner UID to the keys of its dependents. */
  readonly #dependents = new Map<string, Set<string>>();
  /** UID of everything that is there, to its key. */
  readonly #uids = new Map<string, string>();
  readonly #stop: () => void;

  constructor(context: ApiContext) {
    this.#context = context;
    this.#queue = new WorkQueue((key) => this.#work(key));
    for (const resource of context.store.resources())
      for (const stored of context.store.list(resource)) this.#index(stored, true);
    for (const resource of context.store.resources())
      for (const stored of context.store.list(resource)) this.#consider(stored);
    this.#stop = context.store.subscribe((event) => this.#onEvent(event));
  }

  close(): void {
    this.#stop();
    this.#queue.close();
  }

  #index(stored: Stored, present: boolean): void {
    if (present) this.#uids.set(uidOf(stored.object), keyOf(stored));
    else this.#uids.delete(uidOf(stored.object));
    for (const { uid } of ownersOf(stored.object)) {
      const set = this.#dependents.get(uid) ?? new Set<string>();
      if (present) this.#dependents.set(uid, set.add(keyOf(stored)));
      else {
        set.delete(keyOf(stored));
        if (set.size === 0) this.#dependents.delete(uid);
      }
    }
  }

  #onEvent(event: StoreEvent): void {
    if (event.previous !== undefined) this.#index(event.previous, false);
    if (event.type !== 'DELETED') {
      this.#index(event.current, true);
      this.#consider(event.current);
      return;
    }
    const uid = uidOf(event.current.object);
    for (const key of this.#dependents.get(uid) ?? []) this.#queue.add(key);
    // Owners that wait for their dependents look again.
    for (const { uid: owner } of ownersOf(event.current.object)) this.#wake(owner);
  }

  #wake(ownerUid: string): void {
    const key = this.#uids.get(ownerUid);
    const owner = key === undefined ? undefined : this.#lookup(key);
    if (owner !== undefined && isDeleting(owner.object)) this.#queue.add(keyOf(owner));
  }

  #lookup(key: string): Stored | undefined {
    const [resource = '', namespace = '', name = ''] = key.split('|');
    return this.#context.store.get(resource, namespace, name);
  }

  #consider(stored: Stored): void {
    const hasGoneOwner = ownersOf(stored.object).some(({ uid }) => !this.#uids.has(uid));
    const waits =
      isDeleting(stored.object) &&
      finalizersOf(stored.object).some((name) => name === 'orphan' || name === 'foregroundDeletion');
    if (hasGoneOwner || waits) this.#queue.add(keyOf(stored));
  }

  async #work(key: string): Promise<void> {
    const stored = this.#lookup(key);
    if (stored === undefined) return;
    if (isDeleting(stored.object)) {
      const finalizers = finalizersOf(stored.object);
      if (finalizers.includes('orphan')) return this.#orphan(stored);
      if (finalizers.includes('foregroundDeletion')) return this.#foreground(stored);
      return;
    }
    const owners = ownersOf(stored.object);
    if (owners.length === 0) return;
    const living = owners.filter(({ uid }) => this.#uids.has(uid));
    if (living.length === 0) await this.#delete(stored, 'Background');
    else if (living.length < owners.length)
      this.#keepOwners(
        stored,
        living.map(({ uid }) => uid),
      );
  }

  #dependentsOf(stored: Stored): Stored[] {
    return [...(this.#dependents.get(uidOf(stored.object)) ?? [])].flatMap((key) => this.#lookup(key) ?? []);
  }

  async #delete(stored: Stored, propagationPolicy: 'Background' | 'Foreground'): Promise<void> {
    const type = this.#context.registry.ofStorage(stored.resource);
    if (type === undefined) return;
    try {
      const options = { ...background, propagationPolicy, uid: uidOf(stored.object) };
      await remove(this.#context, type, stored.namespace, stored.name, options, systemCall());
    } catch (error) {
      if (!(error instanceof StatusError) || (error.code !== 404 && error.code !== 409)) throw error;
    }
  }

  #keepOwners(stored: Stored, uids: readonly string[]): void {
    const next = clone(stored.object);
    const references = asObjects(ensureMeta(next)['ownerReferences']).filter((ref) =>
      uids.includes(String(ref['uid'])),
    );
    if (references.length > 0) ensureMeta(next)['ownerReferences'] = references;
    else delete ensureMeta(next)['ownerReferences'];
    this.#context.store.update(stored.resource, next, stored.revision);
  }

  #orphan(stored: Stored): void {
    for (const dependent of this.#dependentsOf(stored)) {
      const others = ownersOf(dependent.object).filter(({ uid }) => uid !== uidOf(stored.object));
      this.#keepOwners(
        dependent,
        others.map(({ uid }) => uid),
      );
    }
    this.#dropFinalizer(stored, 'orphan');
  }

  async #foreground(stored: Stored): Promise<void> {
    const uid = uidOf(stored.object);
    const dependents = this.#dependentsOf(stored);
    for (const dependent of dependents) {
      const onlyOwner = ownersOf(dependent.object).every((owner) => owner.uid === uid || !this.#uids.has(owner.uid));
      if (onlyOwner && !isDeleting(dependent.object)) await this.#delete(dependent, 'Foreground');
    }
    const blocking = this.#dependentsOf(stored).filter((dependent) =>
      ownersOf(dependent.object).some((owner) => owner.uid === uid && owner.blockOwnerDeletion),
    );
    if (blocking.length === 0) this.#dropFinalizer(stored, 'foregroundDeletion');
  }

  #dropFinalizer(seen: Stored, finalizer: string): void {
    const stored = this.#context.store.get(seen.resource, seen.namespace, seen.name);
    if (stored === undefined || uidOf(stored.object) !== uidOf(seen.object)) return;
    const next = clone(stored.object);
    const finalizers = finalizersOf(next).filter((name) => name !== finalizer);
    if (finalizers.length > 0) ensureMeta(next)['finalizers'] = finalizers;
    else delete ensureMeta(next)['finalizers'];
    const grace = ensureMeta(next)['deletionGracePeriodSeconds'] ?? 0;
    if (finalizers.length === 0 && grace === 0) {
      this.#context.store.delete(stored.resource, stored.namespace, stored.name, stored.revision);
    } else this.#context.store.update(stored.resource, next, stored.revision);
  }
}
