import { err, type Result } from '../kit/result.ts';
import { type LogPart, parseLogFormat } from './log-format.ts';
import { fieldsOf } from './log-operators.ts';

/**
 * What a header is part of: which operators have a value is settled by when it is sent. A filter sees a request before
 * the route has chosen a cluster.
 */
export type HeaderSide = 'request' | 'filtered-request' | 'response';

/** What nobody can know before a message has ended, and what only a line of the log has. */
const NEVER =
  /^(?:RESPONSE_TRAILER|GRPC_STATUS(?:_NUMBER)?|RESPONSE_TRAILERS_BYTES|RESPONSE_TX_DURATION|BYTES_SENT|DOWNSTREAM_WIRE_BYTES_SENT|DS_TX_(?:BEG|END)|ACCESS_LOG_TYPE|CONNECTION_TERMINATION_DETAILS|LOCAL_REPLY_BODY)$/;
/** What comes after the request has been sent; the endpoint is chosen then, too. */
const ANSWERED =
  /^(?:RESPONSE_.*|DETAILS_AS_THEY_ARE|UPSTREAM_(?!CLUSTER).*|REQUEST_TX_DURATION|US_(?:TX|RX)_(?:BEG|END)|ROUNDTRIP_DURATION)$/;

/** Envoy's format strings for values of headers, compiled once where they are read. */
export function parseHeaderFormat(text: string, side: HeaderSide): Result<readonly LogPart[], string> {
  const parsed = parseLogFormat(text);
  if (!parsed.ok) return parsed;
  for (const part of parsed.value) {
    if (typeof part === 'string') continue;
    for (const field of fieldsOf(part)) {
      if (NEVER.test(field)) return err(`${field} is not known yet when headers are sent`);
      if (side !== 'response' && ANSWERED.test(field)) return err(`${field} is not known yet when a request is sent`);
      if (side === 'filtered-request' && field.startsWith('UPSTREAM_')) {
        return err(`${field} is not known yet to a filter`);
      }
    }
  }
  return parsed;
}

/** Without operators: what is sent. */
export function literalOf(parts: readonly LogPart[]): string | undefined {
  const [only = '', ...more] = parts;
  return typeof only === 'string' && more.length === 0 ? only : undefined;
}
