import type { Direction } from '@weft/policies/model/listener';
import type { ProxyError } from '../../http/errors.ts';
import type { DownstreamConnection } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import type { CertificateSource } from '../../identity/source.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';

const CLIENT_CERT = 'x-forwarded-client-cert';
const FORWARDED = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-real-ip',
]);

/**
 * What a field is about. CGI, WSGI and their like take `X_Forwarded_For` for `X-Forwarded-For` (RFC 3875 section
 * 4.1.18), so that it must not get past either.
 */
const subject = (lower: string): string => (lower.includes('_') ? lower.replaceAll('_', '-') : lower);
const isClientCert = (lower: string): boolean => subject(lower) === CLIENT_CERT;
const isForwarded = (lower: string): boolean => {
  const about = subject(lower);
  return about === CLIENT_CERT || FORWARDED.has(about);
};

/**
 * Who may say who the client is.
 *
 * Outbound, the application speaks for itself: the forwarded headers that it passes on are its own, but it may not
 * claim an identity, so `X-Forwarded-Client-Cert` goes.
 *
 * Inbound, from a mesh peer: forwarded headers stay, and `X-Forwarded-Client-Cert` is replaced by the peer's verified
 * identity (Envoy's SANITIZE_SET). From anybody else with `trustedHops` 0: all of them go, and are made anew of what
 * the connection shows. With trusted proxies in front they stay, and this hop is appended (RFC 7239 section 5.2's order).
 */
export class HeadersFilter implements RequestFilter {
  private readonly direction: Direction;
  private readonly trustedHops: number;
  private readonly identity: CertificateSource;
  /** Of a connection, for this identity; rotation renews certificates, not names. */
  private readonly clientCerts = new WeakMap<DownstreamConnection, string>();

  constructor(direction: Direction, trustedHops: number, identity: CertificateSource) {
    this.direction = direction;
    this.trustedHops = trustedHops;
    this.identity = identity;
  }

  onRequest(context: RequestContext): ProxyError | undefined {
    const { head, connection } = context;
    const { headers } = head;
    const mesh = connection.peer?.spiffeId !== undefined;
    const believed = this.direction === 'outbound' || mesh || this.trustedHops > 0;
    headers.removeWhere(believed ? isClientCert : isForwarded);
    if (this.direction === 'outbound') return undefined;
    if (mesh) {
      headers.append('X-Forwarded-Client-Cert', this.clientCert(connection));
    } else if (this.trustedHops === 0) {
      headers.append('X-Forwarded-For', connection.remoteIp);
    } else {
      appendHop(headers, connection.remoteIp);
    }
    // Of the connection, not of an absolute target, which says what the client likes. Mesh TLS is not seen by applications.
    const scheme = connection.tls && connection.peer === undefined ? 'https' : 'http';
    if (!headers.has('x-forwarded-proto')) headers.append('X-Forwarded-Proto', scheme);
    return undefined;
  }

  private clientCert(connection: DownstreamConnection): string {
    let value = this.clientCerts.get(connection);
    if (value === undefined) {
      const own = this.identity.own();
      const by = own === undefined ? '' : `By=${own.spiffeId};`;
      const { peer } = connection;
      value = `${by}Hash=${peer?.fingerprint.toLowerCase() ?? ''};URI=${peer?.spiffeId ?? ''}`;
      this.clientCerts.set(connection, value);
    }
    return value;
  }
}

function appendHop(headers: Headers, ip: string): void {
  const before = headers.combined('x-forwarded-for');
  headers.set('X-Forwarded-For', before === undefined ? ip : `${before}, ${ip}`);
}
