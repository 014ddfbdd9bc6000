import type { LogOperator } from '@weft/policies/model/log-format';
import { network } from './addresses.ts';
import type { LogEntry } from './entry.ts';
import { detailsOf, grpcName } from './names.ts';
import { type LogRead, NONE, type OperatorPorts, plainReaders } from './plain-fields.ts';
import {
  claimOf,
  hostOf,
  pathOf,
  queryOf,
  queryParameter,
  requestField,
  responseField,
  visibleDecoded,
} from './request-fields.ts';
import { socketFacts } from './socket-facts.ts';
import { timeFormatter } from './time.ts';
import { durationBetween } from './time-points.ts';

export type { LogRead, OperatorPorts } from './plain-fields.ts';

const fieldReaders = {
  REQUEST_HEADER: requestField,
  RESPONSE_HEADER: responseField,
  RESPONSE_TRAILER: ({ http }: LogEntry, name: string) => http?.responseTrailers?.combined(name),
} as const;

type TimeOperator = Extract<
  LogOperator,
  { readonly field: `${string}_TIME` | `${string}_LOCAL` | `${string}_CERT_V_${string}` }
>;

/** Of the certificate that the peer showed; a client's only where it was verified. */
function validity({ ends }: LogEntry, side: 'client' | 'upstream', end: boolean): number | undefined {
  if (ends === undefined || (side === 'client' && ends.connection.peer === undefined)) return undefined;
  const socket = side === 'client' ? ends.connection.socket : ends.upstreamSocket;
  const certificate = socket && socketFacts(socket).peer;
  return end ? certificate?.notAfterUnixMs : certificate?.notBeforeUnixMs;
}

function unixMsOf(field: TimeOperator['field']): (entry: LogEntry) => number | undefined {
  switch (field) {
    case 'START_TIME':
    case 'START_TIME_LOCAL':
      return ({ record }) => record.startUnixMs;
    case 'EMIT_TIME':
    case 'EMIT_TIME_LOCAL':
      return ({ record }) => record.startUnixMs + record.durationMs;
    case 'DOWNSTREAM_PEER_CERT_V_START':
      return (entry) => validity(entry, 'client', false);
    case 'DOWNSTREAM_PEER_CERT_V_END':
      return (entry) => validity(entry, 'client', true);
    case 'UPSTREAM_PEER_CERT_V_START':
      return (entry) => validity(entry, 'upstream', false);
    case 'UPSTREAM_PEER_CERT_V_END':
      return (entry) => validity(entry, 'upstream', true);
  }
}

function timeReader({ field, format }: TimeOperator): LogRead {
  const write = timeFormatter(format, field.endsWith('_LOCAL'));
  const read = unixMsOf(field);
  return (entry) => {
    const ms = read(entry);
    return ms === undefined ? undefined : write(ms);
  };
}

/** At most that many characters of it; 0: all. */
export function cutTo(read: LogRead, charsMax: number): LogRead {
  if (charsMax === 0) return read;
  return (entry) => cut(read(entry), charsMax);
}

const cut = (value: string | number | undefined, charsMax: number): string | number | undefined =>
  charsMax > 0 && typeof value === 'string' ? value.slice(0, charsMax) : value;

function coalesce(operators: readonly LogOperator[], ports: OperatorPorts): LogRead {
  const reads = operators.map((operator) => ({ read: readerOf(operator, ports), charsMax: operator.charsMax }));
  return (entry) => {
    for (const { read, charsMax } of reads) {
      const value = read(entry);
      if (value !== undefined && value !== '') return cut(value, charsMax);
    }
    return undefined;
  };
}

/** Made once for each place where an operator stands. */
export function readerOf(operator: LogOperator, ports: OperatorPorts): LogRead {
  switch (operator.field) {
    case 'START_TIME':
    case 'START_TIME_LOCAL':
    case 'EMIT_TIME':
    case 'EMIT_TIME_LOCAL':
    case 'DOWNSTREAM_PEER_CERT_V_START':
    case 'DOWNSTREAM_PEER_CERT_V_END':
    case 'UPSTREAM_PEER_CERT_V_START':
    case 'UPSTREAM_PEER_CERT_V_END':
      return timeReader(operator);
    case 'REQUEST_HEADER':
    case 'RESPONSE_HEADER':
    case 'RESPONSE_TRAILER': {
      const read = fieldReaders[operator.field];
      const { name, alternative } = operator;
      if (alternative === '') return (entry) => read(entry, name);
      return (entry) => read(entry, name) ?? read(entry, alternative);
    }
    case 'GRPC_STATUS':
      return ({ record }) => grpcName(record.grpcStatus, operator.format);
    case 'PATH':
      return (entry) => pathOf(entry, operator.source, operator.query);
    case 'QUERY_PARAM':
      return (entry) => queryParameter(entry, operator.name);
    case 'QUERY_PARAMS':
      return (entry) => {
        const query = queryOf(entry);
        return query === undefined || !operator.decoded ? query : visibleDecoded(query);
      };
    case 'NETWORK': {
      const read = plainReaders[operator.of](ports);
      return (entry) => network(read(entry), operator.bits);
    }
    case 'DETAILS_AS_THEY_ARE':
      return (entry) => detailsOf(entry, false);
    case 'REQUESTED_HOST':
      return requestedHost(operator.first, operator.source, ports);
    case 'COMMON_DURATION':
      return (entry) => durationBetween(entry, operator.start, operator.end, operator.unit);
    case 'COALESCE':
      return coalesce(operator.operators, ports);
    case 'TOKEN_CLAIM':
      return ({ http }) => claimOf(http?.jwt?.claims, operator.path);
    case 'ENVIRONMENT': {
      const value = ports.environment[operator.name] ?? NONE;
      return () => value;
    }
    default:
      return plainReaders[operator.field](ports);
  }
}

function requestedHost(
  first: 'name' | 'host',
  source: Extract<LogOperator, { readonly field: 'REQUESTED_HOST' }>['source'],
  ports: OperatorPorts,
): LogRead {
  const host: LogRead = (entry) => hostOf(entry, source);
  if (first === 'host') return host;
  const name = plainReaders.REQUESTED_SERVER_NAME(ports);
  return (entry) => name(entry) ?? host(entry);
}
