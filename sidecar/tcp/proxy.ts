import type { Duplex } from 'node:stream';
import type { Clock } from '@weft/policies/kit/clock';
import { type Prng, systemPrng } from '@weft/policies/kit/prng';
import type { SocketAddress } from '@weft/policies/model/address';
import type { Endpoint } from '@weft/policies/model/cluster';
import type { Direction, TcpProxy } from '@weft/policies/model/listener';
import type { ProxyError, ResponseFlag } from '../http/errors.ts';
import type { DownstreamConnection } from '../http/exchange.ts';
import type { PeerCertificateInfo, UpstreamTransport } from '../net/connection.ts';
import { connectionRecord, hostPort } from '../net/connection-record.ts';
import { deadlinesOf } from '../net/deadlines.ts';
import { resetConnection } from '../net/reset.ts';
import type { Recorder, RequestRecord, TcpEnds } from '../telemetry/record.ts';
import { Relay } from './relay.ts';

/** An upstream connection for opaque bytes; `release` is called when it has ended. */
export interface TcpUpstream {
  readonly transport: UpstreamTransport;
  readonly endpoint: Endpoint;
  readonly cluster: string;
  /** The Service that the cluster is of, where it is of one. */
  readonly service?: { readonly namespace: string; readonly name: string } | undefined;
  /** What is done to the connection on purpose; rates in KiB a second, 0: as fast as it goes. */
  readonly fault?: { readonly delayMs: number; readonly requestRate: number; readonly responseRate: number };
  release(): void;
}

/** Port to the clusters. */
export interface TcpUpstreams {
  connect(
    cluster: string,
    destination: SocketAddress,
    done: (result: TcpUpstream | { readonly error: ProxyError }) => void,
    /** The name that the client asked for, in lower case; empty: none. */
    host?: string,
    source?: TcpSource,
  ): { cancel(): void };
}

/** Where a connection comes from. `hashed`: clusters that pick by hash do so by that, whatever they say themselves. */
export interface TcpSource {
  readonly ip: string;
  readonly hashed: boolean;
}

export type TcpLabels = Pick<
  RequestRecord,
  'sourceWorkload' | 'sourceIdentity' | 'destinationWorkload' | 'destinationIdentity' | 'destinationService'
>;

interface TcpProxyOptions {
  readonly proxy: Pick<TcpProxy, 'clusters' | 'idleTimeoutMs' | 'hashesSource'>;
  readonly upstreams: TcpUpstreams;
  readonly destination: SocketAddress;
  readonly direction: Direction;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly prng?: Prng;
  /** Who talks to whom, as far as it is known before the upstream is. */
  readonly labels: TcpLabels;
  /** Rule that let the connection in, or empty. */
  readonly rule: string;
  readonly firstBytes: Buffer | undefined;
  /** The name that the client asked for. */
  readonly host?: string;
  /** Finds a name in the bytes of the client, for the record. */
  readonly watch?: (onName: (name: string) => void) => (chunk: Buffer) => boolean;
}

export interface TcpSession {
  /** Whom its bytes go to, as far as TLS tells. */
  readonly upstreamPeer: PeerCertificateInfo | undefined;
  /** Cuts both sides off, and says why in the record. */
  end(flag: ResponseFlag, detail: string, rule: string): void;
}

/** In proportion to the weights; empty when all of them are 0, or when a cluster that does not exist was drawn. */
export function pickCluster(clusters: TcpProxy['clusters'], prng: Prng): string {
  let total = 0;
  for (const cluster of clusters) total += cluster.weight;
  let at = prng.next() * total;
  for (const cluster of clusters) {
    at -= cluster.weight;
    if (at < 0) return cluster.name;
  }
  return total === 0 ? '' : (clusters[0]?.name ?? '');
}

const noBackend: ProxyError = {
  source: 'internal',
  flag: 'NC',
  status: 0,
  retry: 'no',
  detail: 'the connection fell to a backend that is not valid',
};

/** Carries the bytes of a connection to a cluster, untouched, and records it when it has ended. */
export function proxyTcp(socket: Duplex, connection: DownstreamConnection, options: TcpProxyOptions): TcpSession {
  return new ProxiedConnection(socket, connection, options);
}

class ProxiedConnection implements TcpSession {
  private readonly socket: Duplex;
  private readonly options: TcpProxyOptions;
  private readonly record: RequestRecord;
  private readonly ends: TcpEnds;
  private readonly startMs: number;
  private relay: Relay | undefined = undefined;
  private connecting: { cancel(): void } | undefined = undefined;
  private over = false;
  private peer: PeerCertificateInfo | undefined = undefined;

  constructor(socket: Duplex, connection: DownstreamConnection, options: TcpProxyOptions) {
    this.socket = socket;
    this.options = options;
    const { clock, direction, recorder } = options;
    this.startMs = clock.nowMs();
    this.record = connectionRecord(direction, 'tcp', connection, clock.unixMs());
    Object.assign(this.record, options.labels);
    this.ends = { connection: { id: connection.id, peer: connection.peer, socket }, upstreamSocket: undefined };
    recorder.tcpEnds?.(this.record, this.ends);
    this.record.rule = options.rule;
    this.record.cluster = pickCluster(options.proxy.clusters, options.prng ?? systemPrng);
    socket.on('close', () => this.onClosedEarly());
    if (this.record.cluster === '') {
      // TCPRouteRule.backendRefs: such connections are actively refused, and have to look it.
      resetConnection(socket);
      this.finish(noBackend);
      return;
    }
    this.record.attempts = 1;
    this.record.authority = options.host ?? '';
    const connected: Parameters<TcpUpstreams['connect']>[2] = (result) => {
      this.connecting = undefined;
      if ('error' in result) this.finish(result.error);
      else if (this.over) {
        result.transport.socket.destroy();
        result.release();
      } else this.begin(result);
    };
    const source = { ip: connection.remoteIp, hashed: options.proxy.hashesSource === true };
    const { destination, host, upstreams } = options;
    this.connecting = upstreams.connect(this.record.cluster, destination, connected, host, source);
    if (this.over) recorder.count('tcp.connect_failed');
  }

  get upstreamPeer(): PeerCertificateInfo | undefined {
    return this.peer;
  }

  end(flag: ResponseFlag, detail: string, rule: string): void {
    if (this.over) return;
    if (rule !== '') this.record.rule = rule;
    const error: ProxyError = { source: 'internal', flag, status: 0, retry: 'no', detail };
    if (this.relay !== undefined) this.relay.end(error);
    else {
      this.connecting?.cancel();
      this.finish(error);
    }
  }

  private begin(upstream: TcpUpstream): void {
    const { options, record } = this;
    record.cluster = upstream.cluster;
    record.upstream = hostPort(upstream.endpoint.address.ip, upstream.endpoint.address.port);
    if (options.direction === 'outbound') {
      record.destinationWorkload = upstream.endpoint.workload;
      const { service } = upstream;
      if (service !== undefined) record.destinationService = `${service.namespace}/${service.name}`;
      record.destinationIdentity = upstream.transport.peer?.spiffeId ?? '';
    }
    record.upstreamMs = options.clock.nowMs() - this.startMs;
    const { fault } = upstream;
    if (fault !== undefined && fault.delayMs > 0) record.flag = 'DI';
    this.peer = upstream.transport.peer;
    if (this.peer !== undefined) record.mtls = true;
    const relay = new Relay(this.socket, upstream.transport.socket, {
      firstBytes: options.firstBytes,
      idleTimeoutMs: options.proxy.idleTimeoutMs,
      clock: options.clock,
      deadlines: deadlinesOf(options.clock),
      ...(fault === undefined ? {} : { rates: fault }),
      ...(options.watch === undefined
        ? {}
        : {
            watch: options.watch((name) => {
              record.authority = name;
            }),
          }),
      onEnd: (error) => {
        upstream.release();
        closed();
        this.finish(error);
      },
    });
    this.relay = relay;
    this.ends.upstreamSocket = upstream.transport.socket;
    options.recorder.tcpEnds?.(record, this.ends);
    const closed = options.recorder.tcpOpened(record, relay);
  }

  private onClosedEarly(): void {
    if (this.relay !== undefined || this.over) return;
    this.connecting?.cancel();
    this.finish({
      source: 'downstream',
      flag: 'DC',
      status: 0,
      retry: 'no',
      detail: 'the client closed the connection before the upstream was connected',
    });
  }

  private finish(error: ProxyError | undefined): void {
    if (this.over) return;
    this.over = true;
    const { record, relay, options } = this;
    record.durationMs = options.clock.nowMs() - this.startMs;
    if (relay !== undefined) {
      record.bytesReceived = relay.bytesReceived;
      record.bytesSent = relay.bytesSent;
    }
    if (error !== undefined) {
      record.flag = error.flag;
      record.detail = error.detail;
    }
    if (relay === undefined && error?.flag === 'FI') resetConnection(this.socket);
    else if (relay === undefined) this.socket.destroy();
    options.recorder.record(record);
  }
}
