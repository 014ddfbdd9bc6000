import { PREFACE } from '../http/h2/frames.ts';
import { parseClientHello } from './client-hello.ts';

/** What the first bytes of a connection are. */
export type Detection =
  | { readonly kind: 'tls'; readonly serverName: string; readonly alpn: readonly string[] }
  | { readonly kind: 'http1'; readonly version: 'http/1.0' | 'http/1.1' }
  | { readonly kind: 'http2' }
  | { readonly kind: 'opaque' };

export const OPAQUE: Detection = { kind: 'opaque' };

const METHOD_CHARS_MAX = 32;
const REQUEST_LINE = /^[A-Z-]{1,32} \S+ (HTTP\/1\.[01])\r?$/;
/** A line that is longer than what is looked at: a request by its beginning, which the codec then answers 414. */
const REQUEST_BEGINNING = /^(?:GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|TRACE|CONNECT) \S*$/;

/** Enough for any method and the beginning of its target. */
const REQUEST_LOOK_BYTES = 64;

export const DETECT_BYTES_MAX = 16_384;

/** What these bytes are, or `more` while that is open. Pure; a longer prefix never contradicts a shorter one. */
export function detect(bytes: Buffer, bytesMax = DETECT_BYTES_MAX): Detection | 'more' {
  if (bytes.length === 0) return 'more';
  const full = bytes.length >= bytesMax;
  const first = bytes[0] ?? 0;
  if (first === 0x16) {
    const hello = parseClientHello(bytes);
    if (hello === 'invalid' || (hello === 'more' && full)) return OPAQUE;
    return hello === 'more' ? 'more' : { kind: 'tls', serverName: hello.serverName, alpn: hello.alpn };
  }
  const compared = Math.min(bytes.length, PREFACE.length);
  if (bytes.compare(PREFACE, 0, compared, 0, compared) === 0) {
    return compared === PREFACE.length ? { kind: 'http2' } : 'more';
  }
  return detectHttp1(bytes, full, bytesMax);
}

function detectHttp1(bytes: Buffer, full: boolean, bytesMax: number): Detection | 'more' {
  // Letters and one space begin a request; anything else is known for opaque by its first bytes.
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes[i] ?? 0;
    if (code === 0x20 && i > 0) break;
    if (!((code >= 0x41 && code <= 0x5a) || code === 0x2d) || i >= METHOD_CHARS_MAX) return OPAQUE;
  }
  const lineEnd = bytes.indexOf(0x0a);
  const text = bytes.toString('latin1', 0, lineEnd === -1 ? Math.min(bytes.length, bytesMax) : lineEnd);
  if (lineEnd !== -1) {
    const version = REQUEST_LINE.exec(text)?.[1];
    if (version === undefined) return OPAQUE;
    return { kind: 'http1', version: version === 'HTTP/1.0' ? 'http/1.0' : 'http/1.1' };
  }
  if (!full) return 'more';
  return REQUEST_BEGINNING.test(text) ? { kind: 'http1', version: 'http/1.1' } : OPAQUE;
}

/** What bytes that `detect` is not sure of are the beginning of, if of anything. */
export function leaning(bytes: Buffer | undefined): 'tls' | 'http' | 'http2' | 'unknown' {
  if (bytes === undefined || bytes.length === 0) return 'unknown';
  if (bytes[0] === 0x16) return 'tls';
  // One word tells of nothing yet: other protocols begin with words too.
  if (bytes.length > 'PRI '.length && bytes.compare(PREFACE, 0, bytes.length, 0, bytes.length) === 0) return 'http2';
  return REQUEST_BEGINNING.test(bytes.toString('latin1', 0, REQUEST_LOOK_BYTES)) ? 'http' : 'unknown';
}
