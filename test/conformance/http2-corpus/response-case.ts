/** How the frames of an application, or of another sidecar, have to arrive at the client. */
import type { Buffer } from 'node:buffer';
import type { From } from './case.ts';
import { data, type FieldPair, headers } from './wire.ts';

export interface ResponseCase {
  readonly name: string;
  readonly rule: string;
  readonly from: From;
  readonly method: 'GET' | 'HEAD';
  /** What is answered on that stream, in these writes. */
  readonly writes: (id: number) => readonly Buffer[];
  /** `whole`; `refused`: an answer of the proxy's own; `cut`: begun, and ended so that nobody takes it for whole. */
  readonly ends: 'whole' | 'refused' | 'cut';
  readonly status: number;
  readonly body: string;
  readonly interims: readonly number[];
  readonly fields: Readonly<Record<string, string | undefined>>;
  /** What the application is told. */
  readonly told: 'nothing' | { readonly reset: number } | { readonly goaway: number };
}

type Options = Partial<Omit<ResponseCase, 'name' | 'rule' | 'writes'>>;
type Writes = (id: number) => readonly Buffer[];

export const answers = (rule: string, name: string, writes: Writes, options: Options = {}): ResponseCase => ({
  name,
  rule,
  from: 'both',
  method: 'GET',
  writes,
  ends: 'whole',
  status: 200,
  body: '',
  interims: [],
  fields: {},
  told: 'nothing',
  ...options,
});

/** A malformed response: 502 to the client, RST_STREAM to whoever sent it (RFC 9113 section 8.1.1). */
export const broken = (rule: string, name: string, writes: Writes, options: Options = {}): ResponseCase =>
  answers(rule, name, writes, { ends: 'refused', status: 502, told: { reset: 1 }, ...options });

export const cut = (rule: string, name: string, writes: Writes, options: Options = {}): ResponseCase =>
  answers(rule, name, writes, { ends: 'cut', told: { reset: 1 }, ...options });

/** An error of the connection. */
export const fatal = (
  rule: string,
  name: string,
  writes: Writes,
  goaway: number,
  options: Options = {},
): ResponseCase => answers(rule, name, writes, { ends: 'refused', status: 502, told: { goaway }, ...options });

export const head = (id: number, end: boolean, ...fields: readonly FieldPair[]): Buffer =>
  headers(id, [[':status', '200'], ...fields], end);

export const status = (id: number, value: string, end: boolean, ...fields: readonly FieldPair[]): Buffer =>
  headers(id, [[':status', value], ...fields], end);

/** A whole response with that content. */
export const ok = (id: number, content: string, ...fields: readonly FieldPair[]): readonly Buffer[] => [
  head(id, false, ...fields),
  data(id, content),
];
