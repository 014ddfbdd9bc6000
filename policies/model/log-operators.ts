import type { LogFormat, LogValue } from './access-log.ts';
import { type LogOperator, parseLogFormat } from './log-format.ts';

/** Told by the socket of a connection, the client's or that to the upstream. */
const SOCKET_FIELD =
  /^(?:UPSTREAM_(?:LOCAL|TLS|PEER)_|DOWNSTREAM_(?:TLS_|PEER_(?:SUBJECT|ISSUER|SERIAL|DNS_SAN)$)|REQUESTED_SERVER_NAME$)/;

function textsOf(value: LogValue): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

function operatorsOf(format: LogFormat | undefined): readonly LogOperator[] {
  if (format === undefined) return [];
  return textsOf(format.kind === 'text' ? format.text : format.value).flatMap((text) => {
    const parsed = parseLogFormat(text);
    return parsed.ok ? parsed.value.filter((part) => typeof part !== 'string') : [];
  });
}

/** The first operator that a socket has to be asked for; it is asked only where there is one. */
export const socketOperator = (format: LogFormat | undefined): string | undefined =>
  operatorsOf(format).find(({ field }) => SOCKET_FIELD.test(field))?.field;
