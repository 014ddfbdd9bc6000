/** Keeps up with one collection: lists it, watches from there, lists again when the watch has lost the thread. */
import { z } from 'zod';
import type { KubeClient, KubeError } from './client.ts';

interface ReflectorEvents {
  /** An object as it is now. */
  readonly apply: (object: unknown) => void;
  readonly remove: (key: string) => void;
  /** After a list, and whenever the collection turns out not to be served at all (no path). */
  readonly synced: (path: string | undefined) => void;
  readonly failed: (error: KubeError) => void;
}

export interface ReflectorOptions {
  readonly client: KubeClient;
  /** The first that the API server serves is followed: versions of one collection. */
  readonly paths: readonly [string, ...string[]];
  readonly query?: Readonly<Record<string, string>>;
  readonly events: ReflectorEvents;
}

const pageSize = '500';
const watchSeconds = '300';
const backoffMsMin = 100;
const backoffMsMax = 10_000;
/** A kind whose CRD is not installed (yet). */
const absentRetryMs = 3_000;

const named = z.looseObject({ metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }) });
const page = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()).nullish(),
});
const bookmark = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) });
const statusObject = z.looseObject({ code: z.number().optional(), message: z.string().optional() });

type ListOutcome =
  | { readonly state: 'listed'; readonly resourceVersion: string }
  | { readonly state: 'failed'; readonly error: KubeError };

export class Reflector {
  readonly counters = { lists: 0, watches: 0, events: 0, failures: 0 };
  private readonly options: ReflectorOptions;
  private readonly known = new Set<string>();
  private readonly abort = new AbortController();
  private backoffMs = backoffMsMin;
  private path: string;

  constructor(options: ReflectorOptions) {
    this.options = options;
    this.path = options.paths[0];
  }

  start(): void {
    void this.run();
  }

  stop(): void {
    this.abort.abort();
  }

  private async run(): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted) {
      const listed = await this.listServed();
      if (signal.aborted) return;
      if (listed.state === 'failed') {
        await this.afterFailure(listed.error);
        continue;
      }
      this.options.events.synced(this.path);
      await this.follow(listed.resourceVersion);
    }
  }

  private async afterFailure(error: KubeError): Promise<void> {
    this.counters.failures += 1;
    if (error.status === 404) {
      this.forgetAllBut(new Set());
      this.options.events.synced(undefined);
      await this.pause(absentRetryMs);
      return;
    }
    this.options.events.failed(error);
    await this.pause(Math.random() * this.backoffMs);
    this.backoffMs = Math.min(this.backoffMs * 2, backoffMsMax);
  }

  private async listServed(): Promise<ListOutcome> {
    const [preferred, ...others] = this.options.paths;
    this.path = preferred;
    let outcome = await this.list();
    for (const path of others) {
      if (outcome.state === 'listed' || outcome.error.status !== 404 || this.abort.signal.aborted) return outcome;
      this.path = path;
      outcome = await this.list();
    }
    return outcome;
  }

  private async list(): Promise<ListOutcome> {
    this.counters.lists += 1;
    const present = new Set<string>();
    let next: string | undefined;
    for (;;) {
      const query = { ...this.options.query, limit: pageSize, ...(next === undefined ? {} : { continue: next }) };
      const answer = await this.options.client.get(this.path, query);
      if (!answer.ok) return { state: 'failed', error: answer.error };
      const parsed = page.safeParse(answer.value);
      if (!parsed.success)
        return { state: 'failed', error: { status: 0, message: `${this.path}: the answer is no list` } };
      for (const item of parsed.data.items ?? []) this.see(item, present);
      const { resourceVersion } = parsed.data.metadata;
      next = parsed.data.metadata.continue;
      if (next !== undefined && next !== '') continue;
      this.forgetAllBut(present);
      return { state: 'listed', resourceVersion };
    }
  }

  /** Watches on and on; returns when only a new list helps. */
  private async follow(from: string): Promise<void> {
    const { signal } = this.abort;
    let resourceVersion = from;
    while (!signal.aborted) {
      this.counters.watches += 1;
      let gone = false;
      const query = {
        ...this.options.query,
        resourceVersion,
        allowWatchBookmarks: 'true',
        timeoutSeconds: watchSeconds,
      };
      const error = await this.options.client.watch(
        this.path,
        query,
        (type, object) => {
          if (gone) return;
          if (type === 'ERROR') {
            gone = true;
            return;
          }
          const version = bookmark.safeParse(object);
          if (version.success) resourceVersion = version.data.metadata.resourceVersion;
          this.counters.events += 1;
          this.backoffMs = backoffMsMin;
          if (type === 'DELETED') this.removeObject(object);
          else if (type !== 'BOOKMARK') this.see(object, undefined);
        },
        signal,
      );
      // 410 Gone, as status or as an event: the version is too old to watch from (API concepts, "410 Gone").
      if (gone || error?.status === 410 || error?.status === 404) return;
      if (error !== undefined) {
        this.counters.failures += 1;
        this.options.events.failed(error);
        await this.pause(Math.random() * this.backoffMs);
        this.backoffMs = Math.min(this.backoffMs * 2, backoffMsMax);
      }
    }
  }

  private see(object: unknown, present: Set<string> | undefined): void {
    const key = keyOfObject(object);
    if (key === undefined) return;
    present?.add(key);
    this.known.add(key);
    this.options.events.apply(object);
  }

  private removeObject(object: unknown): void {
    const key = keyOfObject(object);
    if (key === undefined) return;
    this.known.delete(key);
    this.options.events.remove(key);
  }

  private forgetAllBut(present: ReadonlySet<string>): void {
    for (const key of [...this.known]) {
      if (present.has(key)) continue;
      this.known.delete(key);
      this.options.events.remove(key);
    }
  }

  private pause(ms: number): Promise<void> {
    const { signal } = this.abort;
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

export function keyOfObject(object: unknown): string | undefined {
  const parsed = named.safeParse(object);
  if (!parsed.success) return undefined;
  const { name, namespace } = parsed.data.metadata;
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** For messages. */
export function statusText(object: unknown): string {
  const parsed = statusObject.safeParse(object);
  return parsed.success ? (parsed.data.message ?? `code ${parsed.data.code}`) : 'malformed status';
}
