import { decimalOf } from '../decimal.ts';
import { FORBIDDEN_TRAILERS } from '../h1/chunked.ts';
import { Headers } from '../headers.ts';
import { type H2Error, type H2ErrorKind, h2Error } from './h2-error.ts';
import type { FieldSink, HpackDecoder } from './hpack/decoder.ts';
import { type Field, FieldKind } from './hpack/field.ts';
import type { H2Stream } from './stream.ts';

const LENGTH_DIGITS_MAX = 15;

export interface HeadLimits {
  readonly headBytesMax: number;
  readonly headersCountMax: number;
}

/** Collects the fields of a block as they are decoded, within limits; the first error stays. */
export abstract class FieldCollector implements FieldSink {
  headers = new Headers();
  error: H2Error | undefined = undefined;
  protected regularSeen = false;
  /** -1: none was declared. */
  protected contentLength = -1;
  private readonly limits: HeadLimits;
  private bytes = 0;
  private count = 0;

  constructor(limits: HeadLimits) {
    this.limits = limits;
  }

  begin(): void {
    this.headers = new Headers();
    this.error = undefined;
    this.regularSeen = false;
    this.contentLength = -1;
    this.bytes = 0;
    this.count = 0;
  }

  /** Collects a whole block. An error here is one of the connection: its table is no longer that of the peer. */
  decode(decoder: HpackDecoder, block: Buffer, start: number, end: number): H2Error | undefined {
    this.begin();
    const broken = decoder.decode(block, start, end, this);
    return broken === undefined ? undefined : h2Error('hpack', `${broken.detail} (${broken.section})`);
  }

  /** After an error the rest is decoded for the table's sake only. */
  field(field: Field): void {
    this.bytes += field.sizeBytes;
    if (this.error !== undefined) return;
    if (this.bytes > this.limits.headBytesMax) {
      this.error = this.tooLarge(field, this.limits.headBytesMax);
      return;
    }
    const { kind } = field;
    if (kind === FieldKind.REGULAR) {
      this.regularSeen = true;
      this.append(field);
    } else if (kind >= FieldKind.METHOD && kind <= FieldKind.UNKNOWN_PSEUDO) {
      if (this.regularSeen) this.fail('pseudo-field', `${field.name} after another field`);
      else this.pseudo(field);
    } else {
      this.regularSeen = true;
      this.special(field);
    }
  }

  protected tooLarge(_field: Field, bytesMax: number): H2Error {
    return h2Error('head-too-large', `the head is larger than ${bytesMax} bytes`);
  }

  protected abstract pseudo(field: Field): void;

  /** Fields that have rules of their own. */
  protected special(field: Field): void {
    switch (field.kind) {
      case FieldKind.INVALID:
        this.fail(
          'field',
          field.name === '' ? 'a field without a name' : `an invalid name or value of ${printable(field.name)}`,
        );
        return;
      case FieldKind.CONNECTION_SPECIFIC:
        this.fail('connection-field', `${field.lower}, which belongs to HTTP/1 connections`);
        return;
      case FieldKind.TE:
        if (field.value.toLowerCase() === 'trailers') this.append(field);
        else this.fail('connection-field', 'te with more than trailers');
        return;
      case FieldKind.CONTENT_LENGTH:
        this.declareLength(decimalOf(field.value, LENGTH_DIGITS_MAX));
        return;
      default:
        this.append(field);
    }
  }

  /** Repeated with one value is tolerated nowhere in HTTP/2; a length in a list neither. */
  private declareLength(contentLength: number): void {
    if (this.contentLength !== -1 || contentLength < 0) this.fail('content-length', 'content-length is not one number');
    else this.contentLength = contentLength;
  }

  protected append(field: Field): void {
    if (++this.count > this.limits.headersCountMax) {
      this.fail('too-many-fields', `more than ${this.limits.headersCountMax} fields`);
      return;
    }
    this.headers.appendLowered(field.name, field.lower, field.value, field.line);
  }

  protected fail(kind: H2ErrorKind, detail: string): void {
    this.error ??= h2Error(kind, detail);
  }
}

/** Names come from the peer; they go to logs. */
export function printable(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}...` : name);
}

/** Fields after the content: no pseudo-fields, nothing that would change what came before (RFC 9113 section 8.1). */
export class TrailerFields extends FieldCollector {
  /** What is wrong with them where they stand; `error`: with the frames that they came in. */
  wrongAt(stream: H2Stream, endStream: boolean, error: H2Error | undefined): H2Error | undefined {
    if (!endStream) return h2Error('trailers', 'a second head without END_STREAM');
    if (stream.expectedBytes > 0) return h2Error('content-length', 'the content is shorter than content-length says');
    return error ?? this.error;
  }

  /** Fields that may not come after the content are left out, as HTTP/1 does (RFC 9110 section 6.5.1). */
  protected override append(field: Field): void {
    if (!FORBIDDEN_TRAILERS.has(field.lower)) super.append(field);
  }

  protected override pseudo(field: Field): void {
    this.fail('trailers', `${printable(field.name)} in trailers`);
  }

  protected override special(field: Field): void {
    switch (field.kind) {
      case FieldKind.HOST:
      case FieldKind.CONTENT_LENGTH:
      case FieldKind.TE:
      case FieldKind.EXPECT:
      case FieldKind.FRAMING_ALIAS:
        this.fail('trailers', `${field.lower} in trailers`);
        return;
      default:
        super.special(field);
    }
  }
}
