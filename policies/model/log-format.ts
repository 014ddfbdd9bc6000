import { err, ok, type Result } from '../kit/result.ts';
import { JWT_FILTER, JWT_PAYLOAD } from './jwt.ts';

/** Envoy's command operators that Weft can answer. */
const plainFields = [
  'PROTOCOL',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'REQUEST_HEADERS_BYTES',
  'RESPONSE_HEADERS_BYTES',
  'RESPONSE_TRAILERS_BYTES',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'DOWNSTREAM_WIRE_BYTES_RECEIVED',
  'DOWNSTREAM_WIRE_BYTES_SENT',
  'DURATION',
  'REQUEST_DURATION',
  'RESPONSE_DURATION',
  'RESPONSE_TX_DURATION',
  'UPSTREAM_HOST',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_REMOTE_PORT',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_LOCAL_PORT',
  'UPSTREAM_TLS_VERSION',
  'UPSTREAM_TLS_CIPHER',
  'UPSTREAM_PEER_SUBJECT',
  'UPSTREAM_PEER_ISSUER',
  'UPSTREAM_PEER_URI_SAN',
  'UPSTREAM_PEER_DNS_SAN',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_TLS_VERSION',
  'DOWNSTREAM_TLS_CIPHER',
  'DOWNSTREAM_PEER_SUBJECT',
  'DOWNSTREAM_PEER_ISSUER',
  'DOWNSTREAM_PEER_SERIAL',
  'DOWNSTREAM_PEER_DNS_SAN',
  'DOWNSTREAM_PEER_URI_SAN',
  'DOWNSTREAM_PEER_FINGERPRINT_256',
  'REQUESTED_SERVER_NAME',
  'ROUTE_NAME',
  'CONNECTION_ID',
  'STREAM_ID',
  'TRACE_ID',
  'HOSTNAME',
  'GRPC_STATUS_NUMBER',
] as const;

export type PlainLogField = (typeof plainFields)[number];

export type LogOperator =
  | { readonly field: PlainLogField; readonly charsMax: number }
  | { readonly field: 'START_TIME'; readonly format: string; readonly charsMax: number }
  | {
      readonly field: 'REQUEST_HEADER' | 'RESPONSE_HEADER' | 'RESPONSE_TRAILER';
      /** Lower case; the second stands in where the first is absent, empty: none. */
      readonly name: string;
      readonly alternative: string;
      readonly charsMax: number;
    }
  | { readonly field: 'GRPC_STATUS'; readonly format: 'camel' | 'snake' | 'number'; readonly charsMax: number }
  | { readonly field: 'PATH'; readonly query: boolean; readonly charsMax: number }
  | { readonly field: 'ENVIRONMENT'; readonly name: string; readonly charsMax: number }
  /** Of a verified token; the way through its objects. */
  | { readonly field: 'TOKEN_CLAIM'; readonly path: readonly string[]; readonly charsMax: number };

/** Literal text, or an operator. */
export type LogPart = string | LogOperator;

const headerFields = new Map<string, 'REQUEST_HEADER' | 'RESPONSE_HEADER' | 'RESPONSE_TRAILER'>([
  ['REQ', 'REQUEST_HEADER'],
  ['REQUEST_HEADER', 'REQUEST_HEADER'],
  ['RESP', 'RESPONSE_HEADER'],
  ['RESPONSE_HEADER', 'RESPONSE_HEADER'],
  ['TRAILER', 'RESPONSE_TRAILER'],
  ['RESPONSE_TRAILER', 'RESPONSE_TRAILER'],
]);

const grpcFormats = new Map<string, 'camel' | 'snake' | 'number'>([
  ['', 'camel'],
  ['CAMEL_STRING', 'camel'],
  ['SNAKE_STRING', 'snake'],
  ['NUMBER', 'number'],
]);

/** `%COMMAND%`, `%COMMAND(argument)%`, `%COMMAND(argument):length%`; `%%` is a percent sign. */
const OPERATOR = /%(?:%|([A-Z0-9_]+)(?:\(([^)]*)\))?(?::([0-9]{1,6}))?%)/y;
/** Specifiers of START_TIME that are understood: those of strftime, and fractions of a second. */
const TIME_FORMAT = /^(?:[^%]|%(?:[YymdeHMSsfzZTFbajD%]|[369]f|E[369]S))*$/;

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

function parseOperator(command: string, argument: string | undefined, charsMax: number): Result<LogOperator, string> {
  const header = headerFields.get(command);
  if (header !== undefined) return parseHeader(command, header, argument ?? '', charsMax);
  switch (command) {
    case 'START_TIME':
      if (!TIME_FORMAT.test(argument ?? '')) return err(`format "${argument}" of START_TIME is not supported by Weft`);
      return ok({ field: command, format: argument ?? '', charsMax });
    case 'GRPC_STATUS': {
      const format = grpcFormats.get(argument ?? '');
      if (format === undefined) return err('GRPC_STATUS takes CAMEL_STRING, SNAKE_STRING or NUMBER');
      return ok({ field: command, format, charsMax });
    }
    case 'PATH':
      if (argument !== undefined && argument !== 'WQ' && argument !== 'NQ') {
        return err('PATH takes WQ (with the query) or NQ (without)');
      }
      return ok({ field: command, query: argument !== 'NQ', charsMax });
    case 'DYNAMIC_METADATA': {
      const [filter, key, ...path] = (argument ?? '').split(':');
      if (filter !== JWT_FILTER || key !== JWT_PAYLOAD || path.length === 0 || path.includes('')) {
        return err(
          `operator %DYNAMIC_METADATA(${argument ?? ''})% is not supported by Weft: it knows ${JWT_FILTER}:${JWT_PAYLOAD} with a claim`,
        );
      }
      return ok({ field: 'TOKEN_CLAIM', path, charsMax });
    }
    case 'ENVIRONMENT':
      if (argument === undefined || argument === '') return err('ENVIRONMENT needs the name of a variable');
      return ok({ field: command, name: argument, charsMax });
  }
  const field = plainFields.find((known) => known === command);
  if (field === undefined) return err(`operator %${command}% is not supported by Weft`);
  if (argument !== undefined) return err(`operator %${command}% takes no argument`);
  return ok({ field, charsMax });
}

function parseHeader(
  command: string,
  field: 'REQUEST_HEADER' | 'RESPONSE_HEADER' | 'RESPONSE_TRAILER',
  argument: string,
  charsMax: number,
): Result<LogOperator, string> {
  const [name = '', alternative = '', ...rest] = argument.toLowerCase().split('?');
  if (name === '') return err(`operator %${command}% needs the name of a header`);
  if (rest.length > 0) return err(`operator %${command}% takes one alternative, not more`);
  return ok({ field, name, alternative, charsMax });
}
