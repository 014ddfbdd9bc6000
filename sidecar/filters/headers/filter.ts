import type { Direction } from '@weft/policies/model/listener';
import type { ProxyError } from '../../http/errors.ts';
import type { DownstreamConnection } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import type { CertificateSource } from '../../identity/source.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';

const FORWARDED = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-real-ip',
] as const;

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
    headers.remove('x-forwarded-client-cert');
    if (this.direction === 'outbound') return undefined;
    if (connection.peer?.spiffeId !== undefined) {
      headers.append('X-Forwarded-Client-Cert', this.clientCert(connection));
    } else if (this.trustedHops === 0) {
      for (const name of FORWARDED) headers.remove(name);
      headers.append('X-Forwarded-For', connection.remoteIp);
    } else {
      appendHop(headers, connection.remoteIp);
    }
    if (!headers.has('x-forwarded-proto')) headers.append('X-Forwarded-Proto', head.scheme);
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
