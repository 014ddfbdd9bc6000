import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { DownstreamTls } from '@weft/policies/model/tls';
import type { PeerTrust } from '../identity/peer-trust.ts';
import { alpnList } from './alpn.ts';
import type { PeerCertificateInfo } from './connection.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import { peerOf, refusePeer } from './peer.ts';
import type { ByServerName } from './server-names.ts';
import type { TlsContexts } from './tls-contexts.ts';
import { closeOnTlsError } from './tls-socket.ts';
import { waitingAtMost } from './watermark.ts';

interface AcceptedTls {
  readonly socket: TLSSocket;
  readonly alpn: string;
  readonly peer: PeerCertificateInfo | undefined;
}

interface TlsAcceptOptions {
  readonly tls: DownstreamTls;
  readonly contexts: TlsContexts;
  readonly deadlines: Deadlines;
  readonly nowMs: () => number;
  readonly nowUnixMs: () => number;
  readonly handshakeTimeoutMs: number;
}

/**
 * What OpenSSL found of the peer's chain. The runtime leaves the decision to whoever owns a server-side socket and
 * offers it only on the handle; without it nobody would be verified, so that its absence is an error.
 */
function chainError(socket: TLSSocket): string | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) return 'the connection was closed';
  const verify: unknown = Reflect.get(handle, 'verifyError');
  if (typeof verify !== 'function') return 'the runtime does not tell whether the chain was verified';
  const error: unknown = Reflect.apply(verify, handle, []);
  if (error === null || error === undefined) return undefined;
  return errorText(error);
}

function verifiedPeer(
  socket: TLSSocket,
  tls: DownstreamTls,
  trust: PeerTrust | undefined,
  nowUnixMs: number,
): Result<PeerCertificateInfo | undefined, string> {
  const peer = peerOf(socket, nowUnixMs);
  if (!peer.ok) return peer;
  if (peer.value === undefined) {
    return tls.requireClientCertificate ? err('the client sent no certificate') : ok(undefined);
  }
  // A certificate that nothing verifies says nothing about who sent it.
  if (tls.validation === undefined) return ok(undefined);
  const chain = chainError(socket);
  if (chain !== undefined) return err(`the client certificate is not trusted: ${chain}`);
  const refused =
    trust?.refusalOfChain(peer.value.info, peer.value.certificate) ?? refusePeer(peer.value, tls.validation);
  return refused === undefined ? ok(peer.value.info) : err(refused);
}

/** A name that no certificate has gets the first one, as on Envoy: whether that will do is for the client to say. */
const byName =
  (names: ByServerName<SecureContext>) =>
  (name: string, choose: (error: Error | null, context?: SecureContext) => void): void =>
    choose(null, names.find(name));

/** Handshakes on an accepted socket whose first bytes may have been read and put back; calls back exactly once. */
export function acceptTls(
  raw: Socket,
  options: TlsAcceptOptions,
  done: (result: Result<AcceptedTls, string>) => void,
): { destroy(): void } {
  const { tls, contexts, deadlines } = options;
  const active = contexts.for(tls);
  if (!active.ok) {
    done(active);
    return { destroy: () => raw.destroy() };
  }
  const protocols = alpnList(tls.alpn);
  if (protocols.length === 0 && tls.alpn.length > 0) {
    // Without any, the runtime would take every client.
    done(err('no client can ask for the protocols of the TLS context: their names are empty or too long'));
    return { destroy: () => raw.destroy() };
  }
  const { context, names } = active.value;
  const socket = new TLSSocket(raw, {
    isServer: true,
    ...waitingAtMost(raw.writableHighWaterMark),
    secureContext: context,
    requestCert: tls.requireClientCertificate || tls.validation !== undefined,
    rejectUnauthorized: tls.requireClientCertificate,
    // RFC 7301 section 3.2: no protocol in common is a fatal alert; without any of our own all are welcome.
    ...(protocols.length === 0 ? {} : { ALPNProtocols: protocols }),
    ...(names === undefined ? {} : { SNICallback: byName(names) }),
  });
  let over = false;
  const finish = (result: Result<AcceptedTls, string>): void => {
    if (over) return;
    over = true;
    deadlines.remove(timer);
    if (!result.ok) socket.destroy();
    done(result);
  };
  const timer: Timed = {
    deadlineMs: options.nowMs() + options.handshakeTimeoutMs,
    onDeadline: () => finish(err(`the TLS handshake took longer than ${options.handshakeTimeoutMs} ms`)),
  };
  deadlines.add(timer);
  socket.on('error', (error: NodeJS.ErrnoException) => finish(err(`TLS handshake: ${error.code ?? error.message}`)));
  socket.on('close', () => finish(err('the client closed the connection during the TLS handshake')));
  socket.once('secure', () => {
    const peer = verifiedPeer(socket, tls, contexts.trustFor(tls.validation), options.nowUnixMs());
    if (!peer.ok) finish(peer);
    else {
      closeOnTlsError(socket);
      finish(ok({ socket, alpn: socket.alpnProtocol || '', peer: peer.value }));
    }
  });
  return { destroy: () => socket.destroy() };
}
