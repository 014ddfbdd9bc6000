import { STATIC_ENTRIES, staticFields } from './static-table.ts';

/** How a field may be represented when it is in no table. */
export const Indexing = {
  /** Added to the dynamic table (RFC 7541 section 6.2.1). */
  INCREMENTAL: 0,
  /** Values that come once: they would drive out those that come again (section 6.2.2). */
  WITHOUT: 1,
  /** Secrets, also for every later hop (sections 6.2.3 and 7.1.3). */
  NEVER: 2,
  /** As NEVER when so short that they could be guessed octet by octet, else INCREMENTAL. */
  NEVER_IF_SHORT: 3,
  /** Once a query is in it, as WITHOUT. */
  WITHOUT_QUERY: 4,
} as const;
export type Indexing = (typeof Indexing)[keyof typeof Indexing];

/** Secrets below this length are never indexed. */
export const SHORT_SECRET_CHARS = 20;

/** Not among them: `date`, `content-length` and others that stay the same for a while; the encoder sees when they do not. */
const WITHOUT_NAMES =
  'content-range age if-none-match if-modified-since if-match if-unmodified-since if-range range x-request-id ' +
  'x-correlation-id x-amzn-trace-id traceparent tracestate x-b3-traceid x-b3-spanid x-b3-parentspanid b3 grpc-timeout ' +
  'grpc-message x-envoy-upstream-service-time x-response-time x-runtime sec-websocket-key sec-websocket-accept';

const indexingOf = new Map<string, Indexing>([
  ['authorization', Indexing.NEVER],
  ['proxy-authorization', Indexing.NEVER],
  ['cookie', Indexing.NEVER_IF_SHORT],
  ['set-cookie', Indexing.NEVER_IF_SHORT],
  ['x-api-key', Indexing.NEVER_IF_SHORT],
  ['x-auth-token', Indexing.NEVER_IF_SHORT],
  [':path', Indexing.WITHOUT_QUERY],
]);
for (const name of WITHOUT_NAMES.split(' ')) indexingOf.set(name, Indexing.WITHOUT);

export const indexingFor = (lower: string): Indexing => indexingOf.get(lower) ?? Indexing.INCREMENTAL;

/** What the static table has under one name. */
export interface StaticName {
  /** Of the first entry. */
  readonly index: number;
  readonly indexByValue: ReadonlyMap<string, number>;
}

const byName = new Map<string, { index: number; indexByValue: Map<string, number> }>();
for (let index = 1; index <= STATIC_ENTRIES; index++) {
  const field = staticFields[index - 1];
  if (field === undefined) continue;
  let known = byName.get(field.name);
  if (known === undefined) {
    known = { index, indexByValue: new Map() };
    byName.set(field.name, known);
  }
  known.indexByValue.set(field.value, index);
}

export const staticName = (name: string): StaticName | undefined => byName.get(name);
