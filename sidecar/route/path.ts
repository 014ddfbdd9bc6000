/**
 * One policy for paths: routing, authorization and the upstream see the same bytes.
 *
 * At the entrance a path is normalised as RFC 3986 section 6.2.2 describes and Envoy's `normalize_path` does: upper-case
 * hex, unreserved characters not percent-encoded, dot segments removed (section 5.2.4), characters that no URI has
 * percent-encoded, a backslash taken for the slash that servers take it for. What is no percent-encoding, and an encoded
 * NUL, is refused. Nothing else is rewritten: where proxy and application could still read a path differently
 * (`isAmbiguous`) it passes as it is, but is refused wherever a rule about paths has to be decided on it.
 */

import { canonicalCharacters, PATH_CHAR } from '@weft/policies/kit/path-characters';

const SLASH = 0x2f;
const DOT = 0x2e;
const QUESTION = 0x3f;

/** Where the path ends and the query begins. */
export function pathLength(target: string): number {
  const question = target.indexOf('?');
  return question === -1 ? target.length : question;
}

/** What makes a second look necessary, besides a dot after a slash. */
const ODD = new Uint8Array(128);
for (let c = 0; c < 128; c++) ODD[c] = PATH_CHAR[c] === 1 ? 0 : 1;

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

/** The query is left alone: what is in it is for the application alone. */
function normalised(target: string): string | undefined {
  const end = pathLength(target);
  const path = canonicalCharacters(target, end);
  if (path === undefined) return undefined;
  const plain = DOT_SEGMENT.test(path) ? withoutDotSegments(path) : path;
  return end === target.length ? plain : plain + target.slice(end);
}

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

/**
 * Encoded slash, backslash and control characters (a line end before the end is none to many a `$`), a bare backslash, a
 * fragment, a percent sign that encodes nothing; an encoded percent sign that a second decoding takes for the begin of
 * another; the bytes that UTF-8 never has, in which lax decoders see a slash or a dot (RFC 3629 section 10).
 */
const SUSPICIOUS =
  /%2F|%5C|%[01][0-9A-F]|%7F|\\|#|%(?![0-9A-Fa-f]{2})|%25[0-9A-Fa-f]{2}|%C[01]|%E0%[89]|%F0%8|%F[5-9A-F]/i;
/** RFC 3986 section 3.3, `.` and `..`; with what servers strip first too, also where they decode before that. */
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:[/;]|%3[BF]|%23|$)/;

/** Whether a canonical path may be read as another one by the application. */
export function isAmbiguous(path: string): boolean {
  return SUSPICIOUS.test(path) || DOT_SEGMENT.test(path);
}

/**
 * The other ways in which servers read a path that is not ambiguous: without the parameters of its segments (RFC 3986
 * section 3.3), with slashes that follow slashes taken for one, and, if asked for, without the slash at its end; and what
 * those make of it that decode before they look for parameters, a query or a fragment. Empty for nearly every path.
 */
export function otherReadings(target: string, withoutLastSlash: boolean): readonly string[] {
  const end = pathLength(target);
  const path = end === target.length ? target : target.slice(0, end);
  const encoded = ENCODED_ENDS.test(path);
  const parameters = encoded || path.includes(';');
  const slashes = path.includes('//');
  const last = withoutLastSlash && end > 1 && path.charCodeAt(end - 1) === SLASH;
  if (!parameters && !slashes && !last) return none;
  const readings = new Set([path]);
  if (encoded) for (const one of [...readings]) readings.add(one.replace(ENCODED_END, ''));
  if (parameters) for (const one of [...readings]) readings.add(one.replace(PARAMETERS, ''));
  for (const one of [...readings]) readings.add(one.replace(SLASHES, '/'));
  if (withoutLastSlash) for (const one of [...readings]) if (one.length > 1) readings.add(one.replace(LAST_SLASH, ''));
  readings.delete(path);
  return [...readings];
}

const none: readonly string[] = [];
const PARAMETERS = /(?:;|%3B)[^/]*/g;
/** Question mark and number sign, which end a path; a semicolon ends a segment. */
const ENCODED_END = /%(?:3F|23).*$/;
const ENCODED_ENDS = /%(?:3[BF]|23)/;
const SLASHES = /\/{2,}/g;
const LAST_SLASH = /\/$/;
