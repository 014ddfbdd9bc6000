/** Cases as data: frames that are sent, and what must come of them. Texts are octets, one character each (Latin-1). */
import { CODE, data, type FieldPair, headers, octets } from './wire.ts';

/** A request as the application must have seen it. */
export interface Forwarded {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly body: string;
  /** Of these fields, by lower-case name: the value, or undefined where it must not be there. */
  readonly fields: Readonly<Record<string, string | undefined>>;
}

/**
 * `stream`: status, if there is an answer before it, and the code of RST_STREAM; the connection lives.
 * `connection`: the code of GOAWAY, and the end. `answered`: a whole answer of the proxy's own.
 */
export type Outcome =
  | { readonly kind: 'stream'; readonly status: number; readonly code: number }
  | { readonly kind: 'connection'; readonly code: number }
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'forwarded' };

/** Frames of a client of which nobody knows anything, of another sidecar, or of both. */
export type From = 'outside' | 'mesh' | 'both';

export interface RequestCase {
  readonly name: string;
  /** Section of an RFC, or the family of attacks. */
  readonly rule: string;
  readonly from: From;
  /** Written one after the other, after the preface and SETTINGS; the case is stream 1. */
  readonly writes: readonly Buffer[];
  readonly outcome: Outcome;
  /** Exactly these arrive at the application, in any order, each complete. */
  readonly forwarded: readonly Forwarded[];
  /** Was complete before what is wrong came: may have arrived or not. */
  readonly maybe: readonly Forwarded[];
}

export type CaseOptions = Partial<Pick<RequestCase, 'from' | 'forwarded' | 'maybe'>>;

/** What an attacker wants to be taken for a request of its own. */
export const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n';

const PSEUDO = { ':method': 'GET', ':scheme': 'http', ':authority': 'a.test', ':path': '/case' } as const;
type Pseudo = Partial<Record<keyof typeof PSEUDO, string | undefined>>;

/** The fields of a request; a pseudo-field that is undefined is left out. */
export function request(changes: Pseudo = {}, ...more: readonly FieldPair[]): FieldPair[] {
  const fields: FieldPair[] = [];
  for (const [name, value] of Object.entries({ ...PSEUDO, ...changes })) {
    if (value !== undefined) fields.push([name, value]);
  }
  return [...fields, ...more];
}

export const get = (...more: readonly FieldPair[]): Buffer => headers(1, request({}, ...more));

/** A request with content. */
export const post = (content: string, ...more: readonly FieldPair[]): Buffer =>
  Buffer.concat([headers(1, request({ ':method': 'POST' }, ...more), false), data(1, content)]);

export const seen = (changes: Partial<Forwarded> = {}): Forwarded => ({
  method: 'GET',
  target: '/case',
  authority: 'a.test',
  body: '',
  fields: {},
  ...changes,
});

type Bytes = Buffer | readonly Buffer[];
const writesOf = (bytes: Bytes): readonly Buffer[] => (Buffer.isBuffer(bytes) ? [bytes] : bytes);

const make = (rule: string, name: string, bytes: Bytes, outcome: Outcome, options: CaseOptions): RequestCase => ({
  name,
  rule,
  from: 'both',
  writes: writesOf(bytes),
  outcome,
  forwarded: [],
  maybe: [],
  ...options,
});

/** A malformed message: 400, then RST_STREAM (RFC 9113 section 8.1.1); other streams live on. */
export const malformed = (rule: string, name: string, bytes: Bytes, options: CaseOptions = {}): RequestCase =>
  make(rule, name, bytes, { kind: 'stream', status: 400, code: CODE.PROTOCOL_ERROR }, options);

export const resets = (
  rule: string,
  name: string,
  bytes: Bytes,
  code: number,
  options: CaseOptions = {},
): RequestCase => make(rule, name, bytes, { kind: 'stream', status: 0, code }, options);

export const ends = (
  rule: string,
  name: string,
  bytes: Bytes,
  code: number = CODE.PROTOCOL_ERROR,
  options: CaseOptions = {},
): RequestCase => make(rule, name, bytes, { kind: 'connection', code }, options);

export const answers = (
  rule: string,
  name: string,
  bytes: Bytes,
  status: number,
  options: CaseOptions = {},
): RequestCase => make(rule, name, bytes, { kind: 'answered', status }, options);

const isList = (forwarded: Partial<Forwarded> | readonly Forwarded[]): forwarded is readonly Forwarded[] =>
  Array.isArray(forwarded);

export const forwards = (
  rule: string,
  name: string,
  bytes: Bytes,
  forwarded: Partial<Forwarded> | readonly Forwarded[] = {},
  options: CaseOptions = {},
): RequestCase =>
  make(
    rule,
    name,
    bytes,
    { kind: 'forwarded' },
    { forwarded: isList(forwarded) ? forwarded : [seen(forwarded)], ...options },
  );

/** Octets as they can be read in the name of a case. */
export const shown = (text: string): string =>
  text.length > 60 ? `${shown(text.slice(0, 40))}... (${text.length})` : JSON.stringify(text).slice(1, -1);

export { octets };
