import { malformedRequest, type ProxyError } from '../errors.ts';

type HeadErrorKind =
  | 'method'
  | 'target'
  | 'version'
  | 'start-line'
  | 'status'
  | 'bare-cr'
  | 'bare-lf'
  | 'obs-fold'
  | 'control-character'
  | 'space-before-colon'
  | 'field-name'
  | 'head-too-large'
  | 'target-too-long'
  | 'too-many-fields'
  | 'host'
  | 'content-length'
  | 'transfer-encoding'
  | 'transfer-coding'
  | 'framing-conflict'
  | 'connect'
  | 'trace'
  | 'expect'
  | 'connection-option'
  | 'field-too-long'
  | 'body-too-large'
  | 'chunk'
  | 'trailers'
  | 'interim'
  | 'unsolicited';

/** What is wrong with a message, by which rule, and what a server answers. */
export interface HeadError {
  readonly kind: HeadErrorKind;
  /** For requests; a bad response is a 502. */
  readonly status: 400 | 413 | 414 | 417 | 426 | 431 | 501 | 505;
  /** `RFC 9112 section 5.2`. */
  readonly section: string;
  readonly detail: string;
}

export function headError(
  kind: HeadErrorKind,
  status: HeadError['status'],
  section: string,
  detail: string,
): HeadError {
  return { kind, status, section, detail };
}

export const requestError = (error: HeadError): ProxyError => malformedRequest(error, error.status);
