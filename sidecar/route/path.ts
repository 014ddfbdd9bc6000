/**
 * One policy for paths: routing, authorization and the upstream see the same bytes.
 *
 * At the entrance a path is normalised as RFC 3986 section 6.2.2 describes and Envoy's `normalize_path` does: upper-case
 * hex, unreserved characters not percent-encoded, dot segments removed (section 5.2.4), characters that no URI has
 * percent-encoded, a backslash taken for the slash that servers take it for. What is no percent-encoding, and an encoded
 * NUL, is refused. Nothing else is rewritten: where proxy and application could still read a path differently
 * (`isAmbiguous`) it passes as it is, but is refused wherever a rule about paths has to be decided on it.
 */

const PERCENT = 0x25;
const SLASH = 0x2f;
const DOT = 0x2e;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;
const HEX = '0123456789ABCDEF';

/** Where the path ends and the query begins. */
export function pathLength(target: string): number {
  const question = target.indexOf('?');
  return question === -1 ? target.length : question;
}

/** 1: may stand in a path (RFC 3986 section 3.3, and the brackets that every server takes); 0: is percent-encoded. */
const PATH_CHAR = new Uint8Array(128);
/** RFC 3986 section 2.3. */
const UNRESERVED = new Uint8Array(256);
/** What makes a second look necessary, besides a dot after a slash. */
const ODD = new Uint8Array(128);
const ALPHANUMERIC = /[0-9A-Za-z]/;
for (let c = 0x21; c < 0x7f; c++) {
  const char = String.fromCharCode(c);
  if (ALPHANUMERIC.test(char) || '-._~'.includes(char)) UNRESERVED[c] = 1;
  if (UNRESERVED[c] === 1 || "!$&'()*+,;=:@/[]".includes(char)) PATH_CHAR[c] = 1;
}
for (let c = 0; c < 128; c++) ODD[c] = PATH_CHAR[c] === 1 ? 0 : 1;

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return -1;
}

/** The target with its path normalised; the same string when there is nothing to do. Undefined: the path is not one. */
export function canonicalTarget(target: string): string | undefined {
  const length = target.length;
  let before = 0;
  for (let i = 0; i < length; i++) {
    const code = target.charCodeAt(i);
    if (code === QUESTION) return target;
    if (ODD[code] !== 0 || (code === DOT && before === SLASH)) return normalised(target);
    before = code;
  }
  return target;
}

function normalised(target: string): string | undefined {
  const end = pathLength(target);
  const path = recoded(target, end);
  if (path === undefined) return undefined;
  const plain = DOT_SEGMENT.test(path) ? withoutDotSegments(path) : path;
  return end === target.length ? plain : plain + target.slice(end);
}

/** The query is left alone: what is in it is for the application alone. */
function recoded(target: string, end: number): string | undefined {
  let out = '';
  for (let i = 0; i < end; i++) {
    const code = target.charCodeAt(i);
    if (code === PERCENT) {
      // Half an encoding could become a whole one by the decoding of what follows it: `%%32%65`.
      const byte = i + 2 < end ? hexValue(target.charCodeAt(i + 1)) * 16 + hexValue(target.charCodeAt(i + 2)) : -1;
      if (hexValue(target.charCodeAt(i + 1)) < 0 || hexValue(target.charCodeAt(i + 2)) < 0 || byte <= 0)
        return undefined;
      out += UNRESERVED[byte] === 1 ? String.fromCharCode(byte) : escaped(byte);
      i += 2;
    } else if (code === BACKSLASH) out += '/';
    else if (PATH_CHAR[code] === 1) out += String.fromCharCode(code);
    else if (code > 0x20 && code < 0x7f) out += escaped(code);
    else return undefined;
  }
  return out;
}

const escaped = (byte: number): string => `%${HEX[byte >> 4]}${HEX[byte & 15]}`;

/** RFC 3986 section 5.2.4; a dot segment with path parameters is one too, since servers strip those first. */
function withoutDotSegments(path: string): string {
  const segments = path.split('/');
  const kept: string[] = [];
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] ?? '';
    const semicolon = segment.indexOf(';');
    const name = semicolon === -1 ? segment : segment.slice(0, semicolon);
    if (name !== '.' && name !== '..') {
      kept.push(segment);
      continue;
    }
    if (name === '..') kept.pop();
    if (i === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}

/** Encoded slash, backslash and NUL, a bare backslash, a fragment, a percent sign that encodes nothing. */
const SUSPICIOUS = /%2F|%5C|%00|\\|#|%(?![0-9A-Fa-f]{2})/i;
/** RFC 3986 section 3.3, `.` and `..`; with path parameters too, since servers strip those first. */
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:[/;]|$)/;

/** Whether a canonical path may be read as another one by the application. */
export function isAmbiguous(path: string): boolean {
  return SUSPICIOUS.test(path) || DOT_SEGMENT.test(path);
}

/** Servers often take `//admin` for `/admin`, which gets past a rule that denies the latter. */
export function hasEmptySegment(path: string): boolean {
  return path.includes('//');
}

/** The target as a server reads it that drops the parameters of path segments. */
export function withoutParameters(target: string): string {
  const end = pathLength(target);
  return target.slice(0, end).replace(/;[^/]*/g, '') + target.slice(end);
}
