import type { Duplex } from 'node:stream';
import type { Clock } from '@weft/policies/kit/clock';
import type { TokenBucket } from '@weft/policies/kit/token-bucket';
import type { WeightedCluster } from '@weft/policies/model/route';
import type { ServiceName } from '../cluster/destination.ts';
import type { Host } from '../cluster/host.ts';
import type { Hash64 } from '../cluster/picker/hash/xxhash64.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import type { ResponseFlag } from '../http/errors.ts';
import type { Downstream, DownstreamConnection, RequestHead, ResponseHead } from '../http/exchange.ts';
import { isGrpc } from '../http/grpc-content-type.ts';
import type { Headers } from '../http/headers.ts';
import { hostPort } from '../net/connection-record.ts';
import type { CompiledRoute } from '../route/table.ts';
import type { Ticket } from './admission/ticket.ts';
import type { CorsGrant } from './cors/filter.ts';
import type { ExternalAuthorization } from './extauthz/state.ts';
import { GrpcCall } from './grpc/call.ts';
import type { HopLimits } from './hop/header.ts';
import type { VerifiedJwt } from './jwt/verified.ts';
import type { MirrorSet } from './mirror/set.ts';
import type { SessionChoice } from './session/choice.ts';
import type { ShadowPolicy } from './shadow-policies.ts';
import { parseTraceparent } from './trace/propagation.ts';

/** What is the same for all requests of a connection. */
export interface ConnectionFacts {
  readonly remote: string;
  readonly destination: string;
  readonly peerIdentity: string;
}

const facts = new WeakMap<DownstreamConnection, ConnectionFacts>();

function connectionFacts(connection: DownstreamConnection): ConnectionFacts {
  let known = facts.get(connection);
  if (known === undefined) {
    known = {
      remote: hostPort(connection.remoteIp, connection.remotePort),
      destination: hostPort(connection.destinationIp, connection.destinationPort),
      peerIdentity: connection.peer?.spiffeId ?? '',
    };
    facts.set(connection, known);
  }
  return known;
}

/** Adds fields to a response. */
export interface ResponseDecorator {
  onResponse(context: RequestContext, head: ResponseHead): void;
}

/** Everything that is known of one request. All fields are there from the start, so that all requests share one shape. */
export class RequestContext {
  /** A filter may put one of its own around it when the route is known. */
  exchange: Downstream;
  readonly head: RequestHead;
  readonly connection: DownstreamConnection;
  /** Where proxies in front are believed, the one that they tell of. */
  clientIp: string;
  readonly startMs: number;
  /** As the client sent them, canonical; the head's own may be rewritten for the upstream. */
  readonly authority: string;
  path: string;
  readonly grpc: boolean;
  /** Of a gRPC request; undefined for all others. */
  readonly call: GrpcCall | undefined;

  requestId = '';
  /** `traceparent` of a request that is not traced here and has no B3, until somebody asks for what it says. */
  unreadTrace = '';
  private trace = '';
  private parentSpan = '';
  spanId = '';
  sampled = false;

  /** Of the end user, if a token of one came along and holds. */
  jwt: VerifiedJwt | undefined = undefined;

  rule = '';
  route = '';
  /** The route that answers or forwards it, and the cluster that the route chose. */
  matched: CompiledRoute | undefined = undefined;
  matchedCluster: WeightedCluster | undefined = undefined;
  /** The Service that the original destination stands for. */
  service: ServiceName | undefined = undefined;
  runtime: ClusterRuntime | undefined = undefined;
  clusterName = '';
  /** For a cluster that picks by hash; undefined: at random. */
  hash: Hash64 | undefined = undefined;
  /** Set-Cookie that goes with it, or empty. */
  hashCookie = '';
  host: Host | undefined = undefined;
  /** Of the last attempt, if somebody logs something of it. */
  upstreamSocket: Duplex | undefined = undefined;
  upstreamSpeaksHttp2 = false;
  /** Endpoints and connections of all attempts, if somebody logs them; undefined: none, or nobody asks. */
  hostsAttempted: Host[] | undefined = undefined;
  connectionsAttempted: number[] | undefined = undefined;
  /** When the last attempt was sent, if somebody logs it; 0: not known. */
  upstreamStartMs = 0;
  attempts = 0;
  /** What a caller further up allows; undefined: everything. */
  hop: HopLimits | undefined = undefined;
  upstreamMs = 0;

  status = 0;
  grpcStatus = -1;
  /** Of the response that the client got; kept by reference for whoever reads them at the end. */
  responseHeaders: Headers | undefined = undefined;
  responseTrailers: Headers | undefined = undefined;
  /** Adds to responses of our own what it adds to those of upstreams; undefined: nothing is added. */
  ownReplies: ResponseDecorator | undefined = undefined;
  /** The response may be read by a page of another origin. */
  cors: CorsGrant | undefined = undefined;
  /** The route keeps sessions at their endpoints. */
  session: SessionChoice | undefined = undefined;
  /** Copies of the request are on their way. */
  mirrors: MirrorSet | undefined = undefined;
  /** Whose state the response tells: of several rate limits the nearest. */
  rateLimit: TokenBucket | undefined = undefined;
  /** The connection manager does not upgrade to what is asked for; its route may. */
  upgradeRefused = false;
  /** Of the application's places, where they are limited. */
  ticket: Ticket | undefined = undefined;
  /** Policies that matched in the shadow, by the prefix of their filter; undefined: none has. */
  shadows: Map<string, ShadowPolicy> | undefined = undefined;
  /** Authorizers outside of the proxy have a say in it. */
  external: ExternalAuthorization | undefined = undefined;
  /** The response is one of our own. */
  localReply = false;
  requestBodyBytes = 0;
  responseBodyBytes = 0;
  /** When all of the request had come in, if somebody logs it; 0: not known. */
  requestEndMs = 0;
  flag: ResponseFlag | '' = '';
  detail = '';

  private readonly clock: Clock;
  private unixMs = 0;

  constructor(exchange: Downstream, clock: Clock) {
    const { head, connection } = exchange;
    this.exchange = exchange;
    this.head = head;
    this.connection = connection;
    this.clientIp = connection.remoteIp;
    this.clock = clock;
    this.startMs = clock.nowMs();
    this.authority = head.authority;
    this.path = head.path;
    this.grpc = isGrpc(head.headers.get('content-type'));
    this.call = this.grpc ? new GrpcCall(head, this.startMs) : undefined;
  }

  /** Logs and spans ask for it, which most requests have none of. */
  get startUnixMs(): number {
    if (this.unixMs === 0) this.unixMs = Math.round(this.clock.unixMs() - (this.clock.nowMs() - this.startMs));
    return this.unixMs;
  }

  /** Empty: neither we nor the caller trace it. */
  get traceId(): string {
    if (this.unreadTrace !== '') this.readTrace();
    return this.trace;
  }

  get parentSpanId(): string {
    if (this.unreadTrace !== '') this.readTrace();
    return this.parentSpan;
  }

  setTrace(traceId: string, parentSpanId: string): void {
    this.trace = traceId;
    this.parentSpan = parentSpanId;
  }

  private readTrace(): void {
    const caller = parseTraceparent(this.unreadTrace);
    this.unreadTrace = '';
    this.setTrace(caller?.traceId ?? '', caller?.spanId ?? '');
  }

  get facts(): ConnectionFacts {
    return connectionFacts(this.connection);
  }
}
