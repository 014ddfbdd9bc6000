import type { Cluster, Endpoint } from '@weft/policies/model/cluster';
import { MESH_ALPN } from '@weft/policies/model/tls';
import type { UpstreamSecurity } from '../net/connection.ts';

export const plaintext: UpstreamSecurity = { kind: 'plaintext' };

/** What the bytes inside a connection to an endpoint are. */
export type Payload = 'http' | 'tcp';

const OPAQUE = [MESH_ALPN.tcp];
const HTTP2_ONLY = [MESH_ALPN.http2];
const HTTP = [MESH_ALPN.http2, MESH_ALPN.http1];

/** HTTP/1 is carried over HTTP/2 between sidecars where the other side takes it. */
const httpAlpn = (protocol: Cluster['protocol']): readonly string[] => (protocol === 'http2' ? HTTP2_ONLY : HTTP);

/** How to secure a connection: the cluster's own TLS, mesh TLS where the endpoint takes it, or plaintext. */
export function upstreamSecurity(
  cluster: Pick<Cluster, 'tls' | 'meshTls' | 'protocol'>,
  endpoint: Pick<Endpoint, 'mtls' | 'spiffeId'>,
  payload: Payload,
): UpstreamSecurity {
  if (cluster.tls !== undefined) return { kind: 'tls', tls: cluster.tls };
  if (!cluster.meshTls || !endpoint.mtls || endpoint.spiffeId === undefined) return plaintext;
  return { kind: 'mesh', spiffeId: endpoint.spiffeId, alpn: payload === 'tcp' ? OPAQUE : httpAlpn(cluster.protocol) };
}

/** Connections are shared only between requests whose security is the same, the peer's SPIFFE ID included. */
export function securityKey(security: UpstreamSecurity): string {
  switch (security.kind) {
    case 'plaintext':
      return 'plaintext';
    case 'mesh':
      return `mesh ${security.alpn.join(',')} ${security.spiffeId}`;
    case 'tls':
      return `tls ${JSON.stringify(security.tls)}`;
  }
}
