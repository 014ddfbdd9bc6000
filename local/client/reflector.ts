import type { ApiResult, KubeClient } from './client.ts';
import type { KubeObject } from './objects.ts';

/** A live copy of one list of the API, kept by list and watch. Handlers run after the copy has changed. */
export interface Reflector<T extends KubeObject> {
  get(key: string): T | undefined;
  list(): T[];
  /** Resolves when the first list is in. */
  readonly synced: Promise<void>;
  onChange(handler: (key: string, now: T | undefined, before: T | undefined) => void): void;
  close(): void;
}

export interface ReflectorOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly onError?: (message: string) => void;
}

const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 3_000;
const WATCH_SECONDS = 290;

export const keyOf = (object: KubeObject): string =>
  object.metadata.namespace === undefined
    ? object.metadata.name
    : `${object.metadata.namespace}/${object.metadata.name}`;

interface ListBody<T> {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly items?: readonly T[];
}

class ListWatch<T extends KubeObject> implements Reflector<T> {
  readonly #client: KubeClient;
  readonly #path: string;
  readonly #query: URLSearchParams;
  readonly #onError: (message: string) => void;
  readonly #items = new Map<string, T>();
  readonly #handlers: ((key: string, now: T | undefined, before: T | undefined) => void)[] = [];
  readonly #stop = new AbortController();
  readonly synced: Promise<void>;
  #markSynced: () => void = () => {};
  #version = '';
  #backoffMs = BACKOFF_MS_MIN;

  constructor(client: KubeClient, path: string, options: ReflectorOptions) {
    this.#client = client;
    this.#path = path;
    this.#onError = options.onError ?? (() => {});
    this.#query = new URLSearchParams();
    if (options.labelSelector !== undefined) this.#query.set('labelSelector', options.labelSelector);
    if (options.fieldSelector !== undefined) this.#query.set('fieldSelector', options.fieldSelector);
    this.synced = new Promise((resolve) => {
      this.#markSynced = resolve;
    });
    void this.#run();
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }
  list(): T[] {
    return [...this.#items.values()];
  }
  onChange(handler: (key: string, now: T | undefined, before: T | undefined) => void): void {
    this.#handlers.push(handler);
    for (const [key, item] of this.#items) handler(key, item, undefined);
  }
  close(): void {
    this.#stop.abort();
  }

  #set(item: T): void {
    const key = keyOf(item);
    const before = this.#items.get(key);
    if (before !== undefined && before.metadata.resourceVersion === item.metadata.resourceVersion) return;
    this.#items.set(key, item);
    for (const handler of this.#handlers) handler(key, item, before);
  }
  #drop(key: string): void {
    const before = this.#items.get(key);
    if (before === undefined) return;
    this.#items.delete(key);
    for (const handler of this.#handlers) handler(key, undefined, before);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const listed = await this.#client.get<ListBody<T>>(`${this.#path}?${this.#query}`);
      if (this.#stop.signal.aborted) return;
      if (!listed.ok) {
        this.#onError(`list ${this.#path}: ${listed.message}`);
        await this.#pause();
        continue;
      }
      this.#replaceAll(listed.value);
      this.#markSynced();
      await this.#watchUntilStale();
    }
  }

  #replaceAll(body: ListBody<T>): void {
    this.#version = body.metadata?.resourceVersion ?? '';
    const seen = new Set<string>();
    for (const item of body.items ?? []) {
      seen.add(keyOf(item));
      this.#set(item);
    }
    for (const key of [...this.#items.keys()]) if (!seen.has(key)) this.#drop(key);
  }

  /** Watches from the last version, again and again, until the server says that the version is too old. */
  async #watchUntilStale(): Promise<void> {
    let stale = false;
    while (!stale && !this.#stop.signal.aborted) {
      const query = new URLSearchParams(this.#query);
      query.set('watch', '1');
      query.set('allowWatchBookmarks', 'true');
      query.set('timeoutSeconds', String(WATCH_SECONDS));
      query.set('resourceVersion', this.#version);
      const startedAt = performance.now();
      const result: ApiResult<undefined> = await this.#client.watch(
        `${this.#path}?${query}`,
        (event) => {
          if (event.type === 'ERROR') stale = true;
          else this.#apply(event.type, event.object);
        },
        this.#stop.signal,
      );
      if (this.#stop.signal.aborted) return;
      if (!result.ok) {
        if (result.status === 410) stale = true;
        this.#onError(`watch ${this.#path}: ${result.message}`);
        // Any refusal but "unreachable" may mean that the version is meaningless now: start from a list.
        if (result.status !== 0) stale = true;
        await this.#pause();
      } else if (performance.now() - startedAt < 1_000) {
        await this.#pause();
      } else {
        this.#backoffMs = BACKOFF_MS_MIN;
      }
    }
  }

  #apply(type: string, object: unknown): void {
    if (!isObject<T>(object)) return;
    this.#version = object.metadata.resourceVersion ?? this.#version;
    this.#backoffMs = BACKOFF_MS_MIN;
    if (type === 'ADDED' || type === 'MODIFIED') this.#set(object);
    else if (type === 'DELETED') this.#drop(keyOf(object));
  }

  async #pause(): Promise<void> {
    const waitMs = this.#backoffMs * (0.75 + Math.random() / 2);
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#stop.signal.addEventListener(
        'abort',
        () => {
          clearTimeout(timer);
          resolve();
        },
        { once: true },
      );
    });
  }
}

function isObject<T extends KubeObject>(value: unknown): value is T {
  return (
    typeof value === 'object' &&
    value !== null &&
    'metadata' in value &&
    typeof value.metadata === 'object' &&
    value.metadata !== null
  );
}

export function startReflector<T extends KubeObject>(
  client: KubeClient,
  path: string,
  options: ReflectorOptions = {},
): Reflector<T> {
  return new ListWatch<T>(client, path, options);
}
