import { decimalOf } from '../decimal.ts';
import type { ResponseHead } from '../exchange.ts';
import { FieldCollector } from './field-collector.ts';
import { type Field, FieldKind } from './hpack/field.ts';

/** Collects and judges the head of a response (RFC 9113 sections 8.1 and 8.3.2). One a connection. */
export class ResponseFields extends FieldCollector {
  private status = 0;

  override begin(): void {
    super.begin();
    this.status = 0;
  }

  protected override pseudo(field: Field): void {
    if (field.kind !== FieldKind.STATUS) this.fail('pseudo-field', `${field.lower} in a response`);
    else if (this.status !== 0) this.fail('pseudo-field', ':status more than once');
    else {
      const status = decimalOf(field.value, 3);
      if (status >= 100 && status <= 599) this.status = status;
      else this.fail('status', ':status is not a number from 100 to 599');
    }
  }

  /** Judges the whole. `bodyless`: answers HEAD, so that content-length says what a GET would have had. */
  finish(endStream: boolean, bodyless: boolean): ResponseHead | undefined {
    const { status } = this;
    if (this.error !== undefined) return undefined;
    if (status === 0) this.fail('pseudo-field', 'no :status');
    // RFC 9113 section 8.6.
    else if (status === 101) this.fail('status', ':status 101, which HTTP/2 does not have');
    else if (status < 200 && endStream) this.fail('interim', 'an interim response that ends the stream');
    const { contentLength } = this;
    const empty = bodyless || status === 304;
    if (endStream && contentLength > 0 && !empty) this.fail('content-length', 'content-length without content');
    if (this.error !== undefined) return undefined;
    return { status, reason: '', headers: this.headers, contentLength: status === 204 ? 0 : contentLength };
  }
}
