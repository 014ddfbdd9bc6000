import type { Headers } from '../headers.ts';
import { FIELD_VALUE } from './chars.ts';
import { type HeadError, headError } from './head-error.ts';
import { FieldScan, parseFields } from './parse-fields.ts';

/** Enough for lengths that are exact as numbers; longer ones are attacks on other parsers. */
const SIZE_DIGITS_MAX = 13;
/** RFC 9112 section 7.1.1: the total of chunk extensions has to be limited. */
const EXTENSION_BYTES_MAX = 4_096;
const TRAILER_BYTES_MAX = 8_192;
const TRAILER_FIELDS_MAX = 64;

/**
 * Fields that change framing, routing, authentication or the handling of content may not come after the content (RFC
 * 9110 section 6.5.1). Host, Content-Length, Transfer-Encoding, TE and Connection never get as far as this list.
 */
export const FORBIDDEN_TRAILERS = new Set(
  (
    'trailer content-encoding content-type content-range content-location authorization proxy-authorization ' +
    'proxy-authenticate www-authenticate cookie set-cookie cache-control expect max-forwards pragma range if-match ' +
    'if-none-match if-modified-since if-unmodified-since if-range age expires date location retry-after vary warning ' +
    'forwarded x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-prefix x-forwarded-proto x-real-ip ' +
    'x-forwarded-client-cert traceparent tracestate'
  ).split(' '),
);

type State = 'size' | 'size-space' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'done';

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/**
 * Decodes the chunked transfer coding (RFC 9112 section 7.1), strictly: line ends are CRLF, sizes are hexadecimal
 * digits only. Extensions are bounded and dropped, as are trailer fields that may not be in trailers.
 * One a connection; `reset` before each body.
 */
export class ChunkedDecoder {
  /** What the last `step` found of the content; undefined if nothing. */
  chunk: Buffer | undefined = undefined;
  error: HeadError | undefined = undefined;
  trailers: Headers | undefined = undefined;
  private state: State = 'size';
  private digits = 0;
  private remaining = 0;
  private extensionBytes = 0;
  private trailerText = '';

  reset(): void {
    this.chunk = undefined;
    this.error = undefined;
    this.trailers = undefined;
    this.state = 'size';
    this.digits = 0;
    this.remaining = 0;
    this.extensionBytes = 0;
    this.trailerText = '';
  }

  get done(): boolean {
    return this.state === 'done';
  }

  /** Reads from `at` up to the end of one piece of content, of the body or of the bytes; returns where it stopped. */
  step(bytes: Buffer, at: number, end: number): number {
    this.chunk = undefined;
    while (at < end && this.state !== 'done' && this.error === undefined) {
      if (this.state === 'data') {
        const to = Math.min(end, at + this.remaining);
        this.chunk = bytes.subarray(at, to);
        this.remaining -= to - at;
        if (this.remaining === 0) this.state = 'data-cr';
        return to;
      }
      if (this.state === 'trailers') return this.readTrailers(bytes, at, end);
      this.readOctet(bytes[at] ?? 0);
      at++;
    }
    return at;
  }

  private readOctet(code: number): void {
    switch (this.state) {
      case 'size':
        this.readSize(code);
        return;
      case 'size-space':
        // Bad white space is removed only where an extension follows (RFC 9112 section 7.1.1).
        if (code === 0x3b) this.state = 'extension';
        else if (code !== 0x20 && code !== 0x09) {
          this.fail('white space after a chunk size');
          return;
        }
        this.countExtension();
        return;
      case 'extension':
        if (code === 0x0d) this.state = 'size-lf';
        else if (FIELD_VALUE[code] !== 1) {
          this.fail('an octet that may not be in a chunk extension');
          return;
        }
        this.countExtension();
        return;
      case 'size-lf':
        if (code !== 0x0a) {
          this.fail('a chunk size line does not end in CRLF');
          return;
        }
        this.state = this.remaining === 0 ? 'trailers' : 'data';
        return;
      case 'data-cr':
        if (code !== 0x0d) {
          this.fail('chunk data is longer than its size');
          return;
        }
        this.state = 'data-lf';
        return;
      case 'data-lf':
        if (code !== 0x0a) {
          this.fail('chunk data does not end in CRLF');
          return;
        }
        this.state = 'size';
        this.digits = 0;
        return;
      default:
        return;
    }
  }

  private readSize(code: number): void {
    const digit = hexDigit(code);
    if (digit !== -1) {
      if (++this.digits > SIZE_DIGITS_MAX) {
        this.fail('a chunk size has too many digits');
        return;
      }
      this.remaining = this.remaining * 16 + digit;
      return;
    }
    if (this.digits === 0) {
      this.fail('a chunk size without digits');
      return;
    }
    if (code === 0x0d) this.state = 'size-lf';
    else if (code === 0x3b) this.state = 'extension';
    else if (code === 0x20 || code === 0x09) this.state = 'size-space';
    else {
      this.fail('an octet that is not a hexadecimal digit in a chunk size');
      return;
    }
  }

  private countExtension(): void {
    if (++this.extensionBytes > EXTENSION_BYTES_MAX) this.fail(`more than ${EXTENSION_BYTES_MAX} bytes of extensions`);
  }

  private readTrailers(bytes: Buffer, at: number, end: number): number {
    const before = this.trailerText.length;
    const to = Math.min(end, at + TRAILER_BYTES_MAX + 4 - before);
    this.trailerText += bytes.toString('latin1', at, to);
    const text = this.trailerText;
    const bareLf = /(?:^|[^\r])\n/.exec(text);
    const last = text.startsWith('\r\n') ? -2 : text.indexOf('\r\n\r\n');
    if (last === -1 || (bareLf !== null && bareLf.index < last)) {
      if (bareLf !== null) this.error = headError('bare-lf', 400, 'RFC 9112 section 2.2', 'a bare LF in trailers');
      else if (text.length >= TRAILER_BYTES_MAX + 4) this.failTrailers(`more than ${TRAILER_BYTES_MAX} bytes`);
      return to;
    }
    this.state = 'done';
    if (last > 0) this.parseTrailers(text.slice(0, last));
    return at + last + 4 - before;
  }

  private parseTrailers(text: string): void {
    const scan = new FieldScan();
    const error = parseFields(text, 0, TRAILER_FIELDS_MAX, scan);
    if (error !== undefined) {
      this.error = error;
      return;
    }
    for (const name of FORBIDDEN_TRAILERS) scan.headers.remove(name);
    if (scan.headers.length > 0) this.trailers = scan.headers;
  }

  private fail(detail: string): void {
    this.error = headError('chunk', 400, 'RFC 9112 section 7.1', detail);
  }

  private failTrailers(detail: string): void {
    this.error = headError('trailers', 431, 'RFC 9112 section 7.1.2', `trailers: ${detail}`);
  }
}
