import type { LogFormat, LogValue } from './access-log.ts';
import { type LogOperator, parseLogFormat } from './log-format.ts';

/** Told by the connection of a request while it is there, the client's or that to the upstream. */
const CONNECTION_FIELD =
  /^(?:UPSTREAM_(?:LOCAL|TLS|PEER|SERVER_NAME|PROTOCOL|CONNECTION_ID|HOSTS_ATTEMPTED|HOST_NAMES_ATTEMPTED)|DOWNSTREAM_(?:TLS_|PEER_(?!URI_SAN$|FINGERPRINT_256$)|LOCAL_(?!ADDRESS|PORT)|DIRECT_LOCAL_)|REQUESTED_(?:SERVER_NAME|HOST)$|REQUEST_TX_DURATION$|US_TX_)/;

function textsOf(value: LogValue): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

function operatorsOf(text: string): readonly LogOperator[] {
  const parsed = parseLogFormat(text);
  return parsed.ok ? parsed.value.filter((part) => typeof part !== 'string') : [];
}

/** What it reads, each by the name that its reader goes by. */
export function fieldsOf(operator: LogOperator): readonly string[] {
  switch (operator.field) {
    case 'COALESCE':
      return operator.operators.flatMap(fieldsOf);
    case 'COMMON_DURATION':
      return [operator.start, operator.end];
    case 'NETWORK':
      return [operator.of];
    default:
      return [operator.field];
  }
}

/** Whether connections have to be asked for something; they are asked only then. */
export const asksConnections = (format: LogFormat | undefined): boolean =>
  format !== undefined && textsOf(format.kind === 'text' ? format.text : format.value).some(textAsksConnections);

const textAsksConnections = (text: string): boolean => asks(text, CONNECTION_FIELD);

/** Told by a request as it goes on, or by its connections. */
export const asksExchange = (text: string): boolean =>
  asks(text, CONNECTION_FIELD) || asks(text, /^(?:REQUEST_DURATION|DS_RX_END)$/);

const asks = (text: string, what: RegExp): boolean =>
  operatorsOf(text)
    .flatMap(fieldsOf)
    .some((field) => what.test(field));
