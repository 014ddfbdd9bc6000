import type { Prng } from '@weft/policies/kit/prng';
import type { ResetHeader, RetryAfter } from '@weft/policies/model/retry';
import type { Headers } from '../../http/headers.ts';
import { NO_RETRY_FIELD } from '../no-retry.ts';

/** Clients that were told the same time do not return at the same moment: as Envoy, up to half of the time later. */
const SPREAD = 0.5;
const DELAY_SECONDS = /^\d{1,10}$/;

/** What a server said of when to come back. */
export type ReturnTime =
  | { readonly kind: 'none' }
  /** It asks for more time than the policy allows. */
  | { readonly kind: 'beyond' }
  | { readonly kind: 'wait'; readonly delayMs: number };

const none: ReturnTime = { kind: 'none' };
const beyond: ReturnTime = { kind: 'beyond' };

/** `leftMs`: how long the client waits at most. */
export function returnTime(
  headers: Headers,
  { headers: names, maxMs, beyond: otherwise }: RetryAfter,
  unixMs: number,
  leftMs: number,
  prng: Prng,
): ReturnTime {
  for (const header of names) {
    const value = headers.get(header.name);
    const waitMs = value === undefined ? undefined : waitOf(value.trim(), header.format, unixMs);
    if (waitMs === undefined) continue;
    if (otherwise === 'give-up') {
      if (waitMs > maxMs || waitMs >= leftMs) return beyond;
    } else if (waitMs > maxMs || waitMs === 0) {
      // Envoy passes over what is too long or not in the future, and tries the next field.
      continue;
    }
    return { kind: 'wait', delayMs: Math.min(waitMs * (1 + SPREAD * prng.next()), Math.max(waitMs, maxMs)) };
  }
  return none;
}

function waitOf(text: string, format: ResetHeader['format'], unixMs: number): number | undefined {
  if (DELAY_SECONDS.test(text)) {
    const seconds = Number(text);
    return format === 'unix' ? Math.max(0, seconds * 1_000 - unixMs) : seconds * 1_000;
  }
  return format === 'unix' ? undefined : waitUntil(text, unixMs);
}

/** RFC 9110 section 5.6.7; the two obsolete forms too, which a recipient has to accept. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]{3,6})?,? [0-9A-Za-z :-]{15,24}$/;

function waitUntil(text: string, unixMs: number): number | undefined {
  if (!HTTP_DATE.test(text)) return undefined;
  // The form of asctime names no zone, and means GMT as the others.
  const at = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`);
  return Number.isNaN(at) ? undefined : Math.max(0, at - unixMs);
}

/**
 * A server may forbid what a policy would allow: gRFC A6 by a negative `grpc-retry-pushback-ms` (or one that cannot be
 * read), our own sidecars by `weft-no-retry` when they shed load.
 */
export function forbidsRetry(headers: Headers): boolean {
  if (headers.has(NO_RETRY_FIELD)) return true;
  const pushback = headers.get('grpc-retry-pushback-ms');
  return pushback !== undefined && !DELAY_SECONDS.test(pushback);
}

/** gRFC A6: milliseconds to wait before the next attempt, in the place of the backoff; -1: nothing is said. */
export function pushbackMs(headers: Headers): number {
  const text = headers.get('grpc-retry-pushback-ms');
  return text !== undefined && DELAY_SECONDS.test(text) ? Number(text) : -1;
}
