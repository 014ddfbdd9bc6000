import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SocketAddress } from '@weft/policies/model/address';
import type { FilterChain, HttpConnectionManager, TcpProxy } from '@weft/policies/model/listener';
import type { ResponseFlag } from '../http/errors.ts';
import type { Dispatch, DownstreamConnection } from '../http/exchange.ts';
import { serveHttp1 } from '../http/h1/server.ts';
import type { Http1ServerConnection } from '../http/h1/server-options.ts';
import { socketIp } from '../net/addresses.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import { connectionRecord } from '../net/connection-record.ts';
import type { Deadlines } from '../net/deadlines.ts';
import { originalDestination } from '../net/original-dst.ts';
import type { TlsContexts } from '../net/tls-contexts.ts';
import { acceptTls } from '../net/tls-server.ts';
import { proxyTcp } from '../tcp/proxy.ts';
import type { ListenerDeps } from './deps.ts';
import { type Detection, OPAQUE, type Sniffed, sniff } from './detect.ts';
import type { ConnectionFacts } from './filter-chain-match.ts';
import { connectionLabels } from './labels.ts';
import { type OutboundPlan, planOutbound } from './outbound.ts';
import type { ListenerRuntime } from './runtime.ts';

export interface ConnectionContext {
  readonly deps: ListenerDeps;
  readonly contexts: TlsContexts;
  readonly deadlines: Deadlines;
  readonly handshakeTimeoutMs: number;
  /** The newest version of the listener; undefined when it was removed. */
  current(): ListenerRuntime | undefined;
  onClosed(connection: ListenerConnection): void;
}

/** How long a client of a port that is declared as HTTP is waited for before its bytes are looked at. */
const HTTP_SILENCE_MS_MAX = 60_000;

let lastId = 0;

/** An accepted connection, from its original destination to the codec or proxy that takes it over. */
export class ListenerConnection {
  private readonly context: ConnectionContext;
  private readonly runtime: ListenerRuntime;
  private readonly socket: Socket;
  private readonly remote: SocketAddress;
  private readonly id = ++lastId;
  private destination: SocketAddress;
  private server: Http1ServerConnection | undefined = undefined;
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
      recorder.connection(runtime.listener.direction, -1);
      context.onClosed(this);
    });
  }

  start(): void {
    const { listener } = this.runtime;
    if (this.remote.ip === '') {
      // Reset before it was accepted: rules about addresses cannot be decided, and nobody waits for an answer.
      this.context.deps.recorder.count('listener.gone_before_accept');
      this.socket.destroy();
      return;
    }
    if (listener.useOriginalDst) {
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
    }
    if (this.runtime.routesByDestination) this.lookUpDestination();
    else if (this.runtime.needsDetection) this.sniff(this.silenceMs(), (found) => this.onDetected(found));
    else this.onDetected({ detection: OPAQUE, bytes: undefined, timedOut: false });
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

  private lookUpDestination(): void {
    const { source, onDemandWaitMsMax, recorder } = this.context.deps;
    const lookup = source.lookup('address', this.destination.ip);
    if (lookup.state !== 'pending') {
      this.onDestination(planOutbound(lookup.state === 'found' ? lookup.value : undefined, this.destination));
      return;
    }
    const waits = source.wait('address', this.destination.ip, onDemandWaitMsMax, (late) => {
      if (this.closed) return;
      if (late.state === 'pending') {
        recorder.count('on-demand.timeout');
        this.refuse('NC', `what ${this.destination.ip} stands for was not known within ${onDemandWaitMsMax} ms`);
        return;
      }
      this.onDestination(planOutbound(late.state === 'found' ? late.value : undefined, this.destination));
    });
    if (waits) return;
    recorder.count('on-demand.overflow');
    this.refuse('NC', 'too many connections wait for configuration');
  }

  private onDestination(plan: OutboundPlan | undefined): void {
    if (plan === undefined) {
      this.refuse('NC', `the Service at ${this.destination.ip} has no port ${this.destination.port}`);
      return;
    }
    switch (plan.protocol) {
      case 'http':
        // Declared, so that a silent client is waited for, and then left to the codec and its timeouts; HTTP/2 without the codec for it goes through as it is.
        this.sniff(HTTP_SILENCE_MS_MAX, (found) => this.onPlanned(plan, found, found.detection.kind !== 'http2'));
        return;
      case 'detect':
        this.sniff(this.runtime.listener.detectTimeoutMs, (found) =>
          this.onPlanned(plan, found, found.detection.kind === 'http1'),
        );
        return;
      case 'tcp':
      case 'tls':
      case 'http2':
      case 'grpc':
        this.onPlanned(plan, { detection: OPAQUE, bytes: undefined, timedOut: false }, false);
        return;
    }
  }

  private onPlanned(plan: OutboundPlan, found: Sniffed, http: boolean): void {
    const chain = this.runtime.find(this.facts(http ? { kind: 'http1', version: 'http/1.1' } : OPAQUE));
    if (chain === undefined) {
      this.refuse('NR', 'no filter chain of the listener matches the connection');
      return;
    }
    if (chain.terminal.kind === 'http') {
      this.serve(chain, chain.terminal, this.socket, found.bytes, undefined);
      return;
    }
    const clusters = [{ name: plan.cluster, weight: 1 }];
    this.proxy({ ...chain.terminal, clusters }, chain, this.socket, found.bytes, undefined, plan.service);
  }

  private sniff(timeoutMs: number, done: (found: Sniffed) => void): void {
    const { clock, recorder } = this.context.deps;
    const { deadlines } = this.context;
    sniff(this.socket, { deadlines, nowMs: () => clock.nowMs(), timeoutMs }, (found) => {
      if (found.timedOut) recorder.count('listener.detect_timeout');
      if (!this.closed) done(found);
    });
  }

  /**
   * How long a silent client is waited for. Where the port is for opaque bytes its server may be the one to speak first;
   * elsewhere the client does, and a first flight that is late must not be taken for something else.
   */
  private silenceMs(): number {
    const { detectTimeoutMs } = this.runtime.listener;
    if (this.runtime.find(this.facts(OPAQUE))?.terminal.kind === 'tcp') return detectTimeoutMs;
    return Math.max(detectTimeoutMs, this.context.handshakeTimeoutMs);
  }

  private facts(detection: Detection): ConnectionFacts {
    const { detectTls, detectHttp } = this.runtime.listener;
    const facts = { destinationIp: this.destination.ip, destinationPort: this.destination.port };
    if (detection.kind === 'tls' && detectTls) {
      const { serverName, alpn } = detection;
      return { ...facts, serverName, transport: 'tls', applicationProtocols: alpn };
    }
    const protocols = detection.kind === 'http1' ? [detection.version] : detection.kind === 'http2' ? ['h2c'] : [];
    return { ...facts, serverName: '', transport: 'raw_buffer', applicationProtocols: detectHttp ? protocols : [] };
  }

  private onDetected(found: Sniffed): void {
    const chain = this.runtime.find(this.facts(found.detection));
    if (chain === undefined) {
      this.refuse('NR', 'no filter chain of the listener matches the connection');
      return;
    }
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
    if (chain.terminal.kind === 'http') this.serve(chain, chain.terminal, socket, bytes, peer);
    else this.proxy(chain.terminal, chain, socket, bytes, peer, '');
  }

  private serve(
    chain: FilterChain,
    hcm: HttpConnectionManager,
    socket: Duplex,
    firstBytes: Buffer | undefined,
    peer: PeerCertificateInfo | undefined,
  ): void {
    if (this.allowedBy(chain, socket, peer) === undefined) return;
    const { recorder, clock } = this.context.deps;
    const server = serveHttp1(socket, this.describe(chain, peer), {
      limits: hcm.limits,
      dispatch: this.dispatcherOf(chain, hcm),
      clock,
      recorder,
      direction: this.runtime.listener.direction,
      // TLS with client certificates is the mesh's: the application behind the client asked for plain HTTP.
      scheme: chain.tls !== undefined && !chain.tls.requireClientCertificate ? 'https' : 'http',
      ...(firstBytes === undefined ? {} : { firstBytes }),
    });
    this.server = server;
    if (this.retiring) server.retire();
    if (this.draining) server.drain();
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
  ): void {
    const rule = this.allowedBy(chain, socket, peer);
    if (rule === undefined) return;
    const { deps } = this.context;
    const { recorder, clock, tcpUpstreams } = deps;
    proxyTcp(socket, this.describe(chain, peer), {
      proxy: terminal,
      upstreams: tcpUpstreams,
      destination: this.destination,
      direction: this.runtime.listener.direction,
      recorder,
      clock,
      labels: connectionLabels(deps, this.runtime.listener, { remoteIp: this.remote.ip, peer }, destinationService),
      rule,
      firstBytes,
    });
  }

  /** The rule that let the connection in, empty without any; undefined if it was refused, and closed. */
  private allowedBy(chain: FilterChain, socket: Duplex, peer: PeerCertificateInfo | undefined): string | undefined {
    if (chain.networkRbac.length === 0) return '';
    const { ip: destinationIp, port: destinationPort } = this.destination;
    const subject = { remoteIp: this.remote.ip, destinationIp, destinationPort, peer };
    const decision = this.context.deps.evaluateNetwork(chain.networkRbac, subject);
    if (decision.allowed) return decision.rule;
    this.record('UAEX', `denied by ${decision.rule}`, peer, decision.rule);
    // Only TLS itself: this runs inside of its handshake, and the runtime crashes when the socket below goes first.
    socket.destroy();
    return undefined;
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

  private record(flag: ResponseFlag, detail: string, peer: PeerCertificateInfo | undefined, rule: string): void {
    const { deps } = this.context;
    const { recorder, clock } = deps;
    const { listener } = this.runtime;
    const connection = this.describe(undefined, peer);
    const record = connectionRecord(listener.direction, 'tcp', connection, clock.unixMs());
    Object.assign(record, connectionLabels(deps, listener, connection, ''));
    record.flag = flag;
    record.detail = detail;
    record.rule = rule;
    recorder.record(record);
  }
}
