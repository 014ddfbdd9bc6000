/**
 * Field names of common requests and responses, in the two casings that are seen on the wire, to their lower case:
 * a lookup instead of a new string for each field of each message.
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

/** The one copy of a text that literals of the program are as well: to compare with them is to compare two pointers. */
const literal = (text: string): string => Object.keys({ [text]: 0 })[0] ?? text;

const lowerCase = new Map<string, string>();
for (const name of COMMON_NAMES.split(' ')) {
  const lower = literal(name.toLowerCase());
  lowerCase.set(name, lower);
  lowerCase.set(lower, lower);
}
let learned = 0;

/** The lower case of a field name. */
export function lowerName(name: string): string {
  const known = lowerCase.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  if (learned < LEARNED_NAMES_MAX && name.length <= LEARNED_NAME_CHARS_MAX) {
    learned++;
    // A copy, so that the map does not keep alive the whole head that the name was cut from.
    const copy = Buffer.from(name, 'latin1').toString('latin1');
    lowerCase.set(copy, literal(copy.toLowerCase()));
  }
  return lower;
}

const STRIDE = 3;
/** `: ` and CRLF around a field line (RFC 9112 section 5). */
const FIELD_LINE_OVERHEAD_BYTES = 4;

/**
 * Fields of a message in the order and casing in which they came. Lookups take the lower-case name.
 * One flat array of name, lower-case name and value: a head of ten fields is one allocation.
 */
export class Headers {
  private flat: string[] = [];

  /** From names and values in turn: `['Host', 'x', 'Accept', '*']`. */
  static from(namesAndValues: readonly string[]): Headers {
    const headers = new Headers();
    for (let i = 0; i + 1 < namesAndValues.length; i += 2) {
      headers.append(namesAndValues[i] ?? '', namesAndValues[i + 1] ?? '');
    }
    return headers;
  }

  /** Number of fields. */
  get length(): number {
    return this.flat.length / STRIDE;
  }

  nameAt(index: number): string {
    return this.flat[index * STRIDE] ?? '';
  }

  lowerAt(index: number): string {
    return this.flat[index * STRIDE + 1] ?? '';
  }

  valueAt(index: number): string {
    return this.flat[index * STRIDE + 2] ?? '';
  }

  /** Value of the first field of that name. */
  get(lower: string): string | undefined {
    const flat = this.flat;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) return flat[i + 1];
    }
    return undefined;
  }

  getAll(lower: string): string[] {
    const flat = this.flat;
    const values: string[] = [];
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) values.push(flat[i + 1] ?? '');
    }
    return values;
  }

  /** All values of that name as one, joined by commas (RFC 9110 section 5.3); undefined if there is none. */
  combined(lower: string): string | undefined {
    const flat = this.flat;
    let joined: string | undefined;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) joined = joined === undefined ? flat[i + 1] : `${joined}, ${flat[i + 1]}`;
    }
    return joined;
  }

  has(lower: string): boolean {
    const flat = this.flat;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) return true;
    }
    return false;
  }

  /** Replaces the first field of that name, in its place, and drops the others; adds one if there is none. */
  set(name: string, value: string): void {
    const lower = lowerName(name);
    const flat = this.flat;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] !== lower) continue;
      flat[i - 1] = name;
      flat[i + 1] = value;
      this.removeFrom(i + STRIDE, lower);
      return;
    }
    flat.push(name, lower, value);
  }

  append(name: string, value: string): void {
    this.flat.push(name, lowerName(name), value);
  }

  /** For parsers that have the lower case at hand. */
  appendLowered(name: string, lower: string, value: string): void {
    this.flat.push(name, lower, value);
  }

  /** True if there was one. */
  remove(lower: string): boolean {
    return this.removeFrom(1, lower);
  }

  /** Removes every field whose lower-case name is meant. */
  removeWhere(isMeant: (lower: string) => boolean): void {
    const flat = this.flat;
    for (let i = 1; i < flat.length; ) {
      const lower = flat[i] ?? '';
      if (isMeant(lower)) this.removeFrom(i, lower);
      else i += STRIDE;
    }
  }

  forEach(visit: (name: string, value: string, lower: string) => void): void {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += STRIDE) visit(flat[i] ?? '', flat[i + 2] ?? '', flat[i + 1] ?? '');
  }

  clone(): Headers {
    const copy = new Headers();
    copy.flat = this.flat.slice();
    return copy;
  }

  /** Size as HTTP/1 field lines. */
  get bytes(): number {
    const flat = this.flat;
    let bytes = 0;
    for (let i = 0; i < flat.length; i += STRIDE) {
      bytes += (flat[i] ?? '').length + (flat[i + 2] ?? '').length + FIELD_LINE_OVERHEAD_BYTES;
    }
    return bytes;
  }

  /** Drops fields of that name from position `start` (of its lower-case name) on, closing the gaps. */
  private removeFrom(start: number, lower: string): boolean {
    const flat = this.flat;
    let to = start - 1;
    for (let i = start; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) continue;
      if (to !== i - 1) {
        flat[to] = flat[i - 1] ?? '';
        flat[to + 1] = flat[i] ?? '';
        flat[to + 2] = flat[i + 1] ?? '';
      }
      to += STRIDE;
    }
    if (to >= flat.length) return false;
    flat.length = to;
    return true;
  }
}
