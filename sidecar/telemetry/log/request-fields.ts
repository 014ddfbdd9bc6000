import type { RewrittenLogSource } from '@weft/policies/model/log-format';
import type { LogEntry } from './entry.ts';
import { responseMs, whole } from './time-points.ts';

export const nonEmpty = (text: string): string | undefined => (text === '' ? undefined : text);

/** Fields of the request, pseudo-fields and what Envoy would have added among them. */
export function requestField({ record, http }: LogEntry, name: string): string | undefined {
  if (http === undefined) return undefined;
  const { head } = http;
  switch (name) {
    case ':method':
      return nonEmpty(head.method);
    case ':path':
      return nonEmpty(head.path);
    case ':authority':
    case 'host':
      return nonEmpty(head.authority);
    case 'x-envoy-original-host':
      return (
        head.headers.combined(name) ?? (head.authority === record.authority ? undefined : nonEmpty(record.authority))
      );
    case ':scheme':
      return head.scheme;
    case 'x-envoy-original-path':
      return head.headers.combined(name) ?? (head.path === http.path ? undefined : http.path);
    default:
      return head.headers.combined(name);
  }
}

export function responseField(entry: LogEntry, name: string): string | undefined {
  const { record, http } = entry;
  if (name === ':status') return record.status === 0 ? undefined : String(record.status);
  const value = http?.responseHeaders?.combined(name);
  if (value !== undefined || name !== 'x-envoy-upstream-service-time') return value;
  const ms = responseMs(entry);
  return ms === undefined ? undefined : String(whole(ms));
}

const rewritten = (entry: LogEntry, source: RewrittenLogSource, now: string, original: string): string | undefined => {
  if (source === 'now') return requestField(entry, now);
  const before = requestField(entry, original);
  return before === undefined && source === 'original-or-now' ? requestField(entry, now) : before;
};

export const hostOf = (entry: LogEntry, source: RewrittenLogSource): string | undefined =>
  rewritten(entry, source, ':authority', 'x-envoy-original-host');

export function pathOf(entry: LogEntry, source: RewrittenLogSource, query: boolean): string | undefined {
  const path = rewritten(entry, source, ':path', 'x-envoy-original-path');
  const at = query || path === undefined ? -1 : path.indexOf('?');
  return at === -1 ? path : path?.slice(0, at);
}

/** What follows the question mark; undefined: there is none. */
export function queryOf({ http }: LogEntry): string | undefined {
  const at = http?.head.path.indexOf('?') ?? -1;
  return http === undefined || at === -1 ? undefined : nonEmpty(http.head.path.slice(at + 1));
}

/** Percent-encodings are read where they are right; anything else stays as it is. */
export const decoded = (text: string): string =>
  text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (encoded) =>
    Buffer.from(encoded.replaceAll('%', ''), 'hex').toString('utf8'),
  );

/** Of a whole query, as Envoy: what is not visible ASCII stays encoded. */
export const visibleDecoded = (text: string): string =>
  text.replaceAll(/%(2[1-9A-Fa-f]|[3-6][0-9A-Fa-f]|7[0-9A-Ea-e])/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );

/** The first of that name. */
export function queryParameter(entry: LogEntry, name: string): string | undefined {
  for (const pair of (queryOf(entry) ?? '').split('&')) {
    const at = pair.indexOf('=');
    if (decoded(at === -1 ? pair : pair.slice(0, at)) === name) return at === -1 ? '' : decoded(pair.slice(at + 1));
  }
  return undefined;
}

/** A text as it is, anything else as JSON. */
export function claimOf(claims: unknown, path: readonly string[]): string | number | undefined {
  let value = claims;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  if (typeof value === 'string') return nonEmpty(value);
  return typeof value === 'number' || value === undefined ? value : JSON.stringify(value);
}
