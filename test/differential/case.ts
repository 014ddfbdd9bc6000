/** What is sent through both proxies, what the application answers, and what each side saw of it. */
import type { JsonObject } from '../support/pair-bootstrap.ts';

export type Field = readonly [name: string, value: string];
export type Wire = 'h1' | 'h2';
/** Downstream and upstream. */
export interface Wires {
  readonly down: Wire;
  readonly up: Wire;
}

/** Bodies and chunks hold octets as Latin-1. */
export interface RequestBody {
  readonly framing: 'none' | 'length' | 'chunked';
  readonly chunks: readonly string[];
  /** Of the chunks, HTTP/1 only (RFC 9112 section 7.1.1). */
  readonly extension: string;
  readonly trailers: readonly Field[];
}

export interface ClientRequest {
  readonly method: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly authority: string;
  /** Without Host. */
  readonly fields: readonly Field[];
  readonly body: RequestBody;
  /** `Connection: close`, or half of the connection is closed after the request (HTTP/1). */
  readonly ending: 'keep' | 'close' | 'half-close';
  /** What breaks the rules of HTTP/1 in the head that goes out; see malformed.ts. Empty: nothing. */
  readonly defect: string;
  /** The head leaves in that many writes. */
  readonly writes: number;
}

/** What an application does instead of answering. */
export interface Fault {
  readonly where: 'before-head' | 'mid-head' | 'after-head' | 'mid-body';
  /** `goaway`: HTTP/2 refuses the stream so; HTTP/1 closes. */
  readonly how: 'close' | 'reset' | 'goaway';
  /** RST_STREAM's (RFC 9113 section 7), for HTTP/2. */
  readonly code: number;
}

export interface Answer {
  readonly interim: readonly number[];
  readonly status: number;
  readonly fields: readonly Field[];
  readonly framing: 'length' | 'chunked' | 'close';
  readonly chunks: readonly string[];
  readonly trailers: readonly Field[];
  /** Does not wait for the body of the request. */
  readonly early: boolean;
  readonly delayMs: number;
  /** The connection is announced to end with it. */
  readonly closing: boolean;
  readonly fault: Fault | undefined;
  /** The first attempts fail so: by a status, or as `failure` says. */
  readonly failures: number;
  readonly failureStatus: number;
  readonly failure: Fault | undefined;
}

export interface Case {
  readonly request: ClientRequest;
  readonly answer: Answer;
}

/** What an application received. */
export interface Received {
  readonly application: string;
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: readonly Field[];
  body: string;
  trailers: readonly Field[];
  complete: boolean;
}

/** What the client saw. */
export interface Response {
  /** 0: none. */
  status: number;
  interim: number[];
  fields: readonly Field[];
  body: string;
  trailers: readonly Field[];
  /** It ended as its framing says. */
  complete: boolean;
  /** Of the connection (HTTP/1); of the stream (HTTP/2) `kept` or `reset`. */
  after: 'kept' | 'closed' | 'reset' | 'timeout';
}

export interface Outcome {
  readonly response: Response;
  readonly received: readonly Received[];
  /** What mirrors sent to the application that takes copies. */
  readonly copies: readonly Received[];
  /** The line of the access log; undefined where it was not waited for. */
  readonly log: string | undefined;
}

/** One listener of both bootstraps, times the versions of HTTP that its clusters speak. */
export interface Table {
  readonly virtualHosts: readonly JsonObject[];
  readonly filters: readonly JsonObject[];
  /** Where it comes from is another's matter: what policies were translated to brings all of this. */
  readonly translated?: TranslatedParts;
}

export interface TranslatedParts {
  /** Fields of the connection manager. */
  readonly manager: JsonObject;
  /** Clusters with the endpoints of the applications `a` to `c`, whose addresses are 10.1.0.1 and so on. */
  readonly clusters: readonly JsonObject[];
  readonly wires: readonly Wires[];
}

export const emptyResponse = (): Response => ({
  status: 0,
  interim: [],
  fields: [],
  body: '',
  trailers: [],
  complete: false,
  after: 'kept',
});

export const CASE_FIELD = 'x-case';

export const fieldOf = (fields: readonly Field[], lower: string): string | undefined =>
  fields.find(([name]) => name.toLowerCase() === lower)?.[1];
