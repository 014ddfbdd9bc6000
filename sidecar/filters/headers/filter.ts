import type { HttpEdge } from '@weft/policies/model/edge';
import type { Direction } from '@weft/policies/model/listener';
import type { ProxyError } from '../../http/errors.ts';
import type { RequestHead, ResponseHead } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import type { CertificateSource } from '../../identity/source.ts';
import { canonicalIp } from '../../net/addresses.ts';
import type { RequestContext } from '../context.ts';
import { upgradeRefused } from '../errors.ts';
import type { RequestFilter } from '../filter.ts';
import { ClientCertHeader } from './client-cert.ts';
import { isClaim, isClientCert, isForwarded } from './names.ts';

const hasUnderscore = (lower: string): boolean => lower.includes('_');

const underscoreRefused: ProxyError = {
  source: 'downstream',
  flag: 'DPE',
  status: 400,
  retry: 'no',
  detail: 'a field name with an underscore, which this listener refuses (headers_with_underscores_action)',
};
/** As Envoy says it: routes are for requests with a path. */
const tunnelRefused: ProxyError = {
  source: 'internal',
  flag: 'NR',
  status: 404,
  retry: 'no',
  detail: 'no route of this listener is for CONNECT (upgrade_configs)',
};

/**
 * Who may say who the client is.
 *
 * Outbound, the application speaks for itself: the forwarded headers that it passes on are its own, but it may not
 * claim an identity, so `X-Forwarded-Client-Cert` goes.
 *
 * Inbound, or where the listener faces outside (Envoy's use_remote_address), from a mesh peer: forwarded headers stay,
 * and `X-Forwarded-Client-Cert` is replaced by the peer's verified identity. From anybody else with `trustedHops` 0: all
 * of them go, and are made anew of what the connection shows. With trusted proxies in front they stay, and this hop is
 * appended (RFC 7239 section 5.2's order).
 */
export class HeadersFilter implements RequestFilter {
  private readonly outside: boolean;
  private readonly trustedHops: number;
  private readonly edge: HttpEdge;
  private readonly clientCert: ClientCertHeader;
  /** Something is added to responses. */
  private readonly answers: boolean;
  private readonly routesUpgrade: boolean;

  /** `routesUpgrade`: some route says of an Upgrade something of its own. */
  constructor(
    direction: Direction,
    trustedHops: number,
    identity: CertificateSource,
    edge: HttpEdge,
    routesUpgrade = false,
  ) {
    this.routesUpgrade = routesUpgrade;
    this.outside = direction === 'inbound' || edge.useRemoteAddress;
    this.trustedHops = trustedHops;
    this.edge = edge;
    this.clientCert = new ClientCertHeader(edge.clientCert, identity);
    this.answers = edge.requestId.inResponse || edge.via !== '' || edge.serverHeader.mode !== 'passthrough';
  }

  onRequest(context: RequestContext): ProxyError | undefined {
    const { head, connection } = context;
    const { headers } = head;
    const { edge } = this;
    if (this.answers) context.ownReplies = this;
    if (edge.underscores !== 'allow') {
      const before = headers.length;
      headers.removeWhere(hasUnderscore);
      if (edge.underscores === 'reject' && headers.length < before) return underscoreRefused;
    }
    if (head.protocol !== undefined && !this.upgradesTo(head.protocol)) {
      if (head.protocol === '') return tunnelRefused;
      if (!this.routesUpgrade) return upgradeRefused;
      context.upgradeRefused = true;
    }
    if (edge.hostPort !== 'keep') this.stripPort(head, connection.destinationPort);
    const mesh = connection.peer?.spiffeId !== undefined;
    const believed = !this.outside || mesh || this.trustedHops > 0;
    const keepsCert = this.clientCert.keeps(connection);
    if (!keepsCert) headers.removeWhere(believed ? isClientCert : isForwarded);
    else if (!believed) headers.removeWhere(isClaim);
    if (edge.via !== '') appendVia(headers, edge.via);
    this.clientCert.add(headers, connection);
    if (!this.outside) return undefined;
    if (this.trustedHops > 0) context.clientIp = clientIpOf(headers, this.trustedHops) ?? connection.remoteIp;
    if (!believed && !edge.requestId.preserveExternal) headers.remove('x-request-id');
    if (!mesh && edge.appendForwardedFor) {
      if (this.trustedHops === 0) headers.append('X-Forwarded-For', connection.remoteIp);
      else appendHop(headers, connection.remoteIp);
    }
    // Of the connection, not of an absolute target, which says what the client likes. Mesh TLS is not seen by applications.
    const scheme = connection.tls && connection.peer === undefined ? 'https' : 'http';
    if (!headers.has('x-forwarded-proto')) headers.append('X-Forwarded-Proto', scheme);
    return undefined;
  }

  /** Empty: CONNECT. */
  private upgradesTo(protocol: string): boolean {
    const { upgrades } = this.edge;
    return upgrades === undefined || upgrades.includes(protocol === '' ? 'connect' : protocol.toLowerCase());
  }

  onResponse(context: RequestContext, { headers }: ResponseHead): void {
    if (!this.answers) return;
    const { via, serverHeader, requestId } = this.edge;
    if (serverHeader.mode === 'overwrite') headers.set('Server', serverHeader.name);
    else if (serverHeader.mode === 'append-if-absent' && !headers.has('server')) {
      headers.append('Server', serverHeader.name);
    }
    if (via !== '') appendVia(headers, via);
    if (requestId.inResponse && context.requestId !== '') headers.set('X-Request-Id', context.requestId);
  }

  /** As Envoy, not of CONNECT, whose authority is where the tunnel goes. */
  private stripPort(head: RequestHead, localPort: number): void {
    if (head.method === 'CONNECT' && head.protocol === '') return;
    const match = /:(\d+)$/.exec(head.authority);
    if (match === null) return;
    if (this.edge.hostPort === 'strip-matching' && Number(match[1]) !== localPort) return;
    head.authority = head.authority.slice(0, match.index);
  }
}

/**
 * The address that so many trusted proxies ago somebody connected from: each appended the one that connected to it. As
 * in Envoy (`xff_num_trusted_hops` with `use_remote_address`) a list that is too short, or has no address there, says nothing.
 */
function clientIpOf(headers: Headers, trustedHops: number): string | undefined {
  const hop = headers.combined('x-forwarded-for')?.split(',').at(-trustedHops);
  return hop === undefined ? undefined : canonicalIp(hop.trim());
}

function appendHop(headers: Headers, ip: string): void {
  const before = headers.combined('x-forwarded-for');
  headers.set('X-Forwarded-For', before === undefined ? ip : `${before}, ${ip}`);
}

/** RFC 9110 section 7.6.3. */
function appendVia(headers: Headers, own: string): void {
  const before = headers.combined('via');
  headers.set('Via', before === undefined ? own : `${before}, ${own}`);
}
