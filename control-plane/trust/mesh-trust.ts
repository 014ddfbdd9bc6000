/** All that the mesh believes, of this moment: own anchors, anchors of others, and who is revoked. */
import { type CertificateFacts, RevocationIndex } from '@weft/policies/identity/revocations';
import type { Revocation, TrustBundle } from '@weft/policies/model/trust';
import type { OwnTrust } from '../ca/trust.ts';
import type { TrustFacts } from '../translate/trust.ts';
import { type IgnoredRevocations, revocationsVerdict } from './revocations.ts';

/** Of another trust domain: its anchors, and the keys of its JWT-SVIDs as a JWK Set. */
export interface FederatedBundle extends TrustBundle {
  readonly jwks: string;
}

export class MeshTrust implements TrustFacts {
  ownAnchorsPem = '';
  federated: readonly FederatedBundle[] = [];
  revoked: readonly Revocation[] = [];
  ignoredRevocations: IgnoredRevocations = { malformed: [], beyondLimit: 0 };
  certificates: TrustFacts['certificates'];
  federationProblems: TrustFacts['federationProblems'];
  /** Fetches the bundle of another trust domain before its time, if it may be asked again already. */
  refetch: ((trustDomain: string) => Promise<void>) | undefined;
  private readonly listeners = new Set<() => void>();
  private readonly canonical: (spiffeId: string) => string;
  private index: RevocationIndex;

  /** `canonical`: an identity under the first name of its trust domain. */
  constructor(canonical: (spiffeId: string) => string) {
    this.canonical = canonical;
    this.index = new RevocationIndex([], canonical);
  }

  /** Takes the anchors of the authority, now and whenever they change. */
  follow(own: OwnTrust): void {
    const take = (): void => {
      this.ownAnchorsPem = own.pem();
      this.changed();
    };
    own.onChange(take);
    take();
  }

  federate(bundles: readonly FederatedBundle[]): void {
    this.federated = bundles;
    this.changed();
  }

  /** Why a certificate is not to be believed; one that is yet to be signed has no serial number. */
  refusal(certificate: CertificateFacts): string | undefined {
    return this.index.refusal(certificate);
  }

  revoke(revoked: readonly Revocation[]): void {
    this.revoked = revoked;
    this.index = new RevocationIndex(revoked, this.canonical);
    this.changed();
  }

  revocations(): TrustFacts['certificates'] {
    return revocationsVerdict(this.revoked.length, this.ignoredRevocations);
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
