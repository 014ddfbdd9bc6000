import { FieldName, fieldNameAt, hashOf } from '../field-names.ts';
import { Headers } from '../headers.ts';
import { FIELD_VALUE, isToken, TOKEN } from './chars.ts';
import { type HeadError, headError } from './head-error.ts';

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const HTAB = 0x09;
const COLON = 0x3a;

/** What the fields of one message say about its framing and its connection: filled while they are parsed, then read once. */
export class FieldScan {
  /** Before the first field. */
  readonly beginning = new FieldName('', '', undefined, undefined);
  headers = new Headers();
  hostCount = 0;
  host = '';
  contentLengthCount = 0;
  contentLength = '';
  transferEncodingCount = 0;
  transferEncoding = '';
  /** All Connection fields, comma separated; empty if there is none. */
  connection = '';
  upgrade = '';
  /** All Expect fields, comma separated. */
  expect = '';
  te = '';
  /** A field that CGI-like applications take for one that frames the message (RFC 3875 section 4.1.18). */
  framingAlias = '';

  reset(): void {
    this.headers = new Headers();
    this.hostCount = 0;
    this.host = '';
    this.contentLengthCount = 0;
    this.contentLength = '';
    this.transferEncodingCount = 0;
    this.transferEncoding = '';
    this.connection = '';
    this.upgrade = '';
    this.expect = '';
    this.te = '';
    this.framingAlias = '';
  }

  /** Fields that the codec deals in go to the scan, all others to the headers. */
  add(field: FieldName, value: string): void {
    const { name, lower } = field;
    if (!field.isOfCodec) {
      this.headers.appendLowered(name, lower, value);
      return;
    }
    switch (lower) {
      case 'host':
        this.hostCount++;
        this.host = value;
        return;
      case 'content-length':
        this.contentLengthCount++;
        this.contentLength = value;
        return;
      case 'transfer-encoding':
        this.transferEncoding = this.transferEncodingCount++ === 0 ? value : `${this.transferEncoding}, ${value}`;
        return;
      case 'connection':
        this.connection = this.connection === '' ? value : `${this.connection}, ${value}`;
        return;
      case 'upgrade':
        this.upgrade = this.upgrade === '' ? value : `${this.upgrade}, ${value}`;
        return;
      case 'te':
        this.te = this.te === '' ? value : `${this.te}, ${value}`;
        return;
      case 'expect':
        this.expect = this.expect === '' ? value : `${this.expect}, ${value}`;
        return;
      case 'keep-alive':
      case 'proxy-connection':
      case 'http2-settings':
        return;
      case 'content_length':
      case 'transfer_encoding':
        this.framingAlias = name;
        this.headers.appendLowered(name, lower, value);
    }
  }
}

/** The first octet that does not belong in a line, as an error. */
export function badOctet(text: string, at: number): HeadError {
  const code = text.charCodeAt(at);
  if (code === LF) return headError('bare-lf', 400, 'RFC 9112 section 2.2', 'a line ends in LF without CR');
  if (code === CR) return headError('bare-cr', 400, 'RFC 9112 section 2.2', 'a CR without LF');
  const hex = code.toString(16).padStart(2, '0');
  return headError('control-character', 400, 'RFC 9110 section 5.5', `octet 0x${hex} in a field value`);
}

function badName(text: string, start: number, end: number): HeadError {
  let at = start;
  while (at < end && TOKEN[text.charCodeAt(at)] === 1) at++;
  const code = text.charCodeAt(at);
  if (at < end && (code === LF || code === CR)) return badOctet(text, at);
  if (at < end && (code === SP || code === HTAB)) {
    return headError('space-before-colon', 400, 'RFC 9112 section 5.1', 'white space in or after a field name');
  }
  return headError('field-name', 400, 'RFC 9112 section 5', 'a field line without a valid name and colon');
}

/**
 * Parses the field lines of `text` from `start` (the octet after the start line's CRLF) to its end. The text holds
 * octets as Latin-1 and ends before the CRLF of its last line. Errors come in the order of the octets, so that the
 * answer does not depend on how the bytes arrived.
 */
export function parseFields(text: string, start: number, fieldsMax: number, scan: FieldScan): HeadError | undefined {
  const length = text.length;
  let at = start;
  let count = 0;
  let previous = scan.beginning;
  while (at < length) {
    const first = text.charCodeAt(at);
    if (first === SP || first === HTAB) {
      return headError('obs-fold', 400, 'RFC 9112 section 5.2', 'a field line begins with white space (obs-fold)');
    }
    if (++count > fieldsMax) {
      return headError('too-many-fields', 431, 'RFC 6585 section 5', `more than ${fieldsMax} fields`);
    }
    const name = nameAt(text, at, length, previous);
    if (name === undefined) return badName(text, at, length);
    previous = name;
    let end = name.endOfRepeated(text, at);
    if (end !== -1) {
      scan.add(name, name.repeated());
    } else {
      const from = at + name.name.length + 1;
      end = from;
      while (end < length && FIELD_VALUE[text.charCodeAt(end)] === 1) end++;
      if (end < length && (text.charCodeAt(end) !== CR || text.charCodeAt(end + 1) !== LF)) return badOctet(text, end);
      const value = valueAt(text, from, end);
      name.changed(value);
      scan.add(name, value);
    }
    at = end + 2;
  }
  return undefined;
}

/** The name at `start`, which comes after another; undefined: there is none with a colon. */
function nameAt(text: string, start: number, length: number, previous: FieldName): FieldName | undefined {
  const guess = previous.follower;
  if (guess?.isNamed(text, start) === true) return guess;
  let colon = start;
  let hash = 0;
  for (; colon < length; colon++) {
    const code = text.charCodeAt(colon);
    if (TOKEN[code] !== 1) break;
    hash = hashOf(hash, code);
  }
  if (colon === start || colon === length || text.charCodeAt(colon) !== COLON) return undefined;
  const name = fieldNameAt(text, start, colon, hash);
  // Any other would keep alive what it was cut from, and what came after it.
  if (name.isRemembered) previous.follower = name;
  return name;
}

/** Optional white space around a value is not part of it (RFC 9112 section 5.1). */
function valueAt(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** Without optional white space (RFC 9110 section 5.6.3): `trim` would take more than space and tab. */
export function trimmed(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

const isBlank = (code: number): boolean => code === SP || code === HTAB;

/** True when a comma-separated list of tokens has this one, in any casing (RFC 9110 section 5.6.1). */
export function listHas(list: string, lowerToken: string): boolean {
  if (list.length === 0) return false;
  const lower = list.toLowerCase();
  if (lower === lowerToken) return true;
  if (!lower.includes(',')) return trimmed(lower) === lowerToken;
  for (const item of lower.split(',')) {
    if (trimmed(item) === lowerToken) return true;
  }
  return false;
}

/** What a message says of its connection (RFC 9112 section 9.3). */
export function staysOpen(connection: string, version: 10 | 11): boolean {
  if (connection === '') return version === 11;
  if (connection === 'keep-alive') return true;
  return !listHas(connection, 'close') && (version === 11 || listHas(connection, 'keep-alive'));
}

/** End-to-end fields, which a sender must not name in Connection (RFC 9110 section 7.6.1): it would have them dropped. */
const END_TO_END = new Set(
  (
    'host content-length transfer-encoding content-type content-encoding content-range content-location authorization ' +
    'cookie set-cookie cache-control expect range date via forwarded x-real-ip x-request-id traceparent tracestate b3'
  ).split(' '),
);

const isEndToEnd = (lower: string): boolean => END_TO_END.has(lower) || lower.startsWith('x-forwarded-');

/** True for the values that nearly every message has, and that name no field. */
function isCommon(connection: string): boolean {
  switch (connection) {
    case '':
    case 'keep-alive':
    case 'close':
    case 'Keep-Alive':
    case 'Close':
    case 'Upgrade':
    case 'upgrade':
      return true;
    default:
      return false;
  }
}

/**
 * What Connection may not say in a request: something that is no list of tokens, or the name of an end-to-end field,
 * which is how what a proxy in front has set is made to disappear.
 */
export function connectionError(connection: string): HeadError | undefined {
  if (isCommon(connection)) return undefined;
  for (const item of connection.toLowerCase().split(',')) {
    const name = trimmed(item);
    if (name === '') continue;
    if (!isToken(name)) return connectionOption('Connection is not a list of names');
    if (isEndToEnd(name)) return connectionOption('Connection names an end-to-end field');
  }
  return undefined;
}

const connectionOption = (detail: string): HeadError =>
  headError('connection-option', 400, 'RFC 9110 section 7.6.1', detail);

/**
 * Drops what belongs to this connection only (RFC 9110 section 7.6.1). `Proxy-Authorization` and `Proxy-Authenticate`
 * stay: they are meant for the proxy that the client named (RFC 9110 section 11.7), which a transparent one is not.
 */
export function stripConnectionFields(headers: Headers, connection: string): void {
  if (isCommon(connection)) return;
  for (const item of connection.toLowerCase().split(',')) {
    const name = trimmed(item);
    if (name !== '' && name !== 'close' && name !== 'keep-alive' && name !== 'upgrade' && !isEndToEnd(name)) {
      headers.remove(name);
    }
  }
}
