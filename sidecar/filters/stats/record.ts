import type { Clock } from '@weft/policies/kit/clock';
import type { Address } from '@weft/policies/model/address';
import { EGRESS_STAT_PREFIX, UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import type { Direction, HttpConnectionManager, WorkloadSettings } from '@weft/policies/model/listener';
import type { LocalReplies } from '@weft/policies/model/local-reply';
import { asksConnections } from '@weft/policies/model/log-operators';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { Host } from '../../cluster/host.ts';
import type { UpstreamConnection } from '../../http/exchange.ts';
import type { CertificateSource } from '../../identity/source.ts';
import { socketOf } from '../../net/upstream-sockets.ts';
import type { ExchangeCounters } from '../../telemetry/exchange-counters.ts';
import { type Loggers, type LogSinks, loggersOf } from '../../telemetry/log/loggers.ts';
import { socketFacts } from '../../telemetry/log/socket-facts.ts';
import type { Recorder, RequestRecord } from '../../telemetry/record.ts';
import { RequestContext } from '../context.ts';
import { ContextRecord } from './context-record.ts';
import { noRequest } from './no-request.ts';

interface StatsDeps {
  readonly direction: Direction;
  readonly settings: WorkloadSettings | undefined;
  readonly hcm: HttpConnectionManager;
  /** Undefined: nobody logs. */
  readonly logSinks?: LogSinks;
  readonly source: SnapshotSource;
  readonly recorder: Recorder;
  readonly identity: CertificateSource;
  readonly clock: Clock;
  /** For logs; empty: it has none. */
  readonly filterChainName?: string;
}

const repliesAskConnections = (replies: LocalReplies | undefined): boolean =>
  replies !== undefined &&
  [replies.body, ...replies.mappers.map(({ body }) => body)].some((body) => asksConnections(body?.format));

/** Of one request, for logs. */
const ATTEMPTS_MAX = 32;

const labels = new WeakMap<object, string>();

/** `<namespace>/<name>`, made once for each object that carries them. */
function label(owner: object, namespace: string, name: string): string {
  let text = labels.get(owner);
  if (text === undefined) {
    text = `${namespace}/${name}`;
    labels.set(owner, text);
  }
  return text;
}

function workloadLabel(address: Address | undefined): string {
  return address?.kind === 'workload' ? label(address, address.namespace, address.workloadName) : '';
}

/** Writes the record of each finished request; one record object is used over and over. */
export class RequestStats {
  private readonly deps: StatsDeps;
  private readonly nobody: RequestContext;
  private readonly scratch: ContextRecord;
  private readonly loggers: Loggers | undefined;
  private readonly asksConnections: boolean;
  private readonly asksTimes: boolean;
  private readonly counters: ExchangeCounters | undefined;
  /** Label of requests that came to no cluster. */
  private readonly unnamed: string;

  constructor(deps: StatsDeps) {
    this.deps = deps;
    this.nobody = new RequestContext(noRequest, deps.clock);
    this.scratch = new ContextRecord(deps.direction, this.nobody);
    const { localReplies } = deps.hcm;
    this.loggers = loggersOf(deps.hcm, deps, deps.logSinks, deps.filterChainName);
    this.asksConnections = this.loggers?.asksConnections === true || repliesAskConnections(localReplies);
    this.asksTimes = this.loggers !== undefined || localReplies !== undefined;
    this.unnamed = deps.hcm.statPrefix === EGRESS_STAT_PREFIX ? UNKNOWN_SERVICE : '';
    this.counters = deps.recorder.countersOf?.(deps.hcm.statPrefix);
  }

  /** An attempt is made at that endpoint. */
  attempted(context: RequestContext, host: Host): void {
    if (!this.asksConnections && context.matched?.asksExchange !== true) return;
    context.hostsAttempted ??= [];
    if (context.hostsAttempted.length < ATTEMPTS_MAX) context.hostsAttempted.push(host);
    else this.deps.recorder.count('log.attempts_cut');
  }

  /** An attempt is made on that connection. What is logged of either socket is read while both are open. */
  leased(context: RequestContext, connection: UpstreamConnection): void {
    if (!this.asksConnections && context.matched?.asksExchange !== true) return;
    const { socket } = context.connection;
    context.upstreamSocket = socketOf(connection);
    context.upstreamSpeaksHttp2 = connection.speaksHttp2 === true;
    context.upstreamStartMs = this.deps.clock.nowMs();
    if (socket !== undefined) socketFacts(socket);
    if (context.upstreamSocket === undefined) return;
    const { id } = socketFacts(context.upstreamSocket);
    context.connectionsAttempted ??= [];
    const ids = context.connectionsAttempted;
    if (ids.length < ATTEMPTS_MAX && ids.at(-1) !== id) ids.push(id);
  }

  /** The last byte of the request has come in. */
  requestEnded(context: RequestContext, clock: Clock): void {
    if (this.asksTimes || context.matched?.asksExchange === true) context.requestEndMs = clock.nowMs();
  }

  /** What is known of it so far; used over and over. */
  describe(context: RequestContext, nowMs: number): RequestRecord {
    const record = this.scratch;
    record.show(context, nowMs);
    if (this.deps.direction === 'outbound') this.outboundPeers(context, record);
    else this.inboundPeers(context, record);
    return record;
  }

  finish(context: RequestContext, nowMs: number): void {
    const record = this.describe(context, nowMs);
    this.deps.recorder.record(record);
    this.counters?.observe(record);
    context.runtime?.counters.observe(record);
    if (this.loggers !== undefined) {
      if (context.exchange.endOfRequest) context.requestEndMs = context.startMs;
      this.loggers.write(record, context);
    }
    this.scratch.show(this.nobody, nowMs);
  }

  private outboundPeers(context: RequestContext, record: ContextRecord): void {
    const { host, runtime } = context;
    const service = runtime?.cluster.service ?? context.service;
    const mesh = host?.security.kind === 'mesh';
    record.sourceIdentity = this.deps.identity.own()?.spiffeId ?? '';
    record.sourceWorkload = this.deps.settings?.workloadName ?? '';
    record.destinationIdentity = mesh ? (host.endpoint.spiffeId ?? '') : '';
    record.destinationWorkload = host?.endpoint.workload ?? '';
    record.destinationService = service === undefined ? this.unnamed : label(service, service.namespace, service.name);
    record.mtls = mesh;
  }

  private inboundPeers(context: RequestContext, record: ContextRecord): void {
    const peer = this.deps.source.lookup('address', context.connection.remoteIp);
    record.sourceIdentity = context.facts.peerIdentity;
    record.sourceWorkload = peer.state === 'found' ? workloadLabel(peer.value) : '';
    record.destinationIdentity = this.deps.identity.own()?.spiffeId ?? '';
    record.destinationWorkload = this.deps.settings?.workloadName ?? '';
    record.destinationService = this.deps.settings?.serviceName ?? '';
    record.mtls = context.connection.peer !== undefined;
  }
}
