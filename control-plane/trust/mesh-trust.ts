/** All that the mesh believes, of this moment: own anchors, anchors of others, and who is revoked. */
import type { Revocation, TrustBundle } from '@weft/policies/model/trust';
import type { OwnTrust } from '../ca/trust.ts';
import type { TrustFacts } from '../translate/trust.ts';

export class MeshTrust implements TrustFacts {
  ownAnchorsPem = '';
  federated: readonly TrustBundle[] = [];
  revoked: readonly Revocation[] = [];
  private readonly listeners = new Set<() => void>();

  /** Takes the anchors of the authority, now and whenever they change. */
  follow(own: OwnTrust): void {
    const take = (): void => {
      this.ownAnchorsPem = own.pem();
      this.changed();
    };
    own.onChange(take);
    take();
  }

  federate(bundles: readonly TrustBundle[]): void {
    this.federated = bundles;
    this.changed();
  }

  revoke(revoked: readonly Revocation[]): void {
    this.revoked = revoked;
    this.changed();
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
