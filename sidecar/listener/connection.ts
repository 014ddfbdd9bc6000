import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SocketAddress } from '@weft/policies/model/address';
import { BLACKHOLE, UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import type { FilterChain, HttpConnectionManager, TcpProxy } from '@weft/policies/model/listener';
import type { ResponseFlag } from '../http/errors.ts';
import type { Dispatch, DownstreamConnection } from '../http/exchange.ts';
import { type HttpServerConnection, serveHttp } from '../http/server.ts';
import { socketIp } from '../net/addresses.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import { connectionRecord } from '../net/connection-record.ts';
import { originalDestination } from '../net/original-dst.ts';
import { acceptTls } from '../net/tls-server.ts';
import { isTlsSocket } from '../net/tls-socket.ts';
import { proxyTcp } from '../tcp/proxy.ts';
import type { Recorder, RequestRecord } from '../telemetry/record.ts';
import type { ConnectionContext } from './context.ts';
import { type Detection, OPAQUE } from './detect.ts';
import type { EarlyUpstream } from './early-upstream.ts';
import type { ConnectionFacts } from './filter-chain-match.ts';
import type { FirstWords } from './first-words.ts';
import { connectionLabels } from './labels.ts';
import { decideNetwork, earlyDial, factsOf, listenToBoth, type Opening } from './opening.ts';
import { clustersFor, findPlan, type OutboundPlan } from './outbound.ts';
import { listenOutside, nameOf, type OutsideChains, refuses, serviceOf } from './outside.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import type { ListenerRuntime } from './runtime.ts';
import { watchName } from './seen-name.ts';

/** How long a client of a port that is declared as HTTP is waited for before its bytes are looked at. */
const HTTP_SILENCE_MS_MAX = 60_000;

let lastId = 0;

/** An accepted connection, from its original destination to the codec or proxy that takes it over. */
export class ListenerConnection {
  private readonly context: ConnectionContext;
  private readonly runtime: ListenerRuntime;
  private readonly socket: Socket;
  private remote: SocketAddress;
  private readonly id = ++lastId;
  private destination: SocketAddress;
  private server: HttpServerConnection | undefined = undefined;
  /** Opened to hear whether the server speaks first, and not given away yet. */
  private early: EarlyUpstream | undefined = undefined;
  private retiring = false;
  private draining = false;
  private closed = false;

  constructor(context: ConnectionContext, runtime: ListenerRuntime, socket: Socket) {
    this.context = context;
    this.runtime = runtime;
    this.socket = socket;
    this.remote = { ip: socketIp(socket.remoteAddress), port: socket.remotePort ?? 0 };
    this.destination = { ip: socketIp(socket.localAddress), port: socket.localPort ?? 0 };
    const { recorder } = context.deps;
    recorder.connection(runtime.listener.direction, 1);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.closed = true;
      this.early?.close();
      recorder.connection(runtime.listener.direction, -1);
      context.onClosed(this);
    });
  }

  start(): void {
    if (this.remote.ip === '') {
      // Reset before it was accepted: rules about addresses cannot be decided, and nobody waits for an answer.
      this.context.deps.recorder.count('listener.gone_before_accept');
      this.socket.destroy();
      return;
    }
    if (this.runtime.listener.proxyProtocol) this.readProxyHeader();
    else if (this.runtime.listener.useOriginalDst) this.readOriginalDestination();
    else this.begin(undefined);
  }

  private readOriginalDestination(): void {
    const original = originalDestination(this.socket);
    if (!original.ok) {
      this.socket.destroy();
      return;
    }
    if (original.value.kind === 'direct') {
      // Forwarding it would connect the proxy to itself, again and again.
      this.context.deps.recorder.count('listener.direct_hit');
      this.refuse('NR', 'a connection to the port of the proxy itself, which nothing redirected');
      return;
    }
    this.destination = original.value.address;
    this.begin(undefined);
  }

  /** Who is in front knows both ends; nothing else is taken of a listener that expects it. */
  private readProxyHeader(): void {
    const { deps, deadlines, handshakeTimeoutMs: timeoutMs } = this.context;
    readProxyHeader(this.socket, { deadlines, nowMs: () => deps.clock.nowMs(), timeoutMs }, (header) => {
      if (this.closed) return;
      if (!header.ok) {
        deps.recorder.count('listener.proxy_protocol_failed');
        this.refuse('DPE', header.error);
        return;
      }
      const { addresses, rest } = header.value;
      if (addresses !== undefined) {
        this.remote = addresses.source;
        this.destination = addresses.destination;
      }
      this.begin(rest);
    });
  }

  private begin(bytes: Buffer | undefined): void {
    if (this.runtime.routesByDestination) {
      findPlan(this.context.deps, this.destination, (plan) => this.onDestination(plan, bytes));
    } else if (this.runtime.needsDetection) {
      this.listen(bytes, this.clientFirstMs(), 'chain', (words) => this.onDetected(words));
    } else this.onDetected({ detection: OPAQUE, bytes, speaker: 'client', early: undefined });
  }

  /** HTTP: the next response is the last. Opaque bytes go on: nothing says where one may stop. */
  retire(): void {
    this.retiring = true;
    this.server?.retire();
  }

  drain(): void {
    this.draining = true;
    this.server?.drain();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private onDestination(plan: OutboundPlan | string, bytes: Buffer | undefined): void {
    if (this.closed) return;
    if (typeof plan === 'string') {
      this.refuse('NC', plan);
      return;
    }
    const { outside } = this.runtime;
    if (plan.outside && outside !== undefined) {
      this.openOutside(outside, bytes);
      return;
    }
    switch (plan.protocol) {
      case 'http':
      case 'http2':
      case 'grpc':
        // Declared, so that a silent client is waited for, and then left to the codec and its timeouts; TLS of the
        // application's own goes through as it is.
        this.listen(bytes, HTTP_SILENCE_MS_MAX, undefined, (words) =>
          this.onPlanned(plan, words, words.detection.kind !== 'tls'),
        );
        return;
      case 'detect':
        this.listen(bytes, this.clientFirstMs(), plan, (words) =>
          this.onPlanned(plan, words, words.detection.kind === 'http1' || words.detection.kind === 'http2'),
        );
        return;
      case 'tls':
        if (!this.runtime.routesByServerName && plan.connections === undefined) break;
        this.listen(bytes, HTTP_SILENCE_MS_MAX, undefined, (words) => this.onPlanned(plan, words, false));
        return;
      case 'tcp':
        break;
    }
    this.onPlanned(plan, { detection: OPAQUE, bytes, speaker: 'client', early: undefined }, false);
  }

  private openOutside(outside: OutsideChains, bytes: Buffer | undefined): void {
    const opaque = outside.find(this.facts(OPAQUE));
    const looksAt = outside.looksAt(this.destination.port);
    listenOutside(this.socket, this.opening(), { bytes, opaque, looksAt }, (words) => {
      this.early = words?.early;
      if (this.closed) {
        this.closeEarly();
        return;
      }
      const chain = words === undefined ? opaque : outside.find(this.facts(words.detection));
      const name = nameOf(words);
      if (chain === undefined || refuses(chain)) {
        this.closeEarly();
        this.refuseOutside(name);
      } else if (words?.speaker === 'idle') this.refuse('SI', 'neither the client nor the server ever spoke');
      else if (chain.terminal.kind === 'http') {
        this.closeEarly();
        this.serve(chain, chain.terminal, this.socket, words?.bytes, undefined);
      } else this.proxy(chain.terminal, chain, this.socket, words?.bytes ?? bytes, undefined, serviceOf(chain), name);
    });
  }

  /** As Envoy does where a cluster has no endpoints. */
  private refuseOutside(name: string): void {
    this.context.deps.recorder.count('egress.refused');
    this.record('UH', 'no ExternalService is for this destination, and nothing else is let out', undefined, '', {
      destinationService: UNKNOWN_SERVICE,
      cluster: BLACKHOLE,
      authority: name,
    });
    this.socket.destroy();
  }

  private onPlanned(plan: OutboundPlan, words: FirstWords, http: boolean): void {
    // Routes of the Service itself say more than chains for what passes by.
    const named = plan.protocol === 'tls' && plan.connections === undefined ? words.detection : OPAQUE;
    const facts = this.facts(http ? { kind: 'http1', version: 'http/1.1' } : named);
    const chain = this.runtime.find(facts);
    if (chain === undefined) {
      this.refuse('NR', 'no filter chain of the listener matches the connection');
      return;
    }
    if (chain.terminal.kind === 'http') {
      this.closeEarly();
      this.serve(chain, chain.terminal, this.socket, words.bytes, undefined);
      return;
    }
    if (this.refusesOpaque(chain, facts)) return;
    const clusters = clustersFor(chain.terminal, plan, words.detection);
    if (typeof clusters === 'string') {
      this.refuse('NR', clusters);
      return;
    }
    this.proxy({ ...chain.terminal, clusters }, chain, this.socket, words.bytes, undefined, plan.service);
  }

  /** All that is known before anything was read. */
  private opening(): Opening {
    const { deps, deadlines, serverFirst, handshakeTimeoutMs } = this.context;
    const { runtime, destination } = this;
    return { deps, deadlines, serverFirst, handshakeTimeoutMs, runtime, remoteIp: this.remote.ip, destination };
  }

  /** How long the client is waited for where only it may speak: a first flight that is late is still what it is. */
  private clientFirstMs(): number {
    return Math.max(this.runtime.listener.detectTimeoutMs, this.context.handshakeTimeoutMs);
  }

  /** `server`: where opaque bytes would go, if it may be the server that speaks first. */
  private listen(
    bytes: Buffer | undefined,
    clientFirstMs: number,
    server: 'chain' | { readonly cluster: string } | undefined,
    done: (words: FirstWords) => void,
  ): void {
    const opening = this.opening();
    const opaque = server === undefined ? undefined : this.runtime.find(this.facts(OPAQUE));
    const dial = earlyDial(opening, opaque, server === 'chain' ? undefined : server?.cluster);
    const silenceMs = dial === undefined ? clientFirstMs : this.runtime.listener.detectTimeoutMs;
    listenToBoth(this.socket, opening, { bytes, dial, silenceMs, opaque }, (words) => {
      this.early = words.early;
      if (this.closed) this.closeEarly();
      else if (words.speaker === 'idle') this.refuse('SI', 'neither the client nor the server ever spoke');
      else done(words);
    });
  }

  private closeEarly(): void {
    this.early?.close();
    this.early = undefined;
  }

  private facts(detection: Detection): ConnectionFacts {
    return factsOf(this.runtime.listener, this.destination, detection);
  }

  private onDetected(found: FirstWords): void {
    const facts = this.facts(found.detection);
    const chain = this.runtime.find(facts);
    if (chain === undefined) {
      this.refuse('NR', 'no filter chain of the listener matches the connection');
      return;
    }
    if (facts.transport === 'raw_buffer' && this.refusesOpaque(chain, facts)) return;
    if (chain.tls === undefined) {
      this.onReady(chain, this.socket, found.bytes, undefined);
      return;
    }
    if (found.bytes !== undefined) this.socket.unshift(found.bytes);
    const { deps, contexts, deadlines, handshakeTimeoutMs } = this.context;
    const options = {
      tls: chain.tls,
      contexts,
      deadlines,
      handshakeTimeoutMs,
      nowMs: () => deps.clock.nowMs(),
      nowUnixMs: () => deps.clock.unixMs(),
    };
    acceptTls(this.socket, options, (accepted) => {
      if (accepted.ok) {
        this.onReady(chain, accepted.value.socket, undefined, accepted.value.peer);
        return;
      }
      deps.recorder.count('listener.tls_failed');
      this.refuse('DPE', accepted.error);
    });
  }

  private onReady(
    chain: FilterChain,
    socket: Duplex,
    bytes: Buffer | undefined,
    peer: PeerCertificateInfo | undefined,
  ): void {
    if (chain.terminal.kind === 'http') {
      this.closeEarly();
      this.serve(chain, chain.terminal, socket, bytes, peer);
    } else this.proxy(chain.terminal, chain, socket, bytes, peer, '');
  }

  private serve(
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

  private proxy(
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
    proxyTcp(socket, this.describe(chain, peer), {
      proxy: early === undefined ? terminal : { ...terminal, clusters: [{ name: early.cluster, weight: 1 }] },
      upstreams: early ?? deps.tcpUpstreams,
      destination: this.destination,
      direction: this.runtime.listener.direction,
      recorder,
      clock,
      labels: connectionLabels(deps, this.runtime.listener, { remoteIp: this.remote.ip, peer }, destinationService),
      rule,
      firstBytes,
      host,
      ...(host === '' && destinationService === UNKNOWN_SERVICE ? { watch: watchName } : {}),
    });
  }

  /** The rule that let the connection in, empty without any; undefined if it was refused, and closed. */
  private allowedBy(chain: FilterChain, socket: Duplex, peer: PeerCertificateInfo | undefined): string | undefined {
    if (chain.networkRbac.length === 0) return '';
    const decision = decideNetwork(this.opening(), chain, peer);
    if (decision.allowed) return decision.rule;
    this.record('UAEX', `denied by ${decision.rule}`, peer, decision.rule);
    // Only TLS itself: this runs inside of its handshake, and the runtime crashes when the socket below goes first.
    socket.destroy();
    return undefined;
  }

  /** Closes a connection whose bytes nobody can decide about: opaque ones, where rules are about requests. */
  private refusesOpaque(chain: FilterChain, facts: ConnectionFacts): boolean {
    if (!this.runtime.needsRequests(facts, chain)) return false;
    this.context.deps.recorder.count('listener.opaque_refused');
    this.refuse('UAEX', 'the bytes are not HTTP, and the rules of this port are about HTTP requests');
    return true;
  }

  private describe(chain: FilterChain | undefined, peer: PeerCertificateInfo | undefined): DownstreamConnection {
    return {
      id: this.id,
      remoteIp: this.remote.ip,
      remotePort: this.remote.port,
      destinationIp: this.destination.ip,
      destinationPort: this.destination.port,
      peer,
      tls: chain?.tls !== undefined,
    };
  }

  private refuse(flag: ResponseFlag, detail: string): void {
    this.record(flag, detail, undefined, '');
    this.socket.destroy();
  }

  private record(
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
