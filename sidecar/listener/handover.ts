import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SocketAddress } from '@weft/policies/model/address';
import { UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import type { FilterChain, HttpConnectionManager, TcpProxy } from '@weft/policies/model/listener';
import type { ResponseFlag } from '../http/errors.ts';
import type { Dispatch, DownstreamConnection } from '../http/exchange.ts';
import { type HttpServerConnection, serveHttp } from '../http/server.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import { connectionRecord } from '../net/connection-record.ts';
import { isTlsSocket } from '../net/tls-socket.ts';
import { proxyTcp, type TcpSession } from '../tcp/proxy.ts';
import type { Recorder, RequestRecord } from '../telemetry/record.ts';
import type { ConnectionContext } from './context.ts';
import type { EarlyUpstream } from './early-upstream.ts';
import type { ConnectionFacts } from './filter-chain-match.ts';
import { connectionLabels } from './labels.ts';
import { decideNetwork, type Opening } from './opening.ts';
import { type Admitted, distrusted, refusedBy } from './recheck.ts';
import type { ListenerRuntime } from './runtime.ts';
import { watchName } from './seen-name.ts';

let lastId = 0;

/** Whom a connection is between, as far as is known by now. */
export interface Ends {
  remote: SocketAddress;
  destination: SocketAddress;
}

/** All that is known before anything was read. */
export function openingOf(context: ConnectionContext, runtime: ListenerRuntime, ends: Ends): Opening {
  const { deps, deadlines, serverFirst, handshakeTimeoutMs } = context;
  const { destination, remote } = ends;
  return { deps, deadlines, serverFirst, handshakeTimeoutMs, runtime, remoteIp: remote.ip, destination };
}

/** Gives a connection that is understood to the codec or the relay, or refuses it, with a record that says why. */
export class Handover {
  /** Opened to hear whether the server speaks first, and not given away yet. */
  early: EarlyUpstream | undefined = undefined;
  private readonly context: ConnectionContext;
  private readonly runtime: ListenerRuntime;
  private readonly socket: Socket;
  private readonly ends: Ends;
  private readonly id = ++lastId;
  /** What the chain was found by, where it was found by matching. */
  facts: ConnectionFacts | undefined = undefined;
  private server: HttpServerConnection | undefined = undefined;
  private session: TcpSession | undefined = undefined;
  private admitted: Admitted | undefined = undefined;
  private checkedBy: ListenerRuntime;
  private retiring = false;
  private draining = false;

  constructor(context: ConnectionContext, runtime: ListenerRuntime, socket: Socket, ends: Ends) {
    this.context = context;
    this.runtime = runtime;
    this.checkedBy = runtime;
    this.socket = socket;
    this.ends = ends;
  }

  retire(): void {
    this.retiring = true;
    this.server?.retire();
  }

  drain(): void {
    this.draining = true;
    this.server?.drain();
  }

  /** Ends the connection if it would not be let in any more: requests ask the rules each time, it did so once. */
  recheck(): void {
    const { admitted, context } = this;
    if (admitted === undefined) return;
    const meshPeer = admitted.chain.tls?.validation?.trust.kind === 'secret' ? admitted.peer : undefined;
    let ending = distrusted(context, meshPeer) ?? distrusted(context, this.session?.upstreamPeer);
    const newest = context.current();
    if (ending === undefined && newest !== undefined && newest !== this.checkedBy) {
      this.checkedBy = newest;
      ending = refusedBy(context, newest, admitted);
      if (ending === undefined && this.server !== undefined) this.recheckTunnels(newest, admitted.chain.name);
    }
    if (ending === undefined) return;
    const { flag, detail, rule, cause } = ending;
    context.deps.recorder.count(cause === 'trust' ? 'listener.ended_by_trust' : 'listener.ended_by_policy');
    if (this.session !== undefined) {
      this.session.end(flag, detail, rule);
      return;
    }
    this.record(flag, detail, admitted.peer, rule);
    this.server?.destroy();
  }

  private recheckTunnels(newest: ListenerRuntime, chainName: string): void {
    const terminal = newest.chainNamed(chainName)?.terminal;
    if (terminal?.kind === 'http') newest.dispatchOf(terminal).recheckTunnels?.(this.id);
  }

  private admit(chain: FilterChain, peer: PeerCertificateInfo | undefined): void {
    const { remote, destination } = this.ends;
    this.admitted = { chain, peer, facts: this.facts, remoteIp: remote.ip, destination };
    // Rules may have changed while its first bytes were waited for.
    if (this.context.current() !== this.runtime) this.context.deps.clock.after(0, () => this.recheck());
  }

  closeEarly(): void {
    this.early?.close();
    this.early = undefined;
  }

  serve(
    chain: FilterChain,
    hcm: HttpConnectionManager,
    socket: Duplex,
    firstBytes: Buffer | undefined,
    peer: PeerCertificateInfo | undefined,
  ): void {
    if (this.allowedBy(chain, socket, peer) === undefined) return;
    const { clock } = this.context.deps;
    const recorder = this.recorderOf(hcm);
    const server = serveHttp(
      socket,
      { ...this.describe(chain, peer), socket },
      {
        codec: hcm.codec,
        alpn: isTlsSocket(socket) ? socket.alpnProtocol || '' : '',
        limits: hcm.limits,
        dispatch: this.dispatcherOf(chain, hcm),
        clock,
        recorder,
        direction: this.runtime.listener.direction,
        // TLS with client certificates is the mesh's: the application behind the client asked for plain HTTP.
        scheme: chain.tls !== undefined && !chain.tls.requireClientCertificate ? 'https' : 'http',
        ...(firstBytes === undefined ? {} : { firstBytes }),
      },
    );
    this.server = server;
    this.admit(chain, peer);
    if (this.retiring) server.retire();
    if (this.draining) server.drain();
  }

  private recorderOf(terminal: FilterChain['terminal']): Recorder {
    const { recorderOf, recorder } = this.context.deps;
    return recorderOf?.(terminal, this.runtime.listener) ?? recorder;
  }

  /**
   * Requests obey the newest version of the chain that their connection came in by: a client that keeps its connection
   * must not keep an authorization that was taken away, or miss tracing that was turned on.
   */
  private dispatcherOf(chain: FilterChain, hcm: HttpConnectionManager): Dispatch {
    let version = this.runtime;
    let dispatch = version.dispatchOf(hcm);
    return (exchange) => {
      const newest = this.context.current();
      if (newest !== undefined && newest !== version) {
        version = newest;
        const terminal = newest.chainNamed(chain.name)?.terminal;
        if (terminal?.kind === 'http') dispatch = newest.dispatchOf(terminal);
        // The chain is gone: what the connection would now be is found out by a new one.
        else this.retire();
      }
      dispatch(exchange);
    };
  }

  proxy(
    terminal: TcpProxy,
    chain: FilterChain,
    socket: Duplex,
    firstBytes: Buffer | undefined,
    peer: PeerCertificateInfo | undefined,
    destinationService: string,
    host = '',
  ): void {
    const rule = this.allowedBy(chain, socket, peer);
    if (rule === undefined) return;
    const { deps } = this.context;
    const { clock } = deps;
    const recorder = this.recorderOf(terminal);
    const early = terminal.clusters.some(({ name }) => name === this.early?.cluster) ? this.early : undefined;
    if (early === undefined) this.closeEarly();
    this.early = undefined;
    this.admit(chain, peer);
    this.session = proxyTcp(socket, this.describe(chain, peer), {
      proxy: early === undefined ? terminal : { ...terminal, clusters: [{ name: early.cluster, weight: 1 }] },
      upstreams: early ?? deps.tcpUpstreams,
      destination: this.ends.destination,
      direction: this.runtime.listener.direction,
      recorder,
      clock,
      labels: connectionLabels(
        deps,
        this.runtime.listener,
        { remoteIp: this.ends.remote.ip, peer },
        destinationService,
      ),
      rule,
      firstBytes,
      host,
      ...(host === '' && destinationService === UNKNOWN_SERVICE ? { watch: watchName } : {}),
    });
  }

  /** The rule that let the connection in, empty without any; undefined if it was refused, and closed. */
  private allowedBy(chain: FilterChain, socket: Duplex, peer: PeerCertificateInfo | undefined): string | undefined {
    if (chain.networkRbac.length === 0) return '';
    const decision = decideNetwork(openingOf(this.context, this.runtime, this.ends), chain, peer);
    if (decision.allowed) return decision.rule;
    this.record('UAEX', `denied by ${decision.rule}`, peer, decision.rule);
    // Only TLS itself: this runs inside of its handshake, and the runtime crashes when the socket below goes first.
    socket.destroy();
    return undefined;
  }

  /** Closes a connection whose bytes nobody can decide about: opaque ones, where rules are about requests. */
  refusesOpaque(chain: FilterChain, facts: ConnectionFacts): boolean {
    if (!this.runtime.needsRequests(facts, chain)) return false;
    this.context.deps.recorder.count('listener.opaque_refused');
    this.refuse('UAEX', 'the bytes are not HTTP, and the rules of this port are about HTTP requests');
    return true;
  }

  private describe(chain: FilterChain | undefined, peer: PeerCertificateInfo | undefined): DownstreamConnection {
    return {
      id: this.id,
      remoteIp: this.ends.remote.ip,
      remotePort: this.ends.remote.port,
      destinationIp: this.ends.destination.ip,
      destinationPort: this.ends.destination.port,
      peer,
      tls: chain?.tls !== undefined,
    };
  }

  refuse(flag: ResponseFlag, detail: string): void {
    this.record(flag, detail, undefined, '');
    this.socket.destroy();
  }

  record(
    flag: ResponseFlag,
    detail: string,
    peer: PeerCertificateInfo | undefined,
    rule: string,
    more: Partial<RequestRecord> = {},
  ): void {
    const { deps } = this.context;
    const { recorder, clock } = deps;
    const { listener } = this.runtime;
    const connection = this.describe(undefined, peer);
    const record = connectionRecord(listener.direction, 'tcp', connection, clock.unixMs());
    Object.assign(record, connectionLabels(deps, listener, connection, ''));
    record.flag = flag;
    record.detail = detail;
    record.rule = rule;
    Object.assign(record, more);
    recorder.record(record);
  }
}
