/**
 * Query parameters as the WHATWG URL standard parses forms: split at `&`, `+` is a space, then percent-decoded.
 * Of a repeated parameter the first counts (Gateway API, HTTPQueryParamMatch).
 */

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    // Not UTF-8 or a stray percent sign: compared as it stands.
    return spaced;
  }
}

/** Value of the first parameter of that name as it stands, compared and returned without decoding. */
export function rawQueryParameter(target: string, queryStart: number, name: string): string | undefined {
  let at = queryStart + 1;
  while (at <= target.length) {
    let end = target.indexOf('&', at);
    if (end === -1) end = target.length;
    if (target.startsWith(name, at)) {
      const nameEnd = at + name.length;
      if (nameEnd === end) return '';
      if (nameEnd < end && target.charCodeAt(nameEnd) === 0x3d) return target.slice(nameEnd + 1, end);
    }
    at = end + 1;
  }
  return undefined;
}

/** Value of the first parameter of that name; empty for `?flag`; undefined if there is none. */
export function queryParameter(target: string, queryStart: number, name: string): string | undefined {
  let at = queryStart + 1;
  while (at <= target.length) {
    let end = target.indexOf('&', at);
    if (end === -1) end = target.length;
    const equals = target.indexOf('=', at);
    const nameEnd = equals === -1 || equals > end ? end : equals;
    if (nameEnd > at && decode(target.slice(at, nameEnd)) === name) {
      return nameEnd < end ? decode(target.slice(nameEnd + 1, end)) : '';
    }
    at = end + 1;
  }
  return undefined;
}
