/**
 * Parsers as they should not be: each forgives what another does not, and none knows the sidecar's. What leaves the
 * sidecar has to read the same to all of them.
 */

export interface Seen {
  /** The request line without its target and version, or the status of a response. */
  readonly method: string;
  readonly target: string;
  readonly body: string;
  /** By lower-case name; repeated ones joined by a comma. */
  readonly fields: ReadonlyMap<string, string>;
}

export interface Reading {
  readonly messages: readonly Seen[];
  /** What is left, and no whole message. */
  readonly rest: string;
}

export interface Style {
  readonly name: string;
  /** What ends a line. */
  readonly lineEnd: RegExp;
  readonly prefers: 'length' | 'chunks';
  /** Of several lengths. */
  readonly length: 'first' | 'last';
  /** Takes `_` for `-` in names, as CGI does. */
  readonly foldsNames: boolean;
}

export const styles: readonly Style[] = [
  { name: 'prefers the length', lineEnd: /\r\n/g, prefers: 'length', length: 'first', foldsNames: true },
  { name: 'prefers chunks', lineEnd: /\r\n/g, prefers: 'chunks', length: 'last', foldsNames: false },
  { name: 'takes any line end', lineEnd: /\r\n|\n|\r(?!\n)/g, prefers: 'chunks', length: 'last', foldsNames: true },
  { name: 'takes bare LF', lineEnd: /\r*\n/g, prefers: 'length', length: 'last', foldsNames: false },
];

/** Blanks as the `trim` of many languages knows them. */
const trim = (text: string): string => text.replace(/^[\s\0\x85\xa0]+|[\s\0\x85\xa0]+$/g, '');

class Lines {
  at: number;
  private readonly text: string;
  private readonly end: RegExp;

  constructor(text: string, at: number, end: RegExp) {
    this.text = text;
    this.at = at;
    this.end = end;
  }

  /** The next line; undefined: it is not complete. */
  next(): string | undefined {
    this.end.lastIndex = this.at;
    const found = this.end.exec(this.text);
    if (found === null) return undefined;
    const line = this.text.slice(this.at, found.index);
    this.at = found.index + found[0].length;
    return line;
  }
}

function readFields(lines: Lines, style: Style): readonly (readonly [string, string])[] | undefined {
  const fields: [string, string][] = [];
  for (;;) {
    const line = lines.next();
    if (line === undefined) return undefined;
    if (line === '') return fields;
    const last = fields.at(-1);
    if (/^[ \t]/.test(line) && last !== undefined) {
      last[1] = trim(`${last[1]} ${trim(line)}`);
      continue;
    }
    const colon = line.indexOf(':');
    const name = trim(colon === -1 ? line : line.slice(0, colon)).toLowerCase();
    fields.push([style.foldsNames ? name.replaceAll('_', '-') : name, colon === -1 ? '' : trim(line.slice(colon + 1))]);
  }
}

/** The end of chunked content, and the content. */
function readChunks(
  text: string,
  at: number,
  style: Style,
): { readonly body: string; readonly at: number } | undefined {
  const lines = new Lines(text, at, style.lineEnd);
  let body = '';
  for (;;) {
    const line = lines.next();
    if (line === undefined) return undefined;
    const size = Number.parseInt(trim(line), 16);
    if (Number.isNaN(size) || size === 0) break;
    if (text.length < lines.at + size) return undefined;
    body += text.slice(lines.at, lines.at + size);
    lines.at += size;
    if (lines.next() === undefined) return undefined;
  }
  return readFields(lines, style) === undefined ? undefined : { body, at: lines.at };
}

const combined = (fields: readonly (readonly [string, string])[]): Map<string, string> => {
  const map = new Map<string, string>();
  for (const [name, value] of fields) {
    const before = map.get(name);
    map.set(name, before === undefined ? value : `${before},${value}`);
  }
  return map;
};

type Content = { readonly body: string; readonly at: number } | undefined;

function readContent(
  text: string,
  at: number,
  fields: readonly (readonly [string, string])[],
  style: Style,
  absent: () => Content,
): Content {
  const lengths = fields.filter(([name]) => name === 'content-length').map(([, value]) => value);
  const chunked = fields.some(([name, value]) => name === 'transfer-encoding' && /chunked/i.test(value));
  const length = Number.parseInt((style.length === 'first' ? lengths[0] : lengths.at(-1)) ?? '', 10);
  if (chunked && (style.prefers === 'chunks' || lengths.length === 0)) return readChunks(text, at, style);
  if (Number.isNaN(length)) return absent();
  return text.length < at + length ? undefined : { body: text.slice(at, at + length), at: at + length };
}

export function readRequests(text: string, style: Style): Reading {
  const messages: Seen[] = [];
  let at = 0;
  for (;;) {
    const lines = new Lines(text, at, style.lineEnd);
    let first = lines.next();
    while (first === '') first = lines.next();
    const fields = first === undefined ? undefined : readFields(lines, style);
    if (first === undefined || fields === undefined) break;
    const content = readContent(text, lines.at, fields, style, () => ({ body: '', at: lines.at }));
    if (content === undefined) break;
    const [method = '', target = ''] = first.split(/[ \t\v\f]+/);
    messages.push({ method, target, body: content.body, fields: combined(fields) });
    at = content.at;
  }
  return { messages, rest: text.slice(at) };
}

/** `methods` are those of the requests that are answered; `closed`: the connection has ended. */
export function readResponses(text: string, style: Style, methods: readonly string[], closed: boolean): Reading {
  const messages: Seen[] = [];
  let at = 0;
  let answered = 0;
  for (;;) {
    const lines = new Lines(text, at, style.lineEnd);
    const first = lines.next();
    const fields = first === undefined ? undefined : readFields(lines, style);
    if (first === undefined || fields === undefined) break;
    const status = first.split(/[ \t]+/)[1] ?? '';
    const interim = status.startsWith('1') && status !== '101';
    const empty = interim || status === '204' || status === '304' || methods[answered] === 'HEAD';
    const none = { body: '', at: lines.at };
    const content = empty
      ? none
      : readContent(text, lines.at, fields, style, () =>
          closed ? { body: text.slice(lines.at), at: text.length } : undefined,
        );
    if (content === undefined) break;
    messages.push({ method: status, target: '', body: content.body, fields: combined(fields) });
    if (!interim) answered++;
    at = content.at;
  }
  return { messages, rest: text.slice(at) };
}
