import type { ResponseHead } from '../exchange.ts';
import { FIELD_VALUE } from './chars.ts';
import { CHUNKED, messageFraming, UNTIL_CLOSE } from './framing.ts';
import { type HeadError, headError } from './head-error.ts';
import { badOctet, FieldScan, parseFields, staysOpen, stripConnectionFields } from './parse-fields.ts';

/** One a connection, refilled by each response. */
export class ParsedResponse {
  readonly scan = new FieldScan();
  head: ResponseHead | undefined = undefined;
  /** Length of the body as it follows on the wire, CHUNKED, or UNTIL_CLOSE. */
  framing = 0;
  keepAlive = true;
}

/**
 * Parses a response head (RFC 9112 sections 4 and 6.3), as strictly as a request: what is ambiguous is an error of the
 * upstream. `text` holds its octets as Latin-1, without the final CRLF CRLF; `method` is that of the request.
 */
export function parseResponseHead(
  text: string,
  fieldsMax: number,
  method: string,
  parsed: ParsedResponse,
): HeadError | undefined {
  let lineEnd = text.indexOf('\r\n');
  if (lineEnd === -1) lineEnd = text.length;
  const minor = text.charCodeAt(7);
  if (!text.startsWith('HTTP/1.') || (minor !== 0x30 && minor !== 0x31) || text.charCodeAt(8) !== 0x20) {
    return headError('version', 400, 'RFC 9112 section 4', 'the status line does not begin with HTTP/1.1 or HTTP/1.0');
  }
  const status = statusAt(text, 9);
  // The space before an absent reason phrase is left out by some servers; nothing else can follow there.
  if (status === -1 || (lineEnd > 12 && text.charCodeAt(12) !== 0x20)) {
    return headError('status', 400, 'RFC 9112 section 4', 'the status is not a number from 100 to 599');
  }
  for (let i = 13; i < lineEnd; i++) {
    if (FIELD_VALUE[text.charCodeAt(i)] !== 1) return badOctet(text, i);
  }
  const reason = lineEnd > 13 ? text.slice(13, lineEnd) : '';

  const scan = parsed.scan;
  scan.reset();
  const fieldError = parseFields(text, lineEnd + 2, fieldsMax, scan);
  if (fieldError !== undefined) return fieldError;
  return fill(status, reason, minor === 0x30 ? 10 : 11, method, parsed);
}

function statusAt(text: string, at: number): number {
  const a = text.charCodeAt(at) - 0x30;
  const b = text.charCodeAt(at + 1) - 0x30;
  const c = text.charCodeAt(at + 2) - 0x30;
  // Not a digit, or the text ended: NaN fails each comparison.
  if (!(a >= 1 && a <= 5 && b >= 0 && b <= 9 && c >= 0 && c <= 9)) return -1;
  return a * 100 + b * 10 + c;
}

function fill(
  status: number,
  reason: string,
  version: 10 | 11,
  method: string,
  parsed: ParsedResponse,
): HeadError | undefined {
  const scan = parsed.scan;
  const framing = messageFraming(scan, version, UNTIL_CLOSE);
  if (!framing.ok) return framing.error;

  const headers = scan.headers;
  // Fields of requests that the scan takes out of them; what an upstream says with them is the client's to judge.
  if (scan.expect !== '') headers.appendLowered('Expect', 'expect', scan.expect);
  stripConnectionFields(headers, scan.connection);
  // The protocol that was switched to belongs to the answer; elsewhere Upgrade is an offer to this hop only.
  if (status === 101 && scan.upgrade !== '') headers.appendLowered('Upgrade', 'upgrade', scan.upgrade);

  const tunnel = status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
  const empty = status < 200 || status === 204 || status === 304 || method === 'HEAD';
  parsed.framing = tunnel || empty ? 0 : framing.value;
  parsed.keepAlive = !tunnel && parsed.framing !== UNTIL_CLOSE && staysOpen(scan.connection, version);

  parsed.head = {
    status,
    reason,
    headers,
    contentLength: declaredLength(status, tunnel, framing.value),
  };
  return undefined;
}

/** What the receiver is told; for HEAD and 304 the length that a GET would have had, which is passed on. */
function declaredLength(status: number, tunnel: boolean, framing: number): number {
  if (tunnel || framing === CHUNKED || framing === UNTIL_CLOSE) return -1;
  return status < 200 || status === 204 ? 0 : framing;
}
