import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { errorText } from '@weft/policies/kit/error-text';
import { ensure, isObject, type JsonObject, parseJson } from '../json.ts';
import { nameOf, namespaceOf } from '../object.ts';

/**
 * The one store: every object in SQLite (WAL, synchronous=FULL, so an acknowledged write survives kill -9 and power loss) and in memory.
 * Memory answers all reads. Objects in it are never changed: a write puts a new one in their place.
 */
export interface Stored {
  /** `<group>/<plural>`: one per resource whatever versions it is served in. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
  readonly object: JsonObject;
}

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface StoreEvent {
  readonly type: EventType;
  readonly revision: number;
  readonly current: Stored;
  readonly previous: Stored | undefined;
}

type WriteRefusal = 'exists' | 'missing' | 'conflict';
type WriteResult = { readonly ok: true; readonly stored: Stored } | { readonly ok: false; readonly why: WriteRefusal };

interface StoreOptions {
  readonly path: string;
  /** Watches and continued lists that reach back further than this many events get 410 Gone. */
  readonly eventsKeptMax: number;
}

/** Nothing of the write took place: the disk is full, read-only or broken. */
export class StoreWriteError extends Error {
  constructor(cause: unknown) {
    const why = errorText(cause);
    super(`nothing was written, the API's database refused it: ${why}; is there room on its disk?`, { cause });
    this.name = 'StoreWriteError';
  }
}

interface Bucket {
  readonly byKey: Map<string, Stored>;
  sorted: readonly Stored[] | undefined;
}

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

/** etcd's order of keys: by namespace, then by name, bytewise. */
export function compareKeys(a: { namespace: string; name: string }, b: { namespace: string; name: string }): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  return a.name === b.name ? 0 : a.name < b.name ? -1 : 1;
}

export class Store {
  readonly #db: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #bump: StatementSync;
  readonly #buckets = new Map<string, Bucket>();
  readonly #subscribers = new Set<(event: StoreEvent) => void>();
  readonly #eventsKeptMax: number;
  readonly #undelivered: StoreEvent[] = [];
  #delivering = false;
  #events: StoreEvent[] = [];
  #revision: number;
  #compacted: number;

  constructor(options: StoreOptions) {
    this.#eventsKeptMax = options.eventsKeptMax;
    this.#db = new DatabaseSync(options.path);
    this.#db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=2000;');
    this.#db.exec(
      `CREATE TABLE IF NOT EXISTS objects (resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
        body TEXT NOT NULL, PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
       CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
       INSERT OR IGNORE INTO meta VALUES ('revision', 1);`,
    );
    this.#put = this.#db.prepare('INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)');
    this.#remove = this.#db.prepare('DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?');
    this.#bump = this.#db.prepare("UPDATE meta SET value = ? WHERE key = 'revision'");
    this.#revision = Number(this.#db.prepare("SELECT value FROM meta WHERE key = 'revision'").get()?.['value'] ?? 1);
    // What happened before this process started is not in memory: a watch from there starts over.
    this.#compacted = this.#revision;
    this.#load();
  }

  #load(): void {
    for (const row of this.#db.prepare('SELECT resource, namespace, name, revision, body FROM objects').all()) {
      const object = parseJson(String(row['body']));
      if (!isObject(object)) continue;
      const stored: Stored = {
        resource: String(row['resource']),
        namespace: String(row['namespace']),
        name: String(row['name']),
        revision: Number(row['revision']),
        object,
      };
      this.#bucket(stored.resource).byKey.set(keyOf(stored.namespace, stored.name), stored);
    }
  }

  #bucket(resource: string): Bucket {
    let bucket = this.#buckets.get(resource);
    if (bucket === undefined) {
      bucket = { byKey: new Map(), sorted: undefined };
      this.#buckets.set(resource, bucket);
    }
    return bucket;
  }

  get revision(): number {
    return this.#revision;
  }

  get compactedRevision(): number {
    return this.#compacted;
  }

  resources(): string[] {
    return [...this.#buckets.keys()];
  }

  count(resource: string): number {
    return this.#buckets.get(resource)?.byKey.size ?? 0;
  }

  get(resource: string, namespace: string, name: string): Stored | undefined {
    return this.#buckets.get(resource)?.byKey.get(keyOf(namespace, name));
  }

  list(resource: string, namespace = ''): readonly Stored[] {
    const bucket = this.#buckets.get(resource);
    if (bucket === undefined) return [];
    bucket.sorted ??= [...bucket.byKey.values()].sort(compareKeys);
    return namespace === '' ? bucket.sorted : bucket.sorted.filter((item) => item.namespace === namespace);
  }

  create(resource: string, object: JsonObject): WriteResult {
    const existing = this.get(resource, namespaceOf(object), nameOf(object));
    if (existing !== undefined) return { ok: false, why: 'exists' };
    return { ok: true, stored: this.#write(resource, object, undefined) };
  }

  /** `expected` is the revision that the caller read; undefined overwrites whatever is there. */
  update(resource: string, object: JsonObject, expected: number | undefined): WriteResult {
    const existing = this.get(resource, namespaceOf(object), nameOf(object));
    if (existing === undefined) return { ok: false, why: 'missing' };
    if (expected !== undefined && existing.revision !== expected) return { ok: false, why: 'conflict' };
    return { ok: true, stored: this.#write(resource, object, existing) };
  }

  delete(resource: string, namespace: string, name: string, expected: number | undefined): WriteResult {
    const existing = this.get(resource, namespace, name);
    if (existing === undefined) return { ok: false, why: 'missing' };
    if (expected !== undefined && existing.revision !== expected) return { ok: false, why: 'conflict' };
    const revision = this.#revision + 1;
    this.#commit(revision, () => this.#remove.run(resource, namespace, name));
    const bucket = this.#bucket(resource);
    bucket.byKey.delete(keyOf(namespace, name));
    bucket.sorted = undefined;
    const last = withRevision({ ...existing, revision });
    this.#publish({ type: 'DELETED', revision, current: last, previous: existing });
    return { ok: true, stored: last };
  }

  #write(resource: string, object: JsonObject, previous: Stored | undefined): Stored {
    const revision = this.#revision + 1;
    const stored = withRevision({ resource, namespace: namespaceOf(object), name: nameOf(object), revision, object });
    this.#commit(revision, () =>
      this.#put.run(resource, stored.namespace, stored.name, revision, JSON.stringify(stored.object)),
    );
    const bucket = this.#bucket(resource);
    bucket.byKey.set(keyOf(stored.namespace, stored.name), stored);
    bucket.sorted = undefined;
    this.#publish({ type: previous === undefined ? 'ADDED' : 'MODIFIED', revision, current: stored, previous });
    return stored;
  }

  #commit(revision: number, change: () => void): void {
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      change();
      this.#bump.run(revision);
      this.#db.exec('COMMIT');
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw new StoreWriteError(error);
    }
    this.#revision = revision;
  }

  #publish(event: StoreEvent): void {
    this.#events.push(event);
    if (this.#events.length > this.#eventsKeptMax * 1.25) this.#compact();
    this.#undelivered.push(event);
    if (this.#delivering) return;
    // A subscriber may write: what that publishes waits its turn, so that everybody sees events in order of revision.
    this.#delivering = true;
    try {
      for (let next = this.#undelivered.shift(); next !== undefined; next = this.#undelivered.shift()) {
        for (const subscriber of this.#subscribers) deliver(subscriber, next);
      }
    } finally {
      this.#delivering = false;
    }
  }

  #compact(): void {
    const dropped = this.#events.length - this.#eventsKeptMax;
    this.#compacted = this.#events[dropped - 1]?.revision ?? this.#compacted;
    this.#events = this.#events.slice(dropped);
  }

  /** Events of one resource after a revision, oldest first; undefined when they are no longer known. */
  eventsSince(resource: string, revision: number): StoreEvent[] | undefined {
    if (revision < this.#compacted) return undefined;
    return this.#events.filter((event) => event.revision > revision && event.current.resource === resource);
  }

  /** The resource as it was at a revision, found by undoing what came after; undefined when that is no longer known. */
  snapshot(resource: string, revision: number): readonly Stored[] | undefined {
    if (revision >= this.#revision) return this.list(resource);
    const later = this.eventsSince(resource, revision);
    if (later === undefined) return undefined;
    const byKey = new Map(this.#buckets.get(resource)?.byKey ?? []);
    for (const event of later.reverse()) {
      const key = keyOf(event.current.namespace, event.current.name);
      if (event.previous === undefined) byKey.delete(key);
      else byKey.set(key, event.previous);
    }
    return [...byKey.values()].sort(compareKeys);
  }

  subscribe(subscriber: (event: StoreEvent) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  close(): void {
    this.#subscribers.clear();
    this.#db.close();
  }
}

/** What is written is written: who is told of it last must not suffer from who fails first. */
function deliver(subscriber: (event: StoreEvent) => void, event: StoreEvent): void {
  try {
    subscriber(event);
  } catch (error) {
    console.error(`api: after revision ${event.revision}: ${errorText(error)}`);
  }
}

function withRevision(stored: Stored): Stored {
  const object: JsonObject = { ...stored.object, metadata: { ...ensure(stored.object, 'metadata') } };
  ensure(object, 'metadata')['resourceVersion'] = String(stored.revision);
  return { ...stored, object };
}
