import type { SecureContext, SecureContextOptions } from 'node:tls';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { PeerTrust } from './peer-trust.ts';

type OutsideVersions = Pick<SecureContextOptions, 'minVersion' | 'maxVersion'>;

/** One identity's key material of this moment; a rotation makes a new one. */
export interface WorkloadCertificate {
  readonly spiffeId: SpiffeId;
  readonly notBeforeUnixMs: number;
  readonly notAfterUnixMs: number;
  readonly serialHex: string;
  /** TLS 1.3 with this key, leaf, chain and the trust anchors of the mesh. */
  readonly context: SecureContext;
  /** The same key and leaf towards servers outside of the mesh, whom other authorities vouch for; `ca` undefined: the runtime's. */
  readonly contextFor?: (ca: string | undefined, versions: OutsideVersions) => SecureContext;
  /** PEM bundle of all trust anchors, of whichever trust domain. */
  readonly trustPem: string;
  /** Which of them vouch for whom, and who is revoked; undefined: all for everybody. */
  readonly trust?: PeerTrust | undefined;
  /** Grows with each rotation, also of trust: keys caches of sessions and connections. */
  readonly generation: number;
}

/** Where TLS finds certificates; keyed by SPIFFE ID, so that a node proxy or gateway can hold several. */
export interface CertificateSource {
  /** Undefined: not issued yet. */
  get(spiffeId: SpiffeId): WorkloadCertificate | undefined;
  /** The identity of this proxy's only workload; undefined until the first certificate. */
  own(): WorkloadCertificate | undefined;
  onChange(listener: (certificate: WorkloadCertificate) => void): () => void;
}
