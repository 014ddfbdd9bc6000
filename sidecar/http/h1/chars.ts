import { isIPv6 } from 'node:net';
import { ownString } from '../field-names.ts';

/** RFC 9110 section 5.6.2: characters of methods, field names and transfer codings. */
export const TOKEN: Uint8Array = new Uint8Array(256);
/** What may stand in a request target: visible ASCII but `#`, which begins a fragment and is never sent. */
export const TARGET: Uint8Array = new Uint8Array(256);
/** RFC 9110 section 5.5: VCHAR, obs-text, SP and HTAB. */
export const FIELD_VALUE: Uint8Array = new Uint8Array(256);
/**
 * Host and port, without userinfo. Of RFC 3986 section 3.2.2 without percent-encodings and sub-delims: no name of a host
 * has them, and a comma or an escape in one is how two readers are made to see two hosts.
 */
export const AUTHORITY: Uint8Array = new Uint8Array(256);

for (let c = 0; c < 256; c++) {
  const letterOrDigit = (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a);
  const char = String.fromCharCode(c);
  if (letterOrDigit || "!#$%&'*+-.^_`|~".includes(char)) TOKEN[c] = 1;
  if (c > 0x20 && c < 0x7f && char !== '#') TARGET[c] = 1;
  if (c === 0x09 || (c >= 0x20 && c !== 0x7f)) FIELD_VALUE[c] = 1;
  if (letterOrDigit || '-._~:[]'.includes(char)) AUTHORITY[c] = 1;
}

export function allOf(table: Uint8Array, text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (table[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

export function isToken(text: string): boolean {
  return text.length > 0 && allOf(TOKEN, text, 0, text.length);
}

/** `host`, `host:port`, `[v6]:port`; the port may be empty (RFC 3986 section 3.2.3). */
const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|[^:[\]]+)(?::(\d{0,5}))?$/;
const PORT_MAX = 65_535;

/** The last that was found good, of each length in turn: a connection mostly asks for one host. */
const KNOWN_SLOTS = 32;
const known: string[] = new Array<string>(KNOWN_SLOTS).fill('');

export function isAuthority(text: string): boolean {
  const slot = text.length & (KNOWN_SLOTS - 1);
  if (text !== '' && known[slot] === text) return true;
  if (!isNewAuthority(text)) return false;
  // A copy, so that it does not keep alive the head that it was cut from.
  known[slot] = ownString(text);
  return true;
}

function isNewAuthority(text: string): boolean {
  if (text.length > 300 || !allOf(AUTHORITY, text, 0, text.length)) return false;
  const match = HOST_PORT.exec(text);
  if (match === null) return false;
  const [, ipv6, port] = match;
  return (ipv6 === undefined || isIPv6(ipv6)) && (port === undefined || Number(port) <= PORT_MAX);
}
