/**
 * One policy for paths: routing, authorization and the upstream see the same bytes.
 *
 * At the entrance a path is brought to the canonical form of RFC 3986 section 6.2.2.1 and 6.2.2.2 (upper-case hex, and
 * unreserved characters not percent-encoded), which changes nothing of what it means. Nothing else is rewritten: where
 * proxy and application could read a path differently (`isAmbiguous`) it passes as it is, but is refused wherever a
 * rule about paths has to be decided on it.
 */

const PERCENT = 0x25;
const HEX = '0123456789ABCDEF';

/** Where the path ends and the query begins. */
export function pathLength(target: string): number {
  const question = target.indexOf('?');
  return question === -1 ? target.length : question;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return -1;
}

/** RFC 3986 section 2.3. */
function isUnreserved(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x5f ||
    byte === 0x7e
  );
}

/** The target with its path in canonical form; the same string when there is nothing to do. The query is left alone. */
export function canonicalTarget(target: string): string {
  const firstPercent = target.indexOf('%');
  if (firstPercent === -1) return target;
  const end = pathLength(target);
  if (firstPercent >= end) return target;
  let out = target.slice(0, firstPercent);
  let from = firstPercent;
  for (let i = firstPercent; i < end; i++) {
    if (target.charCodeAt(i) !== PERCENT || i + 2 >= end) continue;
    const high = hexValue(target.charCodeAt(i + 1));
    const low = hexValue(target.charCodeAt(i + 2));
    if (high < 0 || low < 0) continue;
    const byte = high * 16 + low;
    out += target.slice(from, i);
    out += isUnreserved(byte) ? String.fromCharCode(byte) : `%${HEX[high]}${HEX[low]}`;
    i += 2;
    from = i + 1;
  }
  return out + target.slice(from);
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
