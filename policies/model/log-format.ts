import { err, ok, type Result } from '../kit/result.ts';
import { parseOperator } from './log-arguments.ts';
import type { PlainLogField } from './log-fields.ts';

export type { PlainLogField } from './log-fields.ts';

/** Points in time, each with a format of its own. */
export type LogTimeField =
  | 'START_TIME'
  | 'START_TIME_LOCAL'
  | 'EMIT_TIME'
  | 'EMIT_TIME_LOCAL'
  | 'DOWNSTREAM_PEER_CERT_V_START'
  | 'DOWNSTREAM_PEER_CERT_V_END'
  | 'UPSTREAM_PEER_CERT_V_START'
  | 'UPSTREAM_PEER_CERT_V_END';

/** Of a request: received from the client (DS_RX), sent to the upstream (US_TX), and back. */
export type LogTimePoint =
  | 'DS_RX_BEG'
  | 'DS_RX_END'
  | 'US_TX_BEG'
  | 'US_TX_END'
  | 'US_RX_BEG'
  | 'DS_TX_BEG'
  | 'DS_TX_END';

/** Addresses that can be shortened to a network. */
export type MaskedLogField = Extract<PlainLogField, `${string}_ADDRESS_WITHOUT_PORT`>;

/** Of a request: as it is forwarded, as it was before it was rewritten, or the one from before where there is one. */
export type RewrittenLogSource = 'now' | 'original' | 'original-or-now';

export type LogOperator =
  | { readonly field: PlainLogField; readonly charsMax: number }
  | { readonly field: LogTimeField; readonly format: string; readonly charsMax: number }
  | {
      readonly field: 'REQUEST_HEADER' | 'RESPONSE_HEADER' | 'RESPONSE_TRAILER';
      /** Lower case; the second stands in where the first is absent, empty: none. */
      readonly name: string;
      readonly alternative: string;
      readonly charsMax: number;
    }
  | { readonly field: 'GRPC_STATUS'; readonly format: 'camel' | 'snake' | 'number'; readonly charsMax: number }
  | { readonly field: 'PATH'; readonly query: boolean; readonly source: RewrittenLogSource; readonly charsMax: number }
  | { readonly field: 'QUERY_PARAM'; readonly name: string; readonly charsMax: number }
  | { readonly field: 'QUERY_PARAMS'; readonly decoded: boolean; readonly charsMax: number }
  | { readonly field: 'ENVIRONMENT'; readonly name: string; readonly charsMax: number }
  /** A network in CIDR notation. */
  | { readonly field: 'NETWORK'; readonly of: MaskedLogField; readonly bits: number; readonly charsMax: number }
  /** RESPONSE_CODE_DETAILS with its blanks. */
  | { readonly field: 'DETAILS_AS_THEY_ARE'; readonly charsMax: number }
  /** REQUESTED_SERVER_NAME with the host of the request in its place, or the other way round. */
  | {
      readonly field: 'REQUESTED_HOST';
      readonly first: 'name' | 'host';
      readonly source: RewrittenLogSource;
      readonly charsMax: number;
    }
  | {
      readonly field: 'COMMON_DURATION';
      readonly start: LogTimePoint;
      readonly end: LogTimePoint;
      readonly unit: 'ms' | 'us' | 'ns';
      readonly charsMax: number;
    }
  /** The first that says something. */
  | { readonly field: 'COALESCE'; readonly operators: readonly LogOperator[]; readonly charsMax: number }
  /** Of a verified token; the way through its objects. */
  | { readonly field: 'TOKEN_CLAIM'; readonly path: readonly string[]; readonly charsMax: number };

/** Literal text, or an operator. */
export type LogPart = string | LogOperator;

/** `%COMMAND%`, `%COMMAND(argument)%`, `%COMMAND(argument):length%`; `%%` is a percent sign. */
const OPERATOR = /%(?:%|([A-Z0-9_]+)(?:\(([^)]*)\))?(?::([0-9]{1,6}))?%)/y;

/** Envoy's format strings, compiled once where they are read. */
export function parseLogFormat(text: string): Result<readonly LogPart[], string> {
  const parts: LogPart[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    const percent = text.indexOf('%', at);
    if (percent === -1) {
      literal += text.slice(at);
      break;
    }
    literal += text.slice(at, percent);
    OPERATOR.lastIndex = percent;
    const match = OPERATOR.exec(text);
    if (match === null) return err(`"${text.slice(percent, percent + 40)}" is not a command operator`);
    at = OPERATOR.lastIndex;
    const [, command, argument, length] = match;
    if (command === undefined) {
      literal += '%';
      continue;
    }
    const operator = parseOperator(command, argument, length === undefined ? 0 : Number(length));
    if (!operator.ok) return operator;
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push(operator.value);
  }
  if (literal !== '') parts.push(literal);
  return ok(parts);
}
