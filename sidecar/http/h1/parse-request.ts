import type { RequestHead } from '../exchange.ts';
import { isAuthority, TARGET, TOKEN } from './chars.ts';
import { CHUNKED, messageFraming } from './framing.ts';
import { type HeadError, headError } from './head-error.ts';
import {
  badOctet,
  connectionError,
  FieldScan,
  listHas,
  parseFields,
  staysOpen,
  stripConnectionFields,
  trimmed,
} from './parse-fields.ts';
import type { ReadBuffer } from './read-buffer.ts';

const METHOD_CHARS_MAX = 32;
const ABSOLUTE = /^(https?):\/\/([^/?]*)(.*)$/i;
const VERSION = /^HTTP\/\d\.\d$/;

/** What a parsed request head is besides the head that is dispatched. One a connection, refilled by each request. */
export class ParsedRequest {
  readonly scan = new FieldScan();
  head: RequestHead | undefined = undefined;
  /** Length of the body, or CHUNKED. */
  framing = 0;
  /** The client wants the connection kept (RFC 9112 section 9.3). */
  keepAlive = true;
}

/** For HTTP/1.0 requests without Host, and requests over TLS that the proxy itself terminated for the application. */
export interface RequestDefaults {
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly refusesHttp10?: boolean;
}

interface Target {
  scheme: 'http' | 'https' | '';
  authority: string;
  path: string;
}

/**
 * Parses a request head (RFC 9112 sections 3 and 5, RFC 9110 section 7): `text` holds its octets as Latin-1, without
 * the final CRLF CRLF. Pure but for `parsed`, which it fills.
 */
export function parseRequestHead(
  text: string,
  fieldsMax: number,
  defaults: RequestDefaults,
  parsed: ParsedRequest,
): HeadError | undefined {
  let lineEnd = text.indexOf('\r\n');
  if (lineEnd === -1) lineEnd = text.length;

  let space = 0;
  while (space < lineEnd && TOKEN[text.charCodeAt(space)] === 1) space++;
  if (space === 0 || text.charCodeAt(space) !== 0x20) return badStartLine(text, space);
  if (space > METHOD_CHARS_MAX) {
    return headError('method', 501, 'RFC 9112 section 3', `a method of more than ${METHOD_CHARS_MAX} characters`);
  }
  const method = methodAt(text, space);

  let targetEnd = space + 1;
  while (targetEnd < lineEnd && TARGET[text.charCodeAt(targetEnd)] === 1) targetEnd++;
  if (targetEnd === space + 1 || text.charCodeAt(targetEnd) !== 0x20) return badTarget(text, targetEnd);

  const versionError = requestVersionError(text, targetEnd + 1, lineEnd);
  if (versionError !== undefined) return versionError;
  const version = text.charCodeAt(lineEnd - 1) === 0x30 ? 10 : 11;

  if (version === 10 && defaults.refusesHttp10 === true) {
    return headError('version', 426, 'RFC 9110 section 15.5.22', 'HTTP/1.0 is not spoken here, HTTP/1.1 is');
  }
  const scan = parsed.scan;
  scan.reset();
  const fieldError = parseFields(text, lineEnd + 2, fieldsMax, scan);
  if (fieldError !== undefined) return fieldError;
  return assemble(method, text.slice(space + 1, targetEnd), version, defaults, parsed);
}

/** The one copy of common methods, which literals of the program are as well: to compare with them is to compare two pointers. */
function methodAt(text: string, end: number): string {
  const method = text.slice(0, end);
  switch (method) {
    case 'GET':
      return 'GET';
    case 'POST':
      return 'POST';
    case 'PUT':
      return 'PUT';
    case 'HEAD':
      return 'HEAD';
    case 'DELETE':
      return 'DELETE';
    case 'PATCH':
      return 'PATCH';
    case 'OPTIONS':
      return 'OPTIONS';
    default:
      return method;
  }
}

function badStartLine(text: string, at: number): HeadError {
  const code = text.charCodeAt(at);
  if (code === 0x0a || (code === 0x0d && text.charCodeAt(at + 1) !== 0x0a)) return badOctet(text, at);
  return headError(
    'method',
    400,
    'RFC 9112 section 3.1',
    'the request line does not begin with a method and one space',
  );
}

function badTarget(text: string, at: number): HeadError {
  const code = text.charCodeAt(at);
  if (code === 0x0a || (code === 0x0d && text.charCodeAt(at + 1) !== 0x0a)) return badOctet(text, at);
  return headError('target', 400, 'RFC 9112 section 3.2', 'the request target has an octet that may not be in one');
}

function requestVersionError(text: string, start: number, end: number): HeadError | undefined {
  if (end - start === 8 && text.startsWith('HTTP/1.', start)) {
    const minor = text.charCodeAt(end - 1);
    if (minor === 0x31 || minor === 0x30) return undefined;
  }
  const version = text.slice(start, end);
  const stray = /[\r\n]/.exec(version);
  if (stray !== null) return badOctet(text, start + stray.index);
  if (VERSION.test(version)) {
    return headError('version', 505, 'RFC 9110 section 2.5', 'the HTTP version is neither 1.1 nor 1.0');
  }
  return headError('start-line', 400, 'RFC 9112 section 3', 'the request line is not method, target and version');
}

function assemble(
  method: string,
  rawTarget: string,
  version: 10 | 11,
  defaults: RequestDefaults,
  parsed: ParsedRequest,
): HeadError | undefined {
  const scan = parsed.scan;
  if (scan.hostCount > 1) return headError('host', 400, 'RFC 9112 section 3.2', 'more than one Host');
  if (scan.hostCount === 0 && version === 11) return headError('host', 400, 'RFC 9112 section 3.2', 'no Host');
  if (scan.hostCount === 1 && !isAuthority(scan.host)) {
    return headError('host', 400, 'RFC 9112 section 3.2', 'Host is not a host with an optional port');
  }
  const framing = messageFraming(scan, version, 0);
  if (!framing.ok) return framing.error;

  const target: Target = {
    scheme: '',
    authority: scan.hostCount === 1 ? scan.host : defaults.authority,
    path: rawTarget,
  };
  // Origin form is what nearly every request has; the others are told apart only here.
  if (rawTarget.charCodeAt(0) !== 0x2f || method === 'CONNECT') {
    const targetError = resolveTarget(method, rawTarget, target);
    if (targetError !== undefined) return targetError;
  }
  const error = contradiction(method, framing.value, scan);
  if (error !== undefined) return error;
  fill(method, target, version, framing.value, defaults, parsed);
  return undefined;
}

/** What each field may say by itself, but not in this request. */
function contradiction(method: string, framing: number, scan: FieldScan): HeadError | undefined {
  if (scan.framingAlias !== '') {
    const detail = `${scan.framingAlias} frames the message where "_" is taken for "-"`;
    return headError('framing-conflict', 400, 'RFC 3875 section 4.1.18', detail);
  }
  if (method === 'CONNECT' && (framing !== 0 || scan.contentLengthCount > 0)) {
    return headError('connect', 400, 'RFC 9110 section 9.3.6', 'CONNECT with content');
  }
  if (method === 'TRACE' && framing !== 0) {
    return headError('trace', 400, 'RFC 9110 section 9.3.8', 'TRACE with content');
  }
  if (scan.expect !== '' && scan.expect !== '100-continue' && !onlyContinue(scan.expect)) {
    return headError('expect', 417, 'RFC 9110 section 10.1.1', 'an expectation other than 100-continue');
  }
  return connectionError(scan.connection);
}

/** Whether all that is expected is 100 (RFC 9110 section 10.1.1). */
export function onlyContinue(expect: string): boolean {
  for (const item of expect.toLowerCase().split(',')) {
    const expectation = trimmed(item);
    if (expectation !== '' && expectation !== '100-continue') return false;
  }
  return true;
}

function fill(
  method: string,
  target: Target,
  version: 10 | 11,
  framing: number,
  defaults: RequestDefaults,
  parsed: ParsedRequest,
): void {
  const scan = parsed.scan;
  const connection = scan.connection;
  stripConnectionFields(scan.headers, connection);
  if (scan.te !== '' && listHas(scan.te, 'trailers')) scan.headers.appendLowered('TE', 'te', 'trailers');
  parsed.keepAlive = staysOpen(connection, version);
  parsed.framing = framing;
  parsed.head = {
    method,
    scheme: target.scheme === '' ? defaults.scheme : target.scheme,
    authority: target.authority,
    path: target.path,
    protocol: tunnelProtocol(method, version, framing, scan),
    headers: scan.headers,
    version,
    contentLength: framing === CHUNKED ? -1 : framing,
    // RFC 9110 section 10.1.1: not from HTTP/1.0, and only where content follows.
    expectContinue: scan.expect !== '' && version === 11 && framing !== 0,
  };
}

/** RFC 9110 section 7.8. */
const PROTOCOL = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;

/**
 * An Upgrade is taken only from a request without content (a proxy may ignore it, RFC 9110 section 7.8), and never to
 * h2c, which RFC 9113 section 3.1 has withdrawn and which would hide requests from policy. Of several protocols one is
 * passed on, so that what the upstream accepts is what was asked for.
 */
function tunnelProtocol(method: string, version: 10 | 11, framing: number, scan: FieldScan): string | undefined {
  if (method === 'CONNECT') return '';
  if (scan.upgrade === '' || version === 10 || framing !== 0 || !listHas(scan.connection, 'upgrade')) return undefined;
  if (listHas(scan.upgrade, 'h2c')) return undefined;
  if (listHas(scan.upgrade, 'websocket')) return method === 'GET' ? 'websocket' : undefined;
  const comma = scan.upgrade.indexOf(',');
  const first = comma === -1 ? scan.upgrade : trimmed(scan.upgrade.slice(0, comma));
  return PROTOCOL.test(first) ? first : undefined;
}

/** RFC 9112 section 3.2: absolute form, authority form and asterisk form. */
function resolveTarget(method: string, raw: string, target: Target): HeadError | undefined {
  const section = 'RFC 9112 section 3.2';
  if (method === 'CONNECT') {
    if (!isAuthority(raw) || !/:\d+$/.test(raw)) {
      return headError('target', 400, `${section}.3`, 'the target of CONNECT is not host:port');
    }
    target.authority = raw;
    target.path = '';
    return undefined;
  }
  if (raw === '*') {
    if (method === 'OPTIONS') return undefined;
    return headError('target', 400, `${section}.4`, 'the target "*" with another method than OPTIONS');
  }
  const [, scheme, authority = '', rest = ''] = ABSOLUTE.exec(raw) ?? [];
  if (scheme === undefined || !isAuthority(authority)) {
    return headError('target', 400, section, 'the target is not in origin, absolute, authority or asterisk form');
  }
  target.scheme = scheme.toLowerCase() === 'https' ? 'https' : 'http';
  // The target's authority replaces that of Host (RFC 9112 section 3.2.2).
  target.authority = authority;
  if (rest === '' && method === 'OPTIONS') target.path = '*';
  else target.path = rest.startsWith('/') ? rest : `/${rest}`;
  return undefined;
}

/** For a head that does not end within the limit: 414 when already its first line does not (RFC 9112 section 3). */
export function requestTooLarge(input: ReadBuffer, max: number): HeadError {
  const lineEnd = input.lineEnd();
  if (lineEnd === -1 || lineEnd - input.at > max) {
    return headError('target-too-long', 414, 'RFC 9112 section 3', `the request line is longer than ${max} bytes`);
  }
  return headError('head-too-large', 431, 'RFC 6585 section 5', `the request head is larger than ${max} bytes`);
}

/** The first line of a head that is longer than such lines may be; a maximum of 0 is none. */
export function lineTooLong(text: string, requestLineMax: number, fieldLineMax: number): HeadError | undefined {
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('\r\n', at);
    const end = found === -1 ? text.length : found;
    const length = end - at;
    if (at === 0 && requestLineMax > 0 && length > requestLineMax) {
      const detail = `the request line is longer than ${requestLineMax} bytes`;
      return headError('target-too-long', 414, 'RFC 9112 section 3', detail);
    }
    if (at > 0 && fieldLineMax > 0 && length > fieldLineMax) {
      const detail = `a field line is longer than ${fieldLineMax} bytes`;
      return headError('field-too-long', 431, 'RFC 6585 section 5', detail);
    }
    at = end + 2;
  }
  return undefined;
}
