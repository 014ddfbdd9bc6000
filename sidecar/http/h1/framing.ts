import { err, ok, type Result } from '@weft/policies/kit/result';
import { decimalOf } from '../decimal.ts';
import { isToken } from './chars.ts';
import { type HeadError, headError } from './head-error.ts';
import { type FieldScan, trimmed } from './parse-fields.ts';

/** How the end of a body is told (RFC 9112 section 6.3): its length, chunks, or the end of the connection. */
export const CHUNKED = -1;
export const UNTIL_CLOSE = -2;

/** More digits than a length that is still exact as a number has. */
const LENGTH_DIGITS_MAX = 15;
const KNOWN_CODINGS = new Set(['gzip', 'x-gzip', 'deflate', 'compress', 'x-compress']);

/**
 * What Content-Length and Transfer-Encoding say: a length, CHUNKED, or `absent` if there is neither. Stricter than RFC
 * 9112 asks: a message that two readers could frame differently is refused, never repaired.
 */
export function messageFraming(scan: FieldScan, version: 10 | 11, absent: number): Result<number, HeadError> {
  if (scan.transferEncodingCount > 0) {
    if (scan.contentLengthCount > 0) {
      const detail = 'both Transfer-Encoding and Content-Length';
      return err(headError('framing-conflict', 400, 'RFC 9112 section 6.1', detail));
    }
    if (version === 10) {
      return err(headError('transfer-encoding', 400, 'RFC 9112 section 6.1', 'Transfer-Encoding in HTTP/1.0'));
    }
    const error = transferEncodingError(scan.transferEncoding);
    return error === undefined ? ok(CHUNKED) : err(error);
  }
  if (scan.contentLengthCount === 0) return ok(absent);
  if (scan.contentLengthCount > 1) {
    return err(headError('content-length', 400, 'RFC 9112 section 6.3', 'more than one Content-Length'));
  }
  const length = decimalOf(scan.contentLength, LENGTH_DIGITS_MAX);
  if (length < 0) {
    return err(headError('content-length', 400, 'RFC 9110 section 8.6', 'Content-Length is not a decimal number'));
  }
  return ok(length);
}

function transferEncodingError(value: string): HeadError | undefined {
  if (value === 'chunked') return undefined;
  const codings = value.toLowerCase().split(',');
  let unknown = '';
  for (let i = 0; i < codings.length; i++) {
    const coding = trimmed(codings[i] ?? '');
    if (!isToken(coding)) {
      return headError('transfer-encoding', 400, 'RFC 9112 section 7', 'Transfer-Encoding is not a list of codings');
    }
    if (coding === 'chunked' && i < codings.length - 1) {
      return headError('transfer-encoding', 400, 'RFC 9112 section 6.1', 'chunked is not the final transfer coding');
    }
    if (coding !== 'chunked' && !KNOWN_CODINGS.has(coding)) unknown = coding;
  }
  if (unknown !== '') {
    return headError('transfer-coding', 501, 'RFC 9112 section 6.1', 'an unknown transfer coding');
  }
  if (trimmed(codings.at(-1) ?? '') !== 'chunked') {
    return headError('transfer-encoding', 400, 'RFC 9112 section 6.3', 'the final transfer coding is not chunked');
  }
  // Forwarding without decoding would pass a coding on to a hop that did not offer it (RFC 9112 section 7).
  return codings.length === 1
    ? undefined
    : headError('transfer-coding', 501, 'RFC 9112 section 6.1', 'a transfer coding besides chunked');
}
