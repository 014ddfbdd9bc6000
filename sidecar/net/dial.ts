import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { SocketAddress } from '@weft/policies/model/address';
import type { UpstreamTls } from '@weft/policies/model/tls';
import type { TcpKeepAlive } from '@weft/policies/model/upstream-connections';
import type { ProxyError } from '../http/errors.ts';
import type { PeerTrust } from '../identity/peer-trust.ts';
import type { CertificateSource } from '../identity/source.ts';
import type { Recorder } from '../telemetry/record.ts';
import { socketIp } from './addresses.ts';
import { alpnList } from './alpn.ts';
import type { Dial, DialRequest, PeerCertificateInfo, UpstreamSecurity, UpstreamTransport } from './connection.ts';
import { hostPort } from './connection-record.ts';
import { type PeerCertificate, peerOf, refusePeer, rememberResumed } from './peer.ts';
import { type ResumableSession, SessionCache } from './session-cache.ts';
import { type ActiveContext, TlsContexts } from './tls-contexts.ts';
import { closeOnTlsError } from './tls-socket.ts';
import { waitingAtMost } from './watermark.ts';

interface DialDeps {
  readonly certificates: CertificateSource;
  readonly clock: Clock;
  readonly recorder: Recorder;
}

type SecureUpstream = Exclude<UpstreamSecurity, { kind: 'plaintext' }>;
type DialResult = { readonly transport: UpstreamTransport } | { readonly error: ProxyError };

export function createDial(deps: DialDeps): Dial {
  const dialer = new Dialer(deps);
  return (request, done) => new Dialling(dialer, request, done);
}

class Dialer {
  readonly contexts: TlsContexts;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly sessions: SessionCache;
  private readonly contextIds = new WeakMap<UpstreamTls, number>();
  private lastContextId = 0;

  constructor(deps: DialDeps) {
    this.contexts = new TlsContexts(deps.certificates, deps);
    this.clock = deps.clock;
    this.recorder = deps.recorder;
    this.sessions = new SessionCache(deps.clock);
  }

  /** Whom a session may be used with again: the same peer at the same address, verified by the same rules and trust. */
  sessionKey(security: SecureUpstream, generation: number, { ip, port }: SocketAddress): string {
    if (security.kind === 'mesh') return `mesh ${generation} ${security.spiffeId} ${hostPort(ip, port)}`;
    let id = this.contextIds.get(security.tls);
    if (id === undefined) {
      id = ++this.lastContextId;
      this.contextIds.set(security.tls, id);
    }
    return `tls ${generation} ${id} ${hostPort(ip, port)}`;
  }
}

const nothing = (): undefined => undefined;

class Dialling {
  private readonly dialer: Dialer;
  private readonly address: SocketAddress;
  private readonly security: UpstreamSecurity;
  private readonly done: (result: DialResult) => void;
  private readonly timeoutMs: number;
  private readonly tcpKeepAlive: TcpKeepAlive | undefined;
  private readonly bufferBytesMax: number | undefined;
  private readonly stopTimer: () => void;
  private socket: Socket | undefined = undefined;
  private over = false;
  private resumed: ResumableSession | undefined = undefined;
  private sessionKey = '';

  constructor(dialer: Dialer, request: DialRequest, done: (result: DialResult) => void) {
    this.dialer = dialer;
    this.address = request.endpoint.address;
    this.security = request.security;
    this.timeoutMs = request.timeoutMs;
    this.tcpKeepAlive = request.tcpKeepAlive;
    this.bufferBytesMax = request.bufferBytesMax;
    this.done = done;
    this.stopTimer = dialer.clock.after(request.timeoutMs, () => this.onTimeout());
    this.start();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.stopTimer();
    this.socket?.destroy();
  }

  private start(): void {
    const { ip, port } = this.address;
    const security = this.security;
    if (security.kind === 'plaintext') {
      const socket = connectTcp({
        host: ip,
        port,
        noDelay: true,
        allowHalfOpen: true,
        ...waitingAtMost(this.bufferBytesMax),
      });
      this.watch(socket);
      socket.once('connect', () => this.succeed(socket, '', undefined));
      return;
    }
    const options = this.tlsOptions(security);
    if (!options.ok) {
      // Never from within the call: the caller does not hold the result yet.
      process.nextTick(() => this.fail(options.error, 'no'));
      return;
    }
    // The type of ConnectionOptions lacks what node:net takes of the same object.
    const connection = {
      ...options.value,
      host: ip,
      port,
      allowHalfOpen: true,
      noDelay: true,
      ...waitingAtMost(this.bufferBytesMax),
    };
    const socket = connectTls(connection);
    // The runtime makes objects of the peer's whole chain for `checkServerIdentity`, which looks at nothing here.
    Reflect.set(socket, 'getPeerCertificate', nothing);
    this.watch(socket);
    socket.once('secureConnect', () => this.onSecure(socket, security));
  }

  private tlsOptions(security: SecureUpstream): Result<ConnectionOptions, string> {
    const mesh = security.kind === 'mesh';
    const active: Result<ActiveContext, string> = mesh
      ? this.dialer.contexts.own()
      : this.dialer.contexts.for(security.tls);
    if (!active.ok) return active;
    this.sessionKey = this.dialer.sessionKey(security, active.value.generation, this.address);
    this.resumed = this.dialer.sessions.find(this.sessionKey);
    const alpn = mesh ? security.alpn : security.tls.alpn;
    const sni = mesh ? '' : security.tls.sni;
    return ok({
      secureContext: active.value.context,
      ...(alpn.length === 0 ? {} : { ALPNProtocols: alpnList(alpn) }),
      rejectUnauthorized: mesh || security.tls.validation !== undefined,
      // The chain is verified by the runtime; whom it names is decided below, for resumed sessions too.
      checkServerIdentity: nothing,
      ...(sni === '' ? {} : { servername: sni }),
      ...(this.resumed === undefined ? {} : { session: this.resumed.session }),
    });
  }

  private watch(socket: Socket): void {
    this.socket = socket;
    if (this.tcpKeepAlive !== undefined) socket.once('connect', () => keepAlive(socket, this.tcpKeepAlive));
    socket.on('error', (error: NodeJS.ErrnoException) => this.fail(causeOf(error), 'yes'));
    socket.on('close', () => this.fail('closed by the peer', 'yes'));
  }

  private onSecure(socket: TLSSocket, security: SecureUpstream): void {
    const peer = this.identify(socket, security);
    if (!peer.ok) {
      this.dialer.recorder.count('dial.identity_mismatch');
      this.fail(peer.error, 'no');
      return;
    }
    if (security.kind === 'mesh' && !security.alpn.includes(socket.alpnProtocol || '')) {
      this.fail(`the peer chose none of the protocols [${security.alpn.join(', ')}]`, 'no');
      return;
    }
    const verified = peer.value;
    // Before TLS 1.3 a session is not bound to the handshake that made it unless both sides add to it (RFC 7627).
    if (verified !== undefined && socket.getProtocol() === 'TLSv1.3') {
      const { sessionKey } = this;
      const { sessions } = this.dialer;
      socket.on('session', (session: Buffer) => sessions.keep(sessionKey, { session, peer: verified }));
    }
    closeOnTlsError(socket);
    this.succeed(socket, socket.alpnProtocol || '', verified);
  }

  /** Who the peer is, if it may be: exactly the expected SPIFFE ID in the mesh, the configured names elsewhere. */
  private identify(socket: TLSSocket, security: SecureUpstream): Result<PeerCertificateInfo | undefined, string> {
    if (this.resumed !== undefined && socket.isSessionReused()) {
      rememberResumed(socket, this.resumed.peer);
      return ok(this.resumed.peer);
    }
    const peer = peerOf(socket, this.dialer.clock.unixMs());
    if (!peer.ok) return peer;
    if (security.kind === 'mesh') return checkSpiffeId(peer.value, security.spiffeId, this.dialer.contexts.meshTrust());
    // Nothing is known of a peer that nothing verified.
    if (security.tls.validation === undefined) return ok(undefined);
    const trust = this.dialer.contexts.trustFor(security.tls.validation);
    const refused =
      (peer.value && trust?.refusalOfChain(peer.value.info, peer.value.certificate)) ??
      refusePeer(peer.value, security.tls.validation);
    return refused === undefined ? ok(peer.value?.info) : err(refused);
  }

  private succeed(socket: Socket, alpn: string, peer: PeerCertificateInfo | undefined): void {
    if (this.over) return;
    this.over = true;
    this.stopTimer();
    this.done({ transport: { socket, alpn, peer, localIp: socketIp(socket.localAddress) } });
  }

  private onTimeout(): void {
    this.dialer.recorder.count('dial.timeout');
    this.fail(`not established within ${this.timeoutMs} ms`, 'yes');
  }

  private fail(cause: string, retry: 'yes' | 'no'): void {
    if (this.over) return;
    this.over = true;
    this.stopTimer();
    this.socket?.destroy();
    if (this.resumed !== undefined) this.dialer.sessions.drop(this.sessionKey, this.resumed);
    const detail = `connection to ${hostPort(this.address.ip, this.address.port)} failed: ${cause}`;
    this.done({ error: { source: 'upstream', flag: 'UF', status: 503, retry, detail } });
  }
}

/** RFC 9293 section 3.8.4. */
function keepAlive(socket: Socket, settings: TcpKeepAlive | undefined): void {
  if (settings === undefined) return;
  const { idleMs, intervalMs, probesMax } = settings;
  socket.setKeepAlive({ enable: true, initialDelay: idleMs, interval: intervalMs, count: probesMax });
}

function checkSpiffeId(
  peer: PeerCertificate | undefined,
  expected: string,
  trust: PeerTrust | undefined,
): Result<PeerCertificateInfo | undefined, string> {
  const actual = peer?.info.spiffeId;
  if (peer !== undefined && actual !== undefined && (actual === expected || trust?.isSame(actual, expected) === true)) {
    const refused = trust?.refusalOfChain(peer.info, peer.certificate);
    return refused === undefined ? ok(peer.info) : err(refused);
  }
  return err(`the peer's identity is ${actual ?? 'no SPIFFE ID'}, expected ${expected}`);
}

const CAUSES = new Map<string, string>([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset by the peer'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'network unreachable'],
  ['ETIMEDOUT', 'timed out'],
  ['EADDRNOTAVAIL', 'no local port or address left'],
  ['EMFILE', 'too many open files'],
]);

function causeOf(error: NodeJS.ErrnoException): string {
  const code = error.code ?? '';
  const known = CAUSES.get(code);
  if (known !== undefined) return known;
  // OpenSSL's text holds the alert, but begins with thread and error numbers.
  const reason: unknown = Reflect.get(error, 'reason');
  if (typeof reason === 'string') return `TLS: ${reason}`;
  return code === '' ? error.message : `${error.message} (${code})`;
}
