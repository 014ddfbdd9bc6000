import type { Duplex } from 'node:stream';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Endpoint } from '@weft/policies/model/cluster';
import type { UpstreamTls } from '@weft/policies/model/tls';
import type { TcpKeepAlive } from '@weft/policies/model/upstream-connections';
import type { ProxyError } from '../http/errors.ts';

/** What a verified peer certificate says. */
export interface PeerCertificateInfo {
  /** Undefined: verified, but without a SPIFFE ID. */
  readonly spiffeId: SpiffeId | undefined;
  /** All URI and DNS SANs. */
  readonly subjectAltNames: readonly string[];
  /** Upper-case hex SHA-256 of the leaf. */
  readonly fingerprint: string;
  readonly notBeforeUnixMs: number;
  readonly notAfterUnixMs: number;
  /** Lower-case hex without leading zeros. */
  readonly serialHex: string;
}

/** An established transport to an upstream endpoint: TCP, or TLS whose peer was verified. */
export interface UpstreamTransport {
  readonly socket: Duplex;
  /** Negotiated ALPN, empty without TLS. */
  readonly alpn: string;
  readonly peer: PeerCertificateInfo | undefined;
  readonly localIp: string;
}

export type UpstreamSecurity =
  | { readonly kind: 'plaintext' }
  /** Mesh TLS 1.3: own identity, peer must show exactly this SPIFFE ID. */
  | { readonly kind: 'mesh'; readonly spiffeId: SpiffeId; readonly alpn: readonly string[] }
  | { readonly kind: 'tls'; readonly tls: UpstreamTls };

export interface DialRequest {
  readonly endpoint: Pick<Endpoint, 'address'>;
  readonly security: UpstreamSecurity;
  readonly timeoutMs: number;
  readonly tcpKeepAlive?: TcpKeepAlive | undefined;
  /** What may wait to be sent, unless our own bound is lower. */
  readonly bufferBytesMax?: number | undefined;
}

/** Opens a transport; calls back exactly once; `cancel` before that means no call. The port that clusters dial through. */
export type Dial = (
  request: DialRequest,
  done: (result: { readonly transport: UpstreamTransport } | { readonly error: ProxyError }) => void,
) => { cancel(): void };
