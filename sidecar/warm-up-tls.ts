import type { Clock } from '@weft/policies/kit/clock';
import type { Cluster, Endpoint } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import {
  type CertificateRef,
  type DownstreamTls,
  IDENTITY_SECRET,
  MESH_ALPN,
  type PeerValidation,
  TRUST_SECRET,
  type UpstreamTls,
} from '@weft/policies/model/tls';
import { noIdentity } from './bootstrap/no-identity.ts';
import type { CertificateSource, WorkloadCertificate } from './identity/source.ts';

/** How the two paths of a warm-up speak TLS to each other: with the sidecar's own certificate, as client and as server. */
export interface WarmUpTls {
  readonly certificates: CertificateSource;
  readonly downstream: DownstreamTls;
  readonly cluster: Pick<Cluster, 'tls' | 'meshTls'>;
  readonly endpoint: Pick<Endpoint, 'mtls' | 'spiffeId'>;
}

/**
 * The first certificate of a sidecar comes while it would warm up, and later for that. It is waited for, but not where
 * nobody answers.
 */
const CERTIFICATE_WAIT_MS_MAX = 200;
const TLS_1_3 = { versionMin: 'TLSv1.3', versionMax: 'TLSv1.3' } as const;

/** Undefined: no certificate was issued in time. */
export async function tlsOfMesh(certificates: CertificateSource, clock: Clock): Promise<WarmUpTls | undefined> {
  const own = certificates.own() ?? (await firstOf(certificates, clock));
  if (own === undefined) return undefined;
  return {
    certificates,
    downstream: {
      certificate: { kind: 'secret', name: IDENTITY_SECRET },
      validation: { trust: { kind: 'secret', name: TRUST_SECRET }, subjectAltNames: [] },
      requireClientCertificate: true,
      alpn: [MESH_ALPN.http2],
      parameters: TLS_1_3,
    },
    cluster: { tls: undefined, meshTls: true },
    endpoint: { mtls: true, spiffeId: own.spiffeId },
  };
}

function firstOf(certificates: CertificateSource, clock: Clock): Promise<WorkloadCertificate | undefined> {
  return new Promise((resolve) => {
    const done = (certificate: WorkloadCertificate | undefined): void => {
      forget();
      cancel();
      resolve(certificate);
    };
    const forget = certificates.onChange(done);
    const cancel = clock.after(CERTIFICATE_WAIT_MS_MAX, () => done(undefined));
  });
}

/**
 * Undefined: the bootstrap has no certificate. Peers are verified as it says, but for their names; where its authorities
 * have not signed its own certificate, the handshake fails at its end, and all before that is warm.
 */
export function tlsOfBootstrap(
  listeners: readonly Pick<Listener, 'filterChains' | 'defaultFilterChain'>[],
  clusters: readonly Pick<Cluster, 'tls'>[],
): WarmUpTls | undefined {
  const settings: readonly (DownstreamTls | UpstreamTls | undefined)[] = [
    ...listeners.flatMap(({ filterChains, defaultFilterChain }) =>
      [...filterChains, defaultFilterChain].map((chain) => chain?.tls),
    ),
    ...clusters.map(({ tls }) => tls),
  ];
  const found = settings.find((tls) => tls?.certificate?.kind === 'inline');
  if (found?.certificate === undefined) return undefined;
  const { parameters } = found;
  const certificate: CertificateRef = found.certificate;
  const trust = found.validation?.trust;
  const validation: PeerValidation | undefined = trust && { trust, subjectAltNames: [] };
  const common = { certificate, validation, alpn: ['h2'], parameters };
  return {
    certificates: noIdentity,
    downstream: { ...common, requireClientCertificate: validation !== undefined },
    cluster: { tls: { ...common, sni: '' }, meshTls: false },
    endpoint: { mtls: false, spiffeId: undefined },
  };
}
