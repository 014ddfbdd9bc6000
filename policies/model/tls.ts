/** The sidecar's own identity: key made here, leaf signed by the mesh's CA. */
export const IDENTITY_SECRET = 'weft.dev/identity';
/** Trust anchors of the mesh. */
export const TRUST_SECRET = 'weft.dev/trust';

/**
 * Trust anchors of the system. Where a host has no such file, a sidecar takes those that come with its runtime.
 */
export const SYSTEM_TRUST_FILE = '/etc/ssl/certs/ca-certificates.crt';

/** ALPN between sidecars: what is inside the mesh TLS. */
export const MESH_ALPN = { http2: 'weft-h2', http1: 'weft-http/1.1', tcp: 'weft-tcp' } as const;

/** A certificate by name (SDS, filled by the CertificateSource) or inline. PEM. */
export type CertificateRef =
  | { readonly kind: 'secret'; readonly name: string }
  | { readonly kind: 'inline'; readonly certificateChain: PemSource; readonly privateKey: PemSource };

export type PemSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'pem'; readonly pem: string };

/** What the peer has to show. */
export interface PeerValidation {
  readonly trust:
    | { readonly kind: 'secret'; readonly name: string }
    | { readonly kind: 'inline'; readonly ca: PemSource };
  /** Any one of these subject alternative names; empty: any that chains to the trust anchors. */
  readonly subjectAltNames: readonly SanMatcher[];
  /** The certificate, or its key, is one of these; absent: any that is trusted. */
  readonly pins?: CertificatePins;
  /** Revoked certificates, for every link of the chain. */
  readonly crl?: PemSource;
}

export interface CertificatePins {
  /** SHA-256 of the certificate, lower-case hex. */
  readonly certificates: readonly string[];
  /** SHA-256 of SubjectPublicKeyInfo, base64. */
  readonly keys: readonly string[];
}

export interface SanMatcher {
  readonly type: 'uri' | 'dns' | 'ip' | 'email';
  readonly match: { readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex'; readonly value: string };
}

export interface TlsParameters {
  readonly versionMin: 'TLSv1.2' | 'TLSv1.3';
  readonly versionMax: 'TLSv1.2' | 'TLSv1.3';
  /** Of TLS 1.2, by OpenSSL's names, in order of preference; absent: the runtime's. */
  readonly cipherSuites?: readonly string[];
  /** Groups of the key exchange, in order of preference; absent: the runtime's. */
  readonly ecdhCurves?: readonly string[];
}

export interface DownstreamTls {
  /** For clients that ask for no name, or for one that no certificate has. */
  readonly certificate: CertificateRef;
  /** Chosen before `certificate` by the name that a client asks for, or by the kind of key that it takes. */
  readonly moreCertificates?: readonly CertificateRef[];
  /** Clients get no tickets to resume sessions with; absent: they do. */
  readonly sessionTickets?: false;
  readonly validation: PeerValidation | undefined;
  readonly requireClientCertificate: boolean;
  readonly alpn: readonly string[];
  readonly parameters: TlsParameters;
}

export interface UpstreamTls {
  /** Undefined: no client certificate. */
  readonly certificate: CertificateRef | undefined;
  /** Undefined: the server is not verified (as Envoy without a validation context). */
  readonly validation: PeerValidation | undefined;
  readonly alpn: readonly string[];
  readonly sni: string;
  readonly parameters: TlsParameters;
}
