/** How the characters of a path are written: the one form for requests, and for the policies that speak of them. */

const PERCENT = 0x25;
const BACKSLASH = 0x5c;
const HEX = '0123456789ABCDEF';

/** 1: may stand in a path (RFC 3986 section 3.3, and the brackets that every server takes); 0: is percent-encoded. */
export const PATH_CHAR = new Uint8Array(128);
/** RFC 3986 section 2.3. */
const UNRESERVED = new Uint8Array(256);
const ALPHANUMERIC = /[0-9A-Za-z]/;
for (let c = 0x21; c < 0x7f; c++) {
  const char = String.fromCharCode(c);
  if (ALPHANUMERIC.test(char) || '-._~'.includes(char)) UNRESERVED[c] = 1;
  if (UNRESERVED[c] === 1 || "!$&'()*+,;=:@/[]".includes(char)) PATH_CHAR[c] = 1;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return -1;
}

const escaped = (byte: number): string => `%${HEX[byte >> 4]}${HEX[byte & 15]}`;

/**
 * The first characters of a text as RFC 3986 section 6.2.2 writes them: upper-case hex, nothing percent-encoded that need
 * not be, everything that has to be. A backslash is taken for the slash that servers take it for. Undefined: not a path.
 */
export function canonicalCharacters(text: string, end: number): string | undefined {
  let out = '';
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === PERCENT) {
      // Half an encoding could become a whole one by the decoding of what follows it: `%%32%65`.
      const [high, low] = i + 2 < end ? [hexValue(text.charCodeAt(i + 1)), hexValue(text.charCodeAt(i + 2))] : [-1, -1];
      const byte = high * 16 + low;
      if (high < 0 || low < 0 || byte === 0) return undefined;
      out += UNRESERVED[byte] === 1 ? String.fromCharCode(byte) : escaped(byte);
      i += 2;
    } else if (code === BACKSLASH) out += '/';
    else if (PATH_CHAR[code] === 1) out += String.fromCharCode(code);
    else if (code > 0x20 && code < 0x7f) out += escaped(code);
    else return undefined;
  }
  return out;
}
