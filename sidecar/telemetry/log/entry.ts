import type { Duplex } from 'node:stream';
import type { RequestHead } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import type { RequestRecord } from '../record.ts';

/** The connections that something came and went by. */
export interface LoggedEnds {
  readonly connection: {
    readonly id: number;
    readonly peer: LoggedPeer | undefined;
    readonly socket?: Duplex | undefined;
  };
  /** That of the last attempt; only where a format asks for something of it. */
  readonly upstreamSocket?: Duplex | undefined;
}

export interface LoggedHost {
  /** `ip:port`. */
  readonly label: string;
  readonly endpoint: { readonly hostname?: string };
}

/** What only an HTTP exchange has; the request's own context, looked at when its line is written. */
export interface LoggedExchange extends LoggedEnds {
  readonly upstreamSpeaksHttp2?: boolean;
  /** That of the last attempt. */
  readonly host?: LoggedHost | undefined;
  /** Those of all attempts, in order, and the connections on which they were made; only where a format asks for them. */
  readonly hostsAttempted?: readonly LoggedHost[] | undefined;
  readonly connectionsAttempted?: readonly number[] | undefined;
  /** Of the clock of `startMs`; 0: nothing was sent, or nobody asked. */
  readonly upstreamStartMs?: number;
  /** As it went to the upstream. */
  readonly head: RequestHead;
  /** Where proxies in front are believed, the one that they tell of. */
  readonly clientIp: string;
  /** As the client sent it. */
  readonly path: string;
  readonly responseHeaders: Headers | undefined;
  readonly responseTrailers: Headers | undefined;
  /** Of the end user, where one is known. */
  readonly jwt?: { readonly claims: Readonly<Record<string, unknown>> } | undefined;
  /** The response is one of our own. */
  readonly localReply: boolean;
  readonly requestBodyBytes: number;
  readonly responseBodyBytes: number;
  /** Of the clock of `startMs`; 0: the request did not end, or nobody asked. */
  readonly requestEndMs: number;
  readonly startMs: number;
}

interface LoggedPeer {
  readonly subjectAltNames: readonly string[];
  readonly fingerprint: string;
}

/** One exchange or connection that has ended, to be logged. One object is used over and over. */
export interface LogEntry {
  record: RequestRecord;
  /** Undefined: an opaque connection, or a request that never became one. */
  http: LoggedExchange | undefined;
  /** Those of `http`, or of an opaque connection. */
  ends: LoggedEnds | undefined;
  /** Only where a reply of our own is written, and not its line. */
  localReplyBody?: string | undefined;
}
