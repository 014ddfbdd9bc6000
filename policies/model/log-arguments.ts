import { err, ok, type Result } from '../kit/result.ts';
import { JWT_FILTER, JWT_PAYLOAD } from './jwt.ts';
import { plainLogFields, unanswered } from './log-fields.ts';
import type { LogOperator, LogTimeField, LogTimePoint, MaskedLogField, RewrittenLogSource } from './log-format.ts';

type Parsed = Result<LogOperator, string>;

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

const timeFields: readonly LogTimeField[] = [
  'START_TIME',
  'START_TIME_LOCAL',
  'EMIT_TIME',
  'EMIT_TIME_LOCAL',
  'DOWNSTREAM_PEER_CERT_V_START',
  'DOWNSTREAM_PEER_CERT_V_END',
  'UPSTREAM_PEER_CERT_V_START',
  'UPSTREAM_PEER_CERT_V_END',
];

/** Specifiers of times that are understood: those of strftime, and fractions of a second. */
const TIME_FORMAT = /^(?:[^%]|%(?:[YymdeHIMSsfzZTFRbBaAhpjuwD%]|[1-9]f|E[369]S|E4Y))*$/;

const timePoints: readonly LogTimePoint[] = [
  'DS_RX_BEG',
  'DS_RX_END',
  'US_TX_BEG',
  'US_TX_END',
  'US_RX_BEG',
  'DS_TX_BEG',
  'DS_TX_END',
];
const units = ['ms', 'us', 'ns'] as const;

/** How many operators one may stand for, and how deep. */
const COALESCED_MAX = 16;

const pathSources = new Map<string, RewrittenLogSource>([
  ['', 'original-or-now'],
  ['ORIG_OR_PATH', 'original-or-now'],
  ['ORIG', 'original'],
  ['PATH', 'now'],
]);
const hostSources = new Map<string, RewrittenLogSource>([
  ['', 'original-or-now'],
  ['ORIG_OR_HOST', 'original-or-now'],
  ['ORIG', 'original'],
  ['HOST', 'now'],
]);

/** One of Envoy's command operators, between its percent signs. */
export function parseOperator(command: string, argument: string | undefined, charsMax: number): Parsed {
  const header = headerFields.get(command);
  if (header !== undefined) return parseHeader(command, header, argument ?? '', charsMax);
  const time = timeFields.find((known) => known === command);
  if (time !== undefined) {
    const format = argument ?? '';
    if (!TIME_FORMAT.test(format)) return err(`format "${format}" of ${command} is not supported by Weft`);
    return ok({ field: time, format, charsMax });
  }
  const special = parseSpecial(command, argument, charsMax);
  if (special !== undefined) return special;
  const why = unanswered.get(command);
  if (why !== undefined) return err(`operator %${command}% is not supported by Weft: ${why}`);
  const field = plainLogFields.find((known) => known === command);
  if (field === undefined) return err(`operator %${command}% is not supported by Weft`);
  if (argument === undefined || argument === '') return ok({ field, charsMax });
  return isMasked(field) ? parseNetwork(field, argument, charsMax) : err(`operator %${command}% takes no argument`);
}

/** Those that take an argument of their own. */
function parseSpecial(command: string, argument: string | undefined, charsMax: number): Parsed | undefined {
  const text = argument ?? '';
  switch (command) {
    case 'GRPC_STATUS': {
      const format = grpcFormats.get(text);
      if (format === undefined) return err('GRPC_STATUS takes CAMEL_STRING, SNAKE_STRING or NUMBER');
      return ok({ field: command, format, charsMax });
    }
    case 'PATH':
      return parsePath(text, charsMax);
    case 'QUERY_PARAM':
      return text === ''
        ? err('QUERY_PARAM needs the name of a parameter')
        : ok({ field: command, name: text, charsMax });
    case 'QUERY_PARAMS':
      if (text !== '' && text !== 'ORIG' && text !== 'DECODED') return err('QUERY_PARAMS takes ORIG or DECODED');
      return ok({ field: command, decoded: text === 'DECODED', charsMax });
    case 'RESPONSE_CODE_DETAILS':
      if (text === '') return undefined;
      if (text !== 'ALLOW_WHITESPACES') return err('RESPONSE_CODE_DETAILS takes ALLOW_WHITESPACES');
      return ok({ field: 'DETAILS_AS_THEY_ARE', charsMax });
    case 'REQUESTED_SERVER_NAME':
      return text === '' || text.startsWith('SNI_ONLY') ? parseServerName(text, charsMax) : parseHost(text, charsMax);
    case 'COMMON_DURATION':
      return parseDuration(text, charsMax);
    case 'COALESCE':
      return parseCoalesce(text, charsMax);
    case 'DYNAMIC_METADATA':
      return parseMetadata(command, text, charsMax);
    case 'METADATA':
      return text.startsWith('DYNAMIC:') ? parseMetadata(command, text.slice(8), charsMax) : undefined;
    case 'ENVIRONMENT':
      return text === ''
        ? err('ENVIRONMENT needs the name of a variable')
        : ok({ field: command, name: text, charsMax });
    default:
      return undefined;
  }
}

function parseHeader(
  command: string,
  field: 'REQUEST_HEADER' | 'RESPONSE_HEADER' | 'RESPONSE_TRAILER',
  argument: string,
  charsMax: number,
): Parsed {
  const [name = '', alternative = '', ...rest] = argument.toLowerCase().split('?');
  if (name === '') return err(`operator %${command}% needs the name of a header`);
  if (rest.length > 0) return err(`operator %${command}% takes one alternative, not more`);
  return ok({ field, name, alternative, charsMax });
}

function parsePath(argument: string, charsMax: number): Parsed {
  const [query = '', from = '', ...rest] = argument.split(':');
  const source = pathSources.get(from);
  if ((query !== '' && query !== 'WQ' && query !== 'NQ') || source === undefined || rest.length > 0) {
    return err('PATH takes WQ (with the query) or NQ (without), and ORIG, PATH or ORIG_OR_PATH');
  }
  return ok({ field: 'PATH', query: query !== 'NQ', source, charsMax });
}

function parseServerName(argument: string, charsMax: number): Parsed {
  const [, source = ''] = argument.split(':');
  if (!hostSources.has(source)) return err('REQUESTED_SERVER_NAME takes ORIG, HOST or ORIG_OR_HOST of a host');
  return ok({ field: 'REQUESTED_SERVER_NAME', charsMax });
}

function parseHost(argument: string, charsMax: number): Parsed {
  const [order = '', from = '', ...rest] = argument.split(':');
  const source = hostSources.get(from);
  if ((order !== 'SNI_FIRST' && order !== 'HOST_FIRST') || source === undefined || rest.length > 0) {
    return err('REQUESTED_SERVER_NAME takes SNI_ONLY, SNI_FIRST or HOST_FIRST, and ORIG, HOST or ORIG_OR_HOST');
  }
  return ok({ field: 'REQUESTED_HOST', first: order === 'SNI_FIRST' ? 'name' : 'host', source, charsMax });
}

function parseDuration(argument: string, charsMax: number): Parsed {
  const [from, to, precision, ...rest] = argument.split(':');
  const start = timePoints.find((point) => point === from);
  const end = timePoints.find((point) => point === to);
  const unit = units.find((one) => one === precision);
  if (start === undefined || end === undefined || unit === undefined || rest.length > 0) {
    return err(`COMMON_DURATION takes two of ${timePoints.join(', ')}, and ms, us or ns, each after a colon`);
  }
  return ok({ field: 'COMMON_DURATION', start, end, unit, charsMax });
}

function parseMetadata(command: string, argument: string, charsMax: number): Parsed {
  const [filter, key, ...path] = argument.split(':');
  if (filter !== JWT_FILTER || key !== JWT_PAYLOAD || path.length === 0 || path.includes('')) {
    return err(
      `operator %${command}(${argument})% is not supported by Weft: it knows ${JWT_FILTER}:${JWT_PAYLOAD} with a claim`,
    );
  }
  return ok({ field: 'TOKEN_CLAIM', path, charsMax });
}

const isMasked = (field: string): field is MaskedLogField => field.endsWith('_ADDRESS_WITHOUT_PORT');

function parseNetwork(field: MaskedLogField, argument: string, charsMax: number): Parsed {
  const bits = /^\d{1,3}$/.test(argument) ? Number(argument) : 129;
  if (bits > 128) return err(`operator %${field}% takes the length of a prefix, from 0 to 128`);
  return ok({ field: 'NETWORK', of: field, bits, charsMax });
}

/** `{"operators": ["COMMAND", {"command": ..., "param": ..., "max_length": ...}]}` */
function parseCoalesce(argument: string, charsMax: number): Parsed {
  const entries = coalesced(argument);
  if (entries === undefined || entries.length === 0 || entries.length > COALESCED_MAX) {
    return err(`COALESCE takes {"operators": [...]} with 1 to ${COALESCED_MAX} operators`);
  }
  const operators: LogOperator[] = [];
  for (const entry of entries) {
    const operator = parseCoalesced(entry);
    if (!operator.ok) return err(`COALESCE: ${operator.error}`);
    operators.push(operator.value);
  }
  return ok({ field: 'COALESCE', operators, charsMax });
}

function coalesced(text: string): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const operators: unknown = isObject(value) ? Reflect.get(value, 'operators') : undefined;
    return Array.isArray(operators) ? operators : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function parseCoalesced(entry: unknown): Parsed {
  const described: unknown = typeof entry === 'string' ? { command: entry } : entry;
  if (!isObject(described)) return err('an operator is a command, or an object with one');
  const command: unknown = Reflect.get(described, 'command');
  const argument: unknown = Reflect.get(described, 'param');
  const charsMax: unknown = Reflect.get(described, 'max_length') ?? 0;
  if (typeof command !== 'string' || (argument !== undefined && typeof argument !== 'string')) {
    return err('command and param have to be text');
  }
  if (typeof charsMax !== 'number' || !Number.isInteger(charsMax) || charsMax < 0 || charsMax > 999_999) {
    return err('max_length has to be a whole number');
  }
  if (command === 'COALESCE') return err('one does not stand in another');
  return parseOperator(command, argument, charsMax);
}
