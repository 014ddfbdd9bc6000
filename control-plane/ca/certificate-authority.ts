/** Who signs now, and what is trusted now: what everybody holds in place of one fixed key, since both change at run time. */
import type { KeyObject } from 'node:crypto';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Result } from '@weft/policies/kit/result';
import type { Authority, SignedLeaf, SignFailure } from './authority.ts';
import { Anchors, type OwnTrust } from './trust.ts';

export class CertificateAuthority implements OwnTrust {
  private readonly trust: Anchors;
  private readonly issuerListeners = new Set<() => void>();
  private signer: Authority;

  constructor(first: Authority) {
    this.signer = first;
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

  signWorkload(csrDer: Uint8Array, proven: SpiffeId, ttlMs: number): Promise<Result<SignedLeaf, SignFailure>> {
    return this.signer.signWorkload(csrDer, proven, ttlMs);
  }

  signServer(publicKey: KeyObject, dnsNames: readonly string[], ttlMs: number): Promise<SignedLeaf> {
    return this.signer.signServer(publicKey, dnsNames, ttlMs);
  }
}
