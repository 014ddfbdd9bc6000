import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Duplex } from 'node:stream';
import type { PlainLogField } from '@weft/policies/model/log-fields';
import type { Headers } from '../../http/headers.ts';
import { clientAddress, clientIp, portOf, withoutPort } from './addresses.ts';
import type { LogEntry, LoggedExchange, LoggedHost } from './entry.ts';
import { detailsOf, grpcName, LONG_FLAGS, terminationDetails } from './names.ts';
import { nonEmpty } from './request-fields.ts';
import { type CertificateFacts, type SocketFacts, socketFacts } from './socket-facts.ts';
import { pointMs, responseMs, whole } from './time-points.ts';

/** The value of an operator for one exchange; undefined: there is none. */
export type LogRead = (entry: LogEntry) => string | number | undefined;

export interface OperatorPorts {
  readonly trustedHops: number;
  /** Empty: it has none. */
  readonly filterChainName: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Where Envoy says in so many words that there is nothing. */
export const NONE = '-';

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

function versionName(http: LoggedExchange): string {
  if (http.head.version === 20) return 'HTTP/2';
  return http.head.version === 10 ? 'HTTP/1.0' : 'HTTP/1.1';
}

type Plain = (ports: OperatorPorts) => LogRead;

const always =
  (read: LogRead): Plain =>
  () =>
    read;
const zero = always(() => 0);
const nothing = always(() => undefined);
const empty = always(() => '');
const upstreamHost = always(({ record }) => nonEmpty(record.upstream));
const named = ({ label, endpoint }: LoggedHost): string => endpoint.hostname ?? label;
const bare = (name: string): string => (/:\d+$/.test(name) ? (withoutPort(name) ?? name) : name);
const hostName = ({ record, http }: LogEntry): string | undefined =>
  http?.host === undefined ? nonEmpty(record.upstream) : named(http.host);
const attempted =
  (show: (host: LoggedHost) => string): Plain =>
  () =>
  ({ record, http }) =>
    http === undefined
      ? record.upstream === ''
        ? undefined
        : show({ label: record.upstream, endpoint: {} })
      : http.hostsAttempted?.map(show).join(',');
const cluster = always(({ record }) => nonEmpty(record.cluster));

type Fact = (facts: SocketFacts) => string | number | undefined;

const factOf = (socket: Duplex | undefined, fact: Fact): string | number | undefined => {
  if (socket === undefined) return undefined;
  const value = fact(socketFacts(socket));
  return value === '' ? undefined : value;
};
const upstreamFact = (fact: Fact): Plain => always(({ ends }) => factOf(ends?.upstreamSocket, fact));
const downstreamFact = (fact: Fact): Plain => always(({ ends }) => factOf(ends?.connection.socket, fact));
/** A certificate that nothing verified says nothing about who sent it. */
const verifiedFact = (fact: (peer: CertificateFacts) => string): Plain =>
  always(({ ends }) =>
    ends?.connection.peer === undefined
      ? undefined
      : factOf(ends.connection.socket, ({ peer }) => (peer === undefined ? undefined : fact(peer))),
  );

/** Made once for each place where an operator stands. */
export const plainReaders: Readonly<Record<PlainLogField, Plain>> = {
  PROTOCOL: always(({ http }) => http && versionName(http)),
  RESPONSE_CODE: always(({ record }) => record.status),
  RESPONSE_CODE_DETAILS: always((entry) => detailsOf(entry)),
  RESPONSE_FLAGS: always(({ record }) => record.flag || NONE),
  RESPONSE_FLAGS_LONG: always(({ record }) => (record.flag === '' ? NONE : LONG_FLAGS[record.flag])),
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
  REQUEST_TX_DURATION: always((entry) => {
    const sentMs = pointMs(entry, 'US_TX_END');
    return sentMs === undefined ? undefined : whole(sentMs);
  }),
  RESPONSE_DURATION: always((entry) => {
    const ms = responseMs(entry);
    return ms === undefined ? undefined : whole(ms);
  }),
  RESPONSE_TX_DURATION: always((entry) =>
    responseMs(entry) === undefined ? undefined : whole(entry.record.durationMs - entry.record.upstreamMs),
  ),
  UPSTREAM_HOST: upstreamHost,
  UPSTREAM_HOST_NAME: always(hostName),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: always((entry) => {
    const name = hostName(entry);
    return name === undefined ? undefined : bare(name);
  }),
  UPSTREAM_HOSTS_ATTEMPTED: attempted(({ label }) => label),
  UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT: attempted(({ label }) => bare(label)),
  UPSTREAM_HOST_NAMES_ATTEMPTED: attempted(named),
  UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT: attempted((host) => bare(named(host))),
  UPSTREAM_CONNECTION_IDS_ATTEMPTED: always(({ http, ends }) =>
    http === undefined ? factOf(ends?.upstreamSocket, ({ id }) => id) : http.connectionsAttempted?.join(','),
  ),
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
  UPSTREAM_PEER_IP_SAN: upstreamFact(({ peer }) => peer?.ipSans),
  UPSTREAM_PEER_CERT: upstreamFact(({ peer }) => peer?.text),
  UPSTREAM_LOCAL_URI_SAN: upstreamFact(({ own }) => own?.uriSans),
  UPSTREAM_LOCAL_DNS_SAN: upstreamFact(({ own }) => own?.dnsSans),
  UPSTREAM_LOCAL_IP_SAN: upstreamFact(({ own }) => own?.ipSans),
  UPSTREAM_TLS_GROUP: upstreamFact(({ tlsGroup }) => tlsGroup),
  UPSTREAM_SERVER_NAME: upstreamFact(({ serverName }) => serverName),
  UPSTREAM_CONNECTION_ID: always(({ ends }) => factOf(ends?.upstreamSocket, ({ id }) => id) ?? 0),
  UPSTREAM_PROTOCOL: always(({ http }) =>
    http?.upstreamSocket === undefined ? undefined : http.upstreamSpeaksHttp2 === true ? 'HTTP/2' : 'HTTP/1.1',
  ),
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
  DOWNSTREAM_PEER_IP_SAN: verifiedFact(({ ipSans }) => ipSans),
  DOWNSTREAM_PEER_EMAIL_SAN: verifiedFact(({ emailSans }) => emailSans),
  DOWNSTREAM_PEER_FINGERPRINT_1: verifiedFact(({ sha1 }) => sha1),
  DOWNSTREAM_PEER_CERT: verifiedFact(({ text }) => text),
  DOWNSTREAM_LOCAL_SUBJECT: downstreamFact(({ own }) => own?.subject),
  DOWNSTREAM_LOCAL_URI_SAN: downstreamFact(({ own }) => own?.uriSans),
  DOWNSTREAM_LOCAL_DNS_SAN: downstreamFact(({ own }) => own?.dnsSans),
  DOWNSTREAM_LOCAL_IP_SAN: downstreamFact(({ own }) => own?.ipSans),
  DOWNSTREAM_LOCAL_EMAIL_SAN: downstreamFact(({ own }) => own?.emailSans),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: downstreamFact(({ local }) => local),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: downstreamFact(({ local }) => withoutPort(local)),
  DOWNSTREAM_DIRECT_LOCAL_PORT: downstreamFact(({ local }) => portOf(local)),
  REQUESTED_SERVER_NAME: downstreamFact(({ serverName }) => serverName),
  DOWNSTREAM_PEER_URI_SAN: always(({ record, ends }) =>
    ends === undefined
      ? nonEmpty(record.sourceIdentity)
      : nonEmpty((ends.connection.peer?.subjectAltNames ?? []).filter((name) => name.includes('://')).join(',')),
  ),
  DOWNSTREAM_PEER_FINGERPRINT_256: always(({ ends }) => ends?.connection.peer?.fingerprint.toLowerCase()),
  ROUTE_NAME: always(({ record }) => nonEmpty(record.route)),
  CONNECTION_ID: always(({ ends }) => ends?.connection.id),
  STREAM_ID: always(({ record }) => nonEmpty(record.requestId)),
  TRACE_ID: always(({ record }) => nonEmpty(record.traceId)),
  SPAN_ID: always(({ record }) => nonEmpty(record.spanId)),
  UNIQUE_ID: always(() => randomUUID()),
  ACCESS_LOG_TYPE: always(({ record }) => (record.protocol === 'tcp' ? 'TcpConnectionEnd' : 'DownstreamEnd')),
  FILTER_CHAIN_NAME:
    ({ filterChainName }) =>
    () =>
      nonEmpty(filterChainName),
  CONNECTION_TERMINATION_DETAILS: always(({ record }) => terminationDetails(record)),
  // A line is no reply; where it stands in one of our own it is told apart.
  LOCAL_REPLY_BODY: always(({ localReplyBody }) => localReplyBody ?? ''),
  BYTES_RETRANSMITTED: zero,
  PACKETS_RETRANSMITTED: zero,
  VIRTUAL_CLUSTER_NAME: nothing,
  CUSTOM_FLAGS: empty,
  ROUNDTRIP_DURATION: nothing,
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: nothing,
  UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID: always(({ record }) => (record.upstream === '' ? undefined : '')),
  DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID: empty,
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID: empty,
  HOSTNAME: always(() => hostname()),
  GRPC_STATUS_NUMBER: always(({ record }) => grpcName(record.grpcStatus, 'number')),
};
