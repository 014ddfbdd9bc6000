import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BLACKHOLE, UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import type { FilterChain } from '@weft/policies/model/listener';
import { socketIp } from '../net/addresses.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import { originalDestination } from '../net/original-dst.ts';
import { acceptTls } from '../net/tls-server.ts';
import type { ConnectionContext } from './context.ts';
import { type Detection, OPAQUE } from './detect.ts';
import type { ConnectionFacts } from './filter-chain-match.ts';
import type { FirstWords } from './first-words.ts';
import { type Ends, Handover, openingOf } from './handover.ts';
import { earlyDial, factsOf, listenToBoth, type Opening } from './opening.ts';
import { clustersFor, findPlan, type OutboundPlan } from './outbound.ts';
import { listenOutside, nameOf, type OutsideChains, refuses, serviceOf } from './outside.ts';
import { countPlaintext, countRefused, explain, handshakeReason } from './plaintext.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import type { ListenerRuntime } from './runtime.ts';

/** How long a client of a port that is declared as HTTP is waited for before its bytes are looked at. */
const HTTP_SILENCE_MS_MAX = 60_000;

/** An accepted connection, from its original destination to the codec or proxy that takes it over. */
export class ListenerConnection {
  private readonly context: ConnectionContext;
  private readonly runtime: ListenerRuntime;
  private readonly socket: Socket;
  private readonly ends: Ends;
  private readonly handover: Handover;
  private closed = false;

  constructor(context: ConnectionContext, runtime: ListenerRuntime, socket: Socket) {
    this.context = context;
    this.runtime = runtime;
    this.socket = socket;
    this.ends = {
      remote: { ip: socketIp(socket.remoteAddress), port: socket.remotePort ?? 0 },
      destination: { ip: socketIp(socket.localAddress), port: socket.localPort ?? 0 },
    };
    this.handover = new Handover(context, runtime, socket, this.ends);
    const { recorder } = context.deps;
    recorder.connection(runtime.listener.direction, 1);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.closed = true;
      this.handover.closeEarly();
      recorder.connection(runtime.listener.direction, -1);
      context.onClosed(this);
    });
  }

  start(): void {
    if (this.ends.remote.ip === '') {
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
      this.handover.refuse('NR', 'a connection to the port of the proxy itself, which nothing redirected');
      return;
    }
    this.ends.destination = original.value.address;
    this.begin(undefined);
  }

  /** Who is in front knows both ends; nothing else is taken of a listener that expects it. */
  private readProxyHeader(): void {
    const { deps, deadlines, handshakeTimeoutMs: timeoutMs } = this.context;
    readProxyHeader(this.socket, { deadlines, nowMs: () => deps.clock.nowMs(), timeoutMs }, (header) => {
      if (this.closed) return;
      if (!header.ok) {
        deps.recorder.count('listener.proxy_protocol_failed');
        this.handover.refuse('DPE', header.error);
        return;
      }
      const { addresses, rest } = header.value;
      if (addresses !== undefined) {
        this.ends.remote = addresses.source;
        this.ends.destination = addresses.destination;
      }
      this.begin(rest);
    });
  }

  private begin(bytes: Buffer | undefined): void {
    if (this.runtime.routesByDestination) {
      findPlan(this.context.deps, this.ends.destination, (plan) => this.onDestination(plan, bytes));
    } else if (this.runtime.needsDetection || this.runtime.listener.closesUndetected === true) {
      this.listen(bytes, this.clientFirstMs(), 'chain', (words) => this.onDetected(words));
    } else this.onDetected({ detection: OPAQUE, bytes, speaker: 'client', early: undefined });
  }

  /** HTTP: the next response is the last. Opaque bytes go on: nothing says where one may stop. */
  retire(): void {
    this.handover.retire();
  }

  /** Rules or trust have changed since it was let in. */
  recheck(): void {
    if (!this.closed) this.handover.recheck();
  }

  drain(): void {
    this.handover.drain();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private onDestination(plan: OutboundPlan | string, bytes: Buffer | undefined): void {
    if (this.closed) return;
    if (typeof plan === 'string') {
      this.handover.refuse('NC', plan);
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
    const looksAt = outside.looksAt(this.ends.destination.port);
    listenOutside(this.socket, this.opening(), { bytes, opaque, looksAt }, (words) => {
      this.handover.early = words?.early;
      if (this.closed) {
        this.handover.closeEarly();
        return;
      }
      const chain = words === undefined ? opaque : outside.find(this.facts(words.detection));
      const name = nameOf(words);
      if (chain === undefined || refuses(chain)) {
        this.handover.closeEarly();
        this.refuseOutside(name);
      } else if (words?.speaker === 'idle') this.handover.refuse('SI', 'neither the client nor the server ever spoke');
      else if (chain.terminal.kind === 'http') {
        this.handover.closeEarly();
        this.handover.serve(chain, chain.terminal, this.socket, words?.bytes, undefined);
      } else
        this.handover.proxy(
          chain.terminal,
          chain,
          this.socket,
          words?.bytes ?? bytes,
          undefined,
          serviceOf(chain),
          name,
        );
    });
  }

  /** As Envoy does where a cluster has no endpoints. */
  private refuseOutside(name: string): void {
    this.context.deps.recorder.count('egress.refused');
    this.handover.record(
      'UH',
      'no ExternalService is for this destination, and nothing else is let out',
      undefined,
      '',
      {
        destinationService: UNKNOWN_SERVICE,
        cluster: BLACKHOLE,
        authority: name,
      },
    );
    this.socket.destroy();
  }

  private onPlanned(plan: OutboundPlan, words: FirstWords, http: boolean): void {
    // Routes of the Service itself say more than chains for what passes by.
    const named = plan.protocol === 'tls' && plan.connections === undefined ? words.detection : OPAQUE;
    const facts = this.facts(http ? { kind: 'http1', version: 'http/1.1' } : named);
    const chain = this.runtime.find(facts);
    this.handover.facts = facts;
    if (chain === undefined) {
      this.handover.refuse('NR', 'no filter chain of the listener matches the connection');
      return;
    }
    if (chain.terminal.kind === 'http') {
      this.handover.closeEarly();
      this.handover.serve(chain, chain.terminal, this.socket, words.bytes, undefined);
      return;
    }
    if (this.handover.refusesOpaque(chain, facts)) return;
    const clusters = clustersFor(chain.terminal, plan, words.detection);
    if (typeof clusters === 'string') {
      this.handover.refuse('NR', clusters);
      return;
    }
    this.handover.proxy({ ...chain.terminal, clusters }, chain, this.socket, words.bytes, undefined, plan.service);
  }

  /** All that is known before anything was read. */
  private opening(): Opening {
    return openingOf(this.context, this.runtime, this.ends);
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
      this.handover.early = words.early;
      if (this.closed) this.handover.closeEarly();
      else if (words.speaker === 'idle') this.handover.refuse('SI', 'neither the client nor the server ever spoke');
      else if (words.speaker === 'late') this.handover.refuse('SI', 'the client did not say in time what it is about');
      else done(words);
    });
  }

  private facts(detection: Detection): ConnectionFacts {
    return factsOf(this.runtime.listener, this.ends.destination, detection);
  }

  private onDetected(found: FirstWords): void {
    const facts = this.facts(found.detection);
    const chain = this.runtime.find(facts);
    this.handover.facts = facts;
    if (chain === undefined) {
      this.handover.refuse('NR', this.noChain(facts));
      return;
    }
    if (facts.transport === 'raw_buffer' && this.handover.refusesOpaque(chain, facts)) return;
    if (chain.tls === undefined) {
      countPlaintext(this.context.deps, this.between(), facts.transport === 'tls');
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
      countRefused(deps, this.between(), handshakeReason(accepted.error));
      this.handover.refuse('DPE', accepted.error);
    });
  }

  /** Whom the connection is between, for what is counted of it. */
  private between() {
    return { listener: this.runtime.listener, remoteIp: this.ends.remote.ip, destination: this.ends.destination };
  }

  /** Why it is refused, in words of what the port takes. */
  private noChain(facts: ConnectionFacts): string {
    if (!this.runtime.endsTls(this.ends.destination.port))
      return 'no filter chain of the listener matches the connection';
    const reason = facts.transport === 'tls' ? 'alpn' : 'plaintext';
    countRefused(this.context.deps, this.between(), reason);
    return explain[reason];
  }

  private onReady(
    chain: FilterChain,
    socket: Duplex,
    bytes: Buffer | undefined,
    peer: PeerCertificateInfo | undefined,
  ): void {
    if (chain.terminal.kind === 'http') {
      this.handover.closeEarly();
      this.handover.serve(chain, chain.terminal, socket, bytes, peer);
    } else this.handover.proxy(chain.terminal, chain, socket, bytes, peer, '');
  }
}
