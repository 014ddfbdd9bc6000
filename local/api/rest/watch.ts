import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../json.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';
import { expired, type StatusError, tooManyRequests } from '../status.ts';
import type { StoreEvent } from '../store/store.ts';
import type { ApiContext } from './context.ts';
import { matches, readRevision, type Selection } from './list.ts';

/** One watch: what is there if asked for, then every event that concerns the selection, with bookmarks between. */
export type Present = (object: JsonObject, isFirst: boolean) => JsonObject;

const bookmarkMs = 30_000;
const timeoutDefaultMs = 30 * 60_000;

export function watch(
  context: ApiContext,
  type: ResourceType,
  selection: Selection,
  query: URLSearchParams,
  response: ServerResponse,
  present: Present,
): void {
  if (context.counters.get('apiserver_watches') >= context.limits.watchesMax) {
    context.counters.add('apiserver_refused_total', { limit: 'watches' });
    throw tooManyRequests('too many watches are open, please try again later');
  }
  const watcher = new Watcher(context, type, selection, query, response, present);
  watcher.start();
}

class Watcher {
  readonly #context: ApiContext;
  readonly #type: ResourceType;
  readonly #selection: Selection;
  readonly #query: URLSearchParams;
  readonly #response: ServerResponse;
  readonly #present: Present;
  readonly #bookmarks: boolean;
  #isFirst = true;
  #sentRevision = 0;
  #over = false;
  #stop: () => void = () => {};

  constructor(
    context: ApiContext,
    type: ResourceType,
    selection: Selection,
    query: URLSearchParams,
    response: ServerResponse,
    present: Present,
  ) {
    this.#context = context;
    this.#type = type;
    this.#selection = selection;
    this.#query = query;
    this.#response = response;
    this.#present = present;
    this.#bookmarks = query.get('allowWatchBookmarks') === 'true';
  }

  start(): void {
    const { store } = this.#context;
    const from = readRevision(this.#query.get('resourceVersion'));
    const initial = this.#query.get('sendInitialEvents');
    // Without a version, or with 0, a watch begins with what is there; sendInitialEvents says so outright.
    const withState = initial === 'true' || (initial === null && (from === undefined || from === 0));
    const missed = withState || from === undefined || from === 0 ? [] : store.eventsSince(this.#type.storage, from);
    this.#response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    this.#response.flushHeaders();
    if (missed === undefined) {
      this.#sendError(expired(`too old resource version: ${from} (${store.compactedRevision})`));
      this.#response.end();
      return;
    }
    this.#context.counters.add('apiserver_watches');
    const unsubscribe = store.subscribe((event) => this.#onEvent(event));
    this.#sentRevision = withState ? store.revision : (from ?? store.revision);
    if (withState) this.#sendState(initial === 'true');
    for (const event of missed) this.#onEvent(event);
    const asked = Number(this.#query.get('timeoutSeconds') ?? 0);
    const timeout = setTimeout(() => this.#end('timeout'), asked > 0 ? asked * 1000 : timeoutDefaultMs);
    const ticker = setInterval(() => this.#bookmark(false), bookmarkMs);
    this.#stop = () => {
      unsubscribe();
      clearTimeout(timeout);
      clearInterval(ticker);
      this.#context.counters.add('apiserver_watches', {}, -1);
    };
    this.#response.on('close', () => this.#end('client'));
  }

  #sendState(marked: boolean): void {
    for (const stored of this.#context.store.list(this.#type.storage, this.#selection.namespace)) {
      const object = this.#type.fromStorage(stored.object);
      if (matches(this.#selection, object)) this.#send('ADDED', object);
    }
    if (marked) this.#bookmark(true);
  }

  #onEvent(event: StoreEvent): void {
    if (this.#over || event.current.resource !== this.#type.storage || event.revision <= this.#sentRevision) return;
    this.#sentRevision = event.revision;
    if (this.#selection.namespace !== '' && event.current.namespace !== this.#selection.namespace) return;
    const now = this.#type.fromStorage(event.current.object);
    const isIn = event.type !== 'DELETED' && matches(this.#selection, now);
    const previous = event.previous;
    const wasIn = previous !== undefined && matches(this.#selection, this.#type.fromStorage(previous.object));
    if (isIn) this.#send(wasIn ? 'MODIFIED' : 'ADDED', now);
    // What leaves the selection is gone for this watcher; it learns the last state and the revision at which it left.
    else if (wasIn) this.#send('DELETED', now);
  }

  #bookmark(ofInitialEvents: boolean): void {
    if (!ofInitialEvents && !this.#bookmarks) return;
    const metadata: JsonObject = { resourceVersion: String(this.#context.store.revision) };
    if (ofInitialEvents) metadata['annotations'] = { 'k8s.io/initial-events-end': 'true' };
    this.#sentRevision = Math.max(this.#sentRevision, this.#context.store.revision);
    const object = { kind: this.#type.kind, apiVersion: groupVersion(this.#type), metadata };
    this.#write(JSON.stringify({ type: 'BOOKMARK', object: this.#present(object, this.#isFirst) }));
  }

  #send(type: string, object: JsonObject): void {
    this.#write(JSON.stringify({ type, object: this.#present(object, this.#isFirst) }));
    this.#isFirst = false;
  }

  #sendError(error: StatusError): void {
    this.#response.write(`${JSON.stringify({ type: 'ERROR', object: error.toJson() })}\n`);
  }

  #write(line: string): void {
    if (this.#over) return;
    this.#response.write(`${line}\n`);
    // A reader that has stopped reading must not hold memory: it starts over from its last revision.
    if (this.#response.writableLength > this.#context.limits.watchBufferBytesMax) {
      this.#context.counters.add('apiserver_refused_total', { limit: 'watch_buffer' });
      this.#response.destroy();
      this.#end('slow');
    }
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#stop();
    this.#context.counters.add('apiserver_watch_closed_total', { reason });
    this.#response.end();
  }
}
