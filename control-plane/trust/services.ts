/**
 * All that keeps the trust of a mesh up to date, whatever its objects come from: revocations, bundles of other trust
 * domains, our own bundle for them, and the watch over the mesh's own certificates.
 */
import type { TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { Prng } from '@weft/policies/kit/prng';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { JwtKeys } from '../ca/jwt-keys.ts';
import type { ListenAddress } from '../config.ts';
import type { MeshControl } from '../mesh.ts';
import type { MetricFamily } from '../monitoring/metrics.ts';
import { startBundleEndpoint } from './bundle-endpoint.ts';
import { BundleKeeper, type KeptStore } from './bundle-keeper.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { Federation } from './federation.ts';
import { fetchBundle } from './fetch-bundle.ts';
import { Revocations } from './revocations.ts';
import type { CertificatesVerdict } from './watchdog.ts';

export interface TrustServicesOptions {
  readonly mesh: MeshControl;
  readonly authority: CertificateAuthority;
  /** Where bundles of other trust domains are kept over a restart. */
  readonly kept: KeptStore;
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: Log;
  /** What the Mesh's status says is another thing now. */
  readonly onChange: () => void;
}

export interface BundleEndpointPlace {
  readonly address: ListenAddress;
  readonly trustDomain: TrustDomain;
  readonly namespace: string;
  readonly jwtKeys: JwtKeys;
}

export interface CertificateWatchParts {
  readonly problems: () => readonly string[];
  readonly servingPem: () => string;
  readonly onVerdict: (verdict: CertificatesVerdict) => void;
}

export class TrustServices {
  readonly revocations: Revocations;
  private readonly options: TrustServicesOptions;
  private readonly federation: Federation;
  private readonly keeper: BundleKeeper;
  private readonly ending: Cancel[] = [];
  private certificates: CertificateWatch | undefined;

  private constructor(options: TrustServicesOptions, keeper: BundleKeeper, federation: Federation) {
    this.options = options;
    this.keeper = keeper;
    this.federation = federation;
    this.revocations = new Revocations(options.mesh.trust, options.clock, options.log, options.onChange);
  }

  /** Before anybody is served: who is told of less trust than there was ends connections that are in order. */
  static async start(options: TrustServicesOptions): Promise<TrustServices> {
    const { mesh, authority, kept: store, isLeader, clock, prng, log, onChange } = options;
    const keeper = new BundleKeeper({ store, clock, log, isLeader });
    const federation = new Federation({
      trust: mesh.trust,
      ownAnchors: () => authority.anchors(),
      fetch: fetchBundle,
      kept: await keeper.load(),
      clock,
      prng,
      log,
      onChange,
      onFetched: () => keeper.check(),
    });
    keeper.follow(() => federation.good());
    mesh.trust.federationProblems = () => federation.problems();
    mesh.trust.refetch = (trustDomain) => federation.refetch(trustDomain);
    const services = new TrustServices(options, keeper, federation);
    services.ending.push(authority.onChange(() => federation.recheck()));
    mesh.onChange(() => federation.follow(mesh.state.mesh));
    federation.follow(mesh.state.mesh);
    return services;
  }

  /** Where our own bundle is served to other trust domains. */
  async serveBundle({ address, trustDomain, namespace, jwtKeys }: BundleEndpointPlace): Promise<void> {
    const { authority, clock, log } = this.options;
    const endpoint = await startBundleEndpoint({
      address,
      trustDomain,
      namespace,
      authority,
      jwtKeys: () => jwtKeys.publicKeys(),
      clock,
      log,
    });
    log.info('serving our bundle', { port: endpoint.port, spiffeId: endpoint.spiffeId });
    this.ending.push(() => endpoint.stop());
  }

  watchCertificates(parts: CertificateWatchParts): void {
    const { authority, mesh, clock, log } = this.options;
    this.certificates = new CertificateWatch({ ...parts, authority, trust: mesh.trust, clock, log });
    this.certificates.start();
  }

  /** This replica has begun to lead: what is kept is its business now. */
  leads(): void {
    this.keeper.check();
  }

  families(): MetricFamily[] {
    return [...this.federation.families(), ...(this.certificates?.families() ?? [])];
  }

  stop(): void {
    for (const end of this.ending) end();
    this.certificates?.stop();
    this.revocations.stop();
    this.federation.stop();
    this.keeper.stop();
  }
}
