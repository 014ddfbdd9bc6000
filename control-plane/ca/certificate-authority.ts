/** Who signs now, and what is trusted now: what everybody holds in place of one fixed key, since both change at run time. */
import type { KeyObject } from 'node:crypto';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { errorText } from '@weft/policies/kit/error-text';
import { err, type Result } from '@weft/policies/kit/result';
import type { Authority, SignedLeaf, SignFailure } from './authority.ts';
import type { LeafLedger } from './ledger.ts';
import { SignQueue } from './sign-queue.ts';
import { Anchors, type OwnTrust } from './trust.ts';

export class CertificateAuthority implements OwnTrust {
  private readonly trust: Anchors;
  private readonly issuerListeners = new Set<() => void>();
  private readonly ledger: LeafLedger | undefined;
  readonly queue = new SignQueue();
  private signer: Authority;

  constructor(first: Authority, ledger?: LeafLedger) {
    this.signer = first;
    this.ledger = ledger;
    this.trust = new Anchors(first.trustAnchors);
  }

  get issuer(): Authority {
    return this.signer;
  }

  anchors(): readonly Uint8Array[] {
    return this.trust.anchors();
  }

  pem(): string {
    return this.trust.pem();
  }

  onChange(listener: () => void): () => void {
    return this.trust.onChange(listener);
  }

  /** Called after another key has begun to sign. The answer ends it. */
  onIssuer(listener: () => void): () => void {
    this.issuerListeners.add(listener);
    return () => void this.issuerListeners.delete(listener);
  }

  /** Anchors first, so that nobody sees a certificate whose anchor is not told yet. */
  use(signer: Authority, anchors: readonly Uint8Array[] = signer.trustAnchors): void {
    const changed = signer !== this.signer;
    this.signer = signer;
    this.trust.replace(anchors);
    if (changed) for (const listener of this.issuerListeners) listener();
  }

  /** `holder`: who is named when an anchor is kept for this certificate. */
  async signWorkload(
    csrDer: Uint8Array,
    proven: SpiffeId,
    ttlMs: number,
    holder: string = proven,
  ): Promise<Result<SignedLeaf, SignFailure>> {
    const { signer } = this;
    let leaf: Result<SignedLeaf, SignFailure>;
    try {
      const queued = this.queue.run(() => signer.signWorkload(csrDer, proven, ttlMs));
      if (queued === undefined)
        return err({ code: 'unavailable', message: 'too many requests for certificates wait; try again' });
      leaf = await queued;
    } catch (error) {
      // A key outside this process may be away.
      const message = `the signing key cannot be used: ${errorText(error)}`;
      return err({ code: 'unavailable', message });
    }
    if (leaf.ok) this.ledger?.record(signer.anchorFingerprint, holder, leaf.value.notAfterMs);
    return leaf;
  }

  signServer(publicKey: KeyObject, dnsNames: readonly string[], ttlMs: number): Promise<SignedLeaf> {
    return this.signer.signServer(publicKey, dnsNames, ttlMs);
  }
}
