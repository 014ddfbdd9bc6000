/**
 * Field names of common requests and responses, in the two casings that are seen on the wire, with their lower case:
 * a lookup instead of two new strings for each field of each message.
 */
const COMMON_NAMES =
  'Accept Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Origin Age Allow Authorization Cache-Control ' +
  'Connection Content-Disposition Content-Encoding Content-Language Content-Length Content-Location Content-Range ' +
  'Content-Security-Policy Content-Type Cookie Date ETag Etag Expect Expires Forwarded From Grpc-Status Grpc-Message ' +
  'Grpc-Timeout Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Modified Link ' +
  'Location Max-Forwards Origin Pragma Proxy-Authenticate Proxy-Authorization Proxy-Connection Range Referer Retry-After ' +
  'Server Set-Cookie Strict-Transport-Security TE Te Tracestate Traceparent Trailer Transfer-Encoding Upgrade ' +
  'Upgrade-Insecure-Requests User-Agent Vary Via WWW-Authenticate Warning X-B3-Sampled X-B3-SpanId X-B3-TraceId ' +
  'X-Content-Type-Options X-Forwarded-Client-Cert X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Frame-Options ' +
  'X-Powered-By X-Real-IP X-Request-ID X-Request-Id';

/** Bounds the names that are remembered beyond the common ones, so that a client with random names costs no memory. */
const LEARNED_NAMES_MAX = 512;
const LEARNED_NAME_CHARS_MAX = 64;
/** Nor time: names that were made to meet in one place are not remembered beyond this. */
const CHAIN_MAX = 8;
const PLACES = 2_048;

/** The one copy of a text that literals of the program are as well: to compare with them is to compare two pointers. */
const literal = (text: string): string => Object.keys({ [text]: 0 })[0] ?? text;

/** What the codec of HTTP/1 deals in: framing, this connection, and what is taken for framing elsewhere (FieldScan.add). */
const CODEC_NAMES = new Set(
  (
    'host content-length transfer-encoding connection upgrade te expect keep-alive proxy-connection http2-settings ' +
    'content_length transfer_encoding'
  ).split(' '),
);
/** Their values are not remembered, nor those of names that are not common: how long a comparison takes tells of a secret. */
const SECRET_NAMES = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'set-cookie',
  'x-forwarded-client-cert',
]);
const VALUE_CHARS_MAX = 256;
/**
 * So many other values in a row take the place of one. It costs copies: where several values come in turns the remembered
 * one stays, and of values that are never the same few are copied.
 */
const OTHERS_MIN = 32;
const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
/** Characters below which V8 copies what is cut from a string instead of referring to it. */
const SLICED_CHARS_MIN = 13;

/** A string of one piece, which keeps no larger one alive, such as the head that it was cut from. */
export function ownString(text: string): string {
  return text.length < SLICED_CHARS_MIN ? text : Buffer.from(text, 'latin1').toString('latin1');
}

/** A field name as it was written, and its lower case. */
export class FieldName {
  readonly name: string;
  readonly lower: string;
  readonly next: FieldName | undefined;
  readonly isOfCodec: boolean;
  /** A value that came with it: most fields of most messages say what they said before. Empty: none. */
  lastValue = '';
  /** The name, a colon, a space and `lastValue`. */
  private lastLine = '';
  /** What came after it in the last message: most messages have the same names in the same order. */
  follower: FieldName | undefined = undefined;
  /** There is one of the name from now on. */
  readonly isRemembered: boolean;
  private readonly remembersValue: boolean;
  /** Values that came since `lastValue` did. */
  private others = 0;

  constructor(
    name: string,
    lower: string,
    next: FieldName | undefined,
    remembered: { readonly value: boolean } | undefined,
  ) {
    this.name = name;
    this.lower = lower;
    this.next = next;
    this.isOfCodec = CODEC_NAMES.has(lower);
    this.isRemembered = remembered !== undefined;
    this.remembersValue = remembered?.value === true;
  }

  /** Whether the name and a colon are at `start` of the text. */
  isNamed(text: string, start: number): boolean {
    return text.startsWith(this.name, start) && text.charCodeAt(start + this.name.length) === COLON;
  }

  /** Where the line ends that begins at `start` of the text, if it has the name and `lastValue`; otherwise -1. */
  endOfRepeated(text: string, start: number): number {
    const { lastLine } = this;
    if (lastLine === '' || !text.startsWith(lastLine, start)) return -1;
    const end = start + lastLine.length;
    return end === text.length || (text.charCodeAt(end) === CR && text.charCodeAt(end + 1) === LF) ? end : -1;
  }

  /** It came with a value that is not `lastValue`. */
  changed(value: string): void {
    if (!this.remembersValue) return;
    if (this.lastValue !== '' && ++this.others < OTHERS_MIN) return;
    if (value === '' || value.length > VALUE_CHARS_MAX) return;
    this.others = 0;
    this.lastValue = literal(ownString(value));
    this.lastLine = ownString(`${this.name}: ${value}`);
  }

  /** It came with `lastValue`. */
  repeated(): string {
    this.others = 0;
    return this.lastValue;
  }

  isAt(text: string, start: number, end: number): boolean {
    const { name } = this;
    if (name.length !== end - start) return false;
    for (let i = start; i < end; i++) if (text.charCodeAt(i) !== name.charCodeAt(i - start)) return false;
    return true;
  }
}

const places: (FieldName | undefined)[] = new Array<FieldName | undefined>(PLACES).fill(undefined);
let learned = 0;

/** What `fieldNameAt` wants of the name's characters, one after the other, from 0. */
export const hashOf = (hash: number, code: number): number => (Math.imul(hash, 31) + code) | 0;

function hashOfName(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = hashOf(hash, name.charCodeAt(i));
  return hash;
}

function remember(name: string, value: boolean): FieldName {
  const at = hashOfName(name) & (PLACES - 1);
  const known = new FieldName(literal(name), literal(name.toLowerCase()), places[at], { value });
  places[at] = known;
  return known;
}

for (const name of new Set(COMMON_NAMES.split(' ').flatMap((name) => [name, name.toLowerCase()]))) {
  remember(name, !SECRET_NAMES.has(name.toLowerCase()));
}

/** The name at `start` of `text`, whose hash is at hand; remembered, if there is room. */
export function fieldNameAt(text: string, start: number, end: number, hash: number): FieldName {
  let length = 0;
  for (let known = places[hash & (PLACES - 1)]; known !== undefined; known = known.next) {
    if (known.isAt(text, start, end)) return known;
    length++;
  }
  const name = text.slice(start, end);
  if (learned >= LEARNED_NAMES_MAX || end - start > LEARNED_NAME_CHARS_MAX || length >= CHAIN_MAX) {
    return new FieldName(name, name.toLowerCase(), undefined, undefined);
  }
  learned++;
  // A copy, so that the table does not keep alive the whole head that the name was cut from.
  return remember(Buffer.from(name).toString(), false);
}

/** The lower case of a field name. */
export const lowerName = (name: string): string => fieldNameAt(name, 0, name.length, hashOfName(name)).lower;
