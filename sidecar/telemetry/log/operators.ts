import { hostname } from 'node:os';
import type { Duplex } from 'node:stream';
import type { LogOperator, PlainLogField } from '@weft/policies/model/log-format';
import type { Headers } from '../../http/headers.ts';
import type { LogEntry, LoggedExchange } from './entry.ts';
import { codeDetails, grpcName, LONG_FLAGS } from './names.ts';
import { type SocketFacts, socketFacts } from './socket-facts.ts';
import { timeFormatter } from './time.ts';

/** The value of an operator for one exchange; undefined: there is none. */
export type LogRead = (entry: LogEntry) => string | number | undefined;

export interface OperatorPorts {
  readonly trustedHops: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const FIELD_LINE_OVERHEAD_BYTES = 4;

/** As Envoy counts: names and values, pseudo-fields among them. */
const fieldBytes = (headers: Headers): number => headers.bytes - headers.length * FIELD_LINE_OVERHEAD_BYTES;

function requestBytes({ head }: LoggedExchange): number {
  const pseudo = ':method:path:authority:scheme'.length;
  return (
    fieldBytes(head.headers) +
    pseudo +
    head.method.length +
    head.path.length +
    head.authority.length +
    head.scheme.length
  );
}

const nonEmpty = (text: string): string | undefined => (text === '' ? undefined : text);
/** Of `ip:port` or `[ip]:port`. */
const portAt = (address: string): number => address.lastIndexOf(':');
const withoutPort = (address: string): string | undefined => {
  if (address === '') return undefined;
  const ip = address.slice(0, portAt(address));
  return ip.startsWith('[') ? ip.slice(1, -1) : ip;
};
const portOf = (address: string): number | undefined =>
  address === '' ? undefined : Number(address.slice(portAt(address) + 1));
const whole = (ms: number): number => Math.max(0, Math.floor(ms));

/** Who the request comes from: behind trusted proxies the address that they forwarded, the port of which nobody knows. */
const clientIp = ({ record, http }: LogEntry, trustedHops: number): string | undefined =>
  trustedHops === 0 || http === undefined ? withoutPort(record.remote) : http.clientIp;

function clientAddress(entry: LogEntry, trustedHops: number): string | undefined {
  const ip = clientIp(entry, trustedHops);
  if (ip === undefined || ip === withoutPort(entry.record.remote)) return nonEmpty(entry.record.remote);
  return ip.includes(':') ? `[${ip}]:0` : `${ip}:0`;
}

function versionName(http: LoggedExchange): string {
  if (http.head.version === 20) return 'HTTP/2';
  return http.head.version === 10 ? 'HTTP/1.0' : 'HTTP/1.1';
}

const upstreamMs = ({ record, http }: LogEntry): number | undefined =>
  http === undefined || http.localReply || record.upstreamMs === 0 ? undefined : whole(record.upstreamMs);

type Plain = (ports: OperatorPorts) => LogRead;

const always =
  (read: LogRead): Plain =>
  () =>
    read;
const upstreamHost = always(({ record }) => nonEmpty(record.upstream));
const cluster = always(({ record }) => nonEmpty(record.cluster));

type Fact = (facts: SocketFacts) => string | number | undefined;

const factOf = (socket: Duplex | undefined, fact: Fact): string | number | undefined => {
  if (socket === undefined) return undefined;
  const value = fact(socketFacts(socket));
  return value === '' ? undefined : value;
};
const upstreamFact = (fact: Fact): Plain => always(({ http }) => factOf(http?.upstreamSocket, fact));
const downstreamFact = (fact: Fact): Plain => always(({ http }) => factOf(http?.connection.socket, fact));
/** A certificate that nothing verified says nothing about who sent it. */
const verifiedFact = (fact: (peer: NonNullable<SocketFacts['peer']>) => string): Plain =>
  always(({ http }) =>
    http?.connection.peer === undefined
      ? undefined
      : factOf(http.connection.socket, ({ peer }) => (peer === undefined ? undefined : fact(peer))),
  );

const plain: Readonly<Record<PlainLogField, Plain>> = {
  PROTOCOL: always(({ http }) => http && versionName(http)),
  RESPONSE_CODE: always(({ record }) => record.status),
  RESPONSE_CODE_DETAILS: always(({ record, http }) => http && codeDetails(record, http)),
  RESPONSE_FLAGS: always(({ record }) => nonEmpty(record.flag)),
  RESPONSE_FLAGS_LONG: always(({ record }) => (record.flag === '' ? undefined : LONG_FLAGS[record.flag])),
  REQUEST_HEADERS_BYTES: always(({ http }) => (http === undefined ? 0 : requestBytes(http))),
  RESPONSE_HEADERS_BYTES: always(({ record, http }) =>
    http?.responseHeaders === undefined
      ? 0
      : fieldBytes(http.responseHeaders) + ':status'.length + String(record.status).length,
  ),
  RESPONSE_TRAILERS_BYTES: always(({ http }) =>
    http?.responseTrailers === undefined ? 0 : fieldBytes(http.responseTrailers),
  ),
  BYTES_RECEIVED: always(({ record, http }) => http?.requestBodyBytes ?? record.bytesReceived),
  BYTES_SENT: always(({ record, http }) => http?.responseBodyBytes ?? record.bytesSent),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: always(({ record }) => record.bytesReceived),
  DOWNSTREAM_WIRE_BYTES_SENT: always(({ record }) => record.bytesSent),
  DURATION: always(({ record }) => whole(record.durationMs)),
  REQUEST_DURATION: always(({ http }) =>
    http === undefined || http.requestEndMs === 0 ? undefined : whole(http.requestEndMs - http.startMs),
  ),
  RESPONSE_DURATION: always(upstreamMs),
  RESPONSE_TX_DURATION: always((entry) =>
    upstreamMs(entry) === undefined ? undefined : whole(entry.record.durationMs - entry.record.upstreamMs),
  ),
  UPSTREAM_HOST: upstreamHost,
  UPSTREAM_REMOTE_ADDRESS: upstreamHost,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: always(({ record }) => withoutPort(record.upstream)),
  UPSTREAM_REMOTE_PORT: always(({ record }) => portOf(record.upstream)),
  UPSTREAM_LOCAL_ADDRESS: upstreamFact(({ local }) => local),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: upstreamFact(({ local }) => withoutPort(local)),
  UPSTREAM_LOCAL_PORT: upstreamFact(({ local }) => portOf(local)),
  UPSTREAM_TLS_VERSION: upstreamFact(({ tlsVersion }) => tlsVersion),
  UPSTREAM_TLS_CIPHER: upstreamFact(({ tlsCipher }) => tlsCipher),
  UPSTREAM_PEER_SUBJECT: upstreamFact(({ peer }) => peer?.subject),
  UPSTREAM_PEER_ISSUER: upstreamFact(({ peer }) => peer?.issuer),
  UPSTREAM_PEER_URI_SAN: upstreamFact(({ peer }) => peer?.uriSans),
  UPSTREAM_PEER_DNS_SAN: upstreamFact(({ peer }) => peer?.dnsSans),
  UPSTREAM_CLUSTER: cluster,
  UPSTREAM_CLUSTER_RAW: cluster,
  UPSTREAM_TRANSPORT_FAILURE_REASON: always(({ record }) =>
    record.flag === 'UF' ? record.detail.replaceAll(/\s+/g, '_') : undefined,
  ),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: always(({ record }) => record.attempts),
  DOWNSTREAM_REMOTE_ADDRESS:
    ({ trustedHops }) =>
    (entry) =>
      clientAddress(entry, trustedHops),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT:
    ({ trustedHops }) =>
    (entry) =>
      clientIp(entry, trustedHops),
  DOWNSTREAM_REMOTE_PORT:
    ({ trustedHops }) =>
    (entry) =>
      portOf(clientAddress(entry, trustedHops) ?? ''),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: always(({ record }) => nonEmpty(record.remote)),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: always(({ record }) => withoutPort(record.remote)),
  DOWNSTREAM_DIRECT_REMOTE_PORT: always(({ record }) => portOf(record.remote)),
  DOWNSTREAM_LOCAL_ADDRESS: always(({ record }) => nonEmpty(record.destination)),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: always(({ record }) => withoutPort(record.destination)),
  DOWNSTREAM_LOCAL_PORT: always(({ record }) => portOf(record.destination)),
  DOWNSTREAM_TLS_VERSION: downstreamFact(({ tlsVersion }) => tlsVersion),
  DOWNSTREAM_TLS_CIPHER: downstreamFact(({ tlsCipher }) => tlsCipher),
  DOWNSTREAM_PEER_SUBJECT: verifiedFact(({ subject }) => subject),
  DOWNSTREAM_PEER_ISSUER: verifiedFact(({ issuer }) => issuer),
  DOWNSTREAM_PEER_SERIAL: verifiedFact(({ serial }) => serial),
  DOWNSTREAM_PEER_DNS_SAN: verifiedFact(({ dnsSans }) => dnsSans),
  REQUESTED_SERVER_NAME: downstreamFact(({ serverName }) => serverName),
  DOWNSTREAM_PEER_URI_SAN: always(({ record, http }) =>
    http === undefined
      ? nonEmpty(record.sourceIdentity)
      : nonEmpty((http.connection.peer?.subjectAltNames ?? []).filter((name) => name.includes('://')).join(',')),
  ),
  DOWNSTREAM_PEER_FINGERPRINT_256: always(({ http }) => http?.connection.peer?.fingerprint.toLowerCase()),
  ROUTE_NAME: always(({ record }) => nonEmpty(record.route)),
  CONNECTION_ID: always(({ http }) => http?.connection.id),
  STREAM_ID: always(({ record }) => nonEmpty(record.requestId)),
  TRACE_ID: always(({ record }) => nonEmpty(record.traceId)),
  HOSTNAME: always(() => hostname()),
  GRPC_STATUS_NUMBER: always(({ record }) => grpcName(record.grpcStatus, 'number')),
};

/** A text as it is, anything else as JSON. */
function claimOf(claims: unknown, path: readonly string[]): string | number | undefined {
  let value = claims;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  if (typeof value === 'string') return nonEmpty(value);
  return typeof value === 'number' || value === undefined ? value : JSON.stringify(value);
}

/** Fields of the request, pseudo-fields and what Envoy would have added among them. */
function requestField({ http }: LogEntry, name: string): string | undefined {
  if (http === undefined) return undefined;
  const { head } = http;
  switch (name) {
    case ':method':
      return nonEmpty(head.method);
    case ':path':
      return nonEmpty(head.path);
    case ':authority':
    case 'host':
      return nonEmpty(head.authority);
    case ':scheme':
      return head.scheme;
    case 'x-envoy-original-path':
      return head.headers.combined(name) ?? (head.path === http.path ? undefined : http.path);
    default:
      return head.headers.combined(name);
  }
}

function responseField(entry: LogEntry, name: string): string | undefined {
  const { record, http } = entry;
  if (name === ':status') return record.status === 0 ? undefined : String(record.status);
  const value = http?.responseHeaders?.combined(name);
  if (value !== undefined || name !== 'x-envoy-upstream-service-time') return value;
  const ms = upstreamMs(entry);
  return ms === undefined ? undefined : String(ms);
}

const fieldReaders = {
  REQUEST_HEADER: requestField,
  RESPONSE_HEADER: responseField,
  RESPONSE_TRAILER: ({ http }: LogEntry, name: string) => http?.responseTrailers?.combined(name),
} as const;

/** Made once for each place where an operator stands. */
export function readerOf(operator: LogOperator, ports: OperatorPorts): LogRead {
  switch (operator.field) {
    case 'START_TIME': {
      const format = timeFormatter(operator.format);
      return ({ record }) => format(record.startUnixMs);
    }
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
      return ({ http }) => {
        if (http === undefined) return undefined;
        const query = operator.query ? -1 : http.path.indexOf('?');
        return nonEmpty(query === -1 ? http.path : http.path.slice(0, query));
      };
    case 'TOKEN_CLAIM':
      return ({ http }) => claimOf(http?.jwt?.claims, operator.path);
    case 'ENVIRONMENT': {
      const value = ports.environment[operator.name];
      return () => value;
    }
    default:
      return plain[operator.field](ports);
  }
}
