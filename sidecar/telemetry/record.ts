import type { Duplex } from 'node:stream';
import type { Direction } from '@weft/policies/model/listener';
import type { RuleAction } from '../authorization/book.ts';
import type { ResponseFlag } from '../http/errors.ts';
import type { DownstreamConnection } from '../http/exchange.ts';
import type { ExchangeCounters } from './exchange-counters.ts';
import type { TallyFamily, TallyLabels } from './tallies.ts';

/**
 * What the path knows of a finished exchange: the one input of metrics, access log, spans and decision records.
 * A plain mutable object of fixed shape, reused by the recorder's caller after `record` returns.
 */
export interface RequestRecord {
  direction: Direction;
  protocol: 'http' | 'grpc' | 'tcp';
  startUnixMs: number;
  durationMs: number;
  /** Until the upstream's response head; 0 if none came. */
  upstreamMs: number;
  method: string;
  authority: string;
  path: string;
  /** HTTP status sent downstream; 0 for TCP or when nothing was sent. */
  status: number;
  /** gRPC status, -1 if not gRPC. */
  grpcStatus: number;
  flag: ResponseFlag | '';
  detail: string;
  /** `<namespace>/<route>/<rule>`. */
  route: string;
  cluster: string;
  /** `ip:port` of the endpoint that answered last. */
  upstream: string;
  attempts: number;
  /** SPIFFE ID of the peer, or empty. */
  sourceIdentity: string;
  sourceWorkload: string;
  destinationIdentity: string;
  destinationWorkload: string;
  /** `<namespace>/<service>`. */
  destinationService: string;
  remote: string;
  destination: string;
  bytesReceived: number;
  bytesSent: number;
  /** Whole messages of a gRPC call. */
  requestMessages: number;
  responseMessages: number;
  /** Authorization policy rule that decided, or empty. */
  rule: string;
  /** Of a verified token of the end user, or empty. */
  tokenIssuer: string;
  tokenSubject: string;
  mtls: boolean;
  requestId: string;
  /** Lower-case hex; empty when not traced. */
  traceId: string;
  spanId: string;
  parentSpanId: string;
  sampled: boolean;
}

/** Bytes of a connection that is open, read when somebody asks. */
export interface TcpProgress {
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** The sockets of an opaque connection, for logs that say something of them. */
export interface TcpEnds {
  readonly connection: Pick<DownstreamConnection, 'id' | 'peer' | 'socket'>;
  /** Undefined: not connected yet. */
  upstreamSocket: Duplex | undefined;
}

/** A record of which nothing is known yet; every one has this shape. */
export function emptyRecord(direction: Direction): RequestRecord {
  return {
    direction,
    protocol: 'http',
    startUnixMs: 0,
    durationMs: 0,
    upstreamMs: 0,
    method: '',
    authority: '',
    path: '',
    status: 0,
    grpcStatus: -1,
    flag: '',
    detail: '',
    route: '',
    cluster: '',
    upstream: '',
    attempts: 0,
    sourceIdentity: '',
    sourceWorkload: '',
    destinationIdentity: '',
    destinationWorkload: '',
    destinationService: '',
    remote: '',
    destination: '',
    bytesReceived: 0,
    bytesSent: 0,
    requestMessages: 0,
    responseMessages: 0,
    rule: '',
    tokenIssuer: '',
    tokenSubject: '',
    mtls: false,
    requestId: '',
    traceId: '',
    spanId: '',
    parentSpanId: '',
    sampled: false,
  };
}

/** Port from the data path to metrics, logs and traces. Must not keep the record. */
export interface Recorder {
  record(record: RequestRecord): void;
  /** An opaque connection is carried from now on; what is returned is called once, before its record, when it has ended. */
  tcpOpened(record: RequestRecord, progress: TcpProgress): () => void;
  /** While both ends are open, for logs; of a connection that comes to nothing only the first is. */
  tcpEnds?(record: RequestRecord, ends: TcpEnds): void;
  /** Connections, for weft_tcp_connections_*; `open` is +1 or -1. */
  connection(direction: Direction, open: 1 | -1): void;
  /** The counters of a connection manager, by its stat_prefix; one without them keeps none. */
  countersOf?(statPrefix: string): ExchangeCounters;
  tally?(family: TallyFamily, labels: TallyLabels): void;
  /** A line of the log about something that is no request; where access is logged at all. */
  note?(line: object): void;
  /** Further metrics, in the text format of Prometheus, asked for whenever metrics are. */
  collect?(render: () => string): void;
  /** A rule of an AuthorizationPolicy was met. */
  decision?(rule: string, action: RuleAction): void;
  /** Named bounds that were hit, errors of parsers, drops: everything that has no request. */
  count(event: string): void;
}
