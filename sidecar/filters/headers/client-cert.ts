import type { HttpEdge } from '@weft/policies/model/edge';
import type { DownstreamConnection } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import type { CertificateSource } from '../../identity/source.ts';

const NAME = 'x-forwarded-client-cert';

/** What a verified client certificate says, in the form of Envoy's X-Forwarded-Client-Cert. */
export class ClientCertHeader {
  private readonly settings: HttpEdge['clientCert'];
  private readonly identity: CertificateSource;
  /** Of a connection, for this identity; rotation renews certificates, not names. */
  private readonly values = new WeakMap<DownstreamConnection, string>();

  constructor(settings: HttpEdge['clientCert'], identity: CertificateSource) {
    this.settings = settings;
    this.identity = identity;
  }

  /** Whether what the client sent may go on. */
  keeps(connection: DownstreamConnection): boolean {
    switch (this.settings.mode) {
      case 'always-forward-only':
        return true;
      case 'forward-only':
      case 'append-forward':
        return connection.peer !== undefined;
      case 'sanitize':
      case 'sanitize-set':
        return false;
    }
  }

  /** The peer's own certificate. */
  add(headers: Headers, connection: DownstreamConnection): void {
    const { mode } = this.settings;
    if (connection.peer === undefined || (mode !== 'sanitize-set' && mode !== 'append-forward')) return;
    const value = this.valueOf(connection, connection.peer);
    const before = mode === 'append-forward' ? headers.combined(NAME) : undefined;
    headers.set('X-Forwarded-Client-Cert', before === undefined ? value : `${before},${value}`);
  }

  private valueOf(connection: DownstreamConnection, peer: NonNullable<DownstreamConnection['peer']>): string {
    const known = this.values.get(connection);
    if (known !== undefined) return known;
    const own = this.identity.own();
    let value = own === undefined ? '' : `By=${own.spiffeId};`;
    value += `Hash=${peer.fingerprint.toLowerCase()}`;
    const { uri, dns } = this.settings;
    for (const name of peer.subjectAltNames) {
      const isUri = name.includes('://');
      if (isUri ? uri : dns) value += `;${isUri ? 'URI' : 'DNS'}=${quoted(name)}`;
    }
    if (uri && peer.subjectAltNames.length === 0 && peer.spiffeId !== undefined) value += `;URI=${peer.spiffeId}`;
    this.values.set(connection, value);
    return value;
  }
}

/** A name with a separator in it must not be taken for two. */
const quoted = (name: string): string =>
  /[,;="]/.test(name) ? `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : name;
