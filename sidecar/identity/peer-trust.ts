import { X509Certificate } from 'node:crypto';
import { canonicalId, domainOf, RevocationIndex } from '@weft/policies/identity/revocations';
import type { SpiffeId, TrustDomain } from '@weft/policies/identity/spiffe-id';
import { errorText } from '@weft/policies/kit/error-text';
import type { Revocation, TrustBundle } from '@weft/policies/model/trust';

/** Whom a proxy is to believe, as it goes from thread to thread. */
export interface TrustData {
  readonly ownDomain: TrustDomain;
  readonly bundles: readonly TrustBundle[];
  /** Their identities are ours under another name. */
  readonly aliases: readonly TrustDomain[];
  readonly revoked: readonly Revocation[];
}

/** What trust looks at of a peer's leaf. */
interface TrustedPeer {
  readonly spiffeId: SpiffeId | undefined;
  /** As `serialOf` writes it. */
  readonly serialHex: string;
  readonly notBeforeUnixMs: number;
}

/** Longer chains are nobody's. */
const CHAIN_CERTIFICATES_MAX = 8;
const VERIFIED_MAX = 1_024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const issued = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

/**
 * Trust of one moment. OpenSSL verifies a chain against the anchors of all trust domains together; what it cannot know is
 * that each of them vouches for its own identities alone, and who is revoked. Both are asked here after every handshake,
 * and again of open connections when a newer trust has come.
 */
export class PeerTrust {
  /** Anchors of every trust domain, PEM. */
  readonly anchorsPem: string;
  /** Trust domains differ in whom they trust: then a good chain is not enough. */
  readonly federated: boolean;
  private readonly ownDomain: TrustDomain;
  private readonly aliases: ReadonlySet<string>;
  private readonly bundles: ReadonlyMap<string, string>;
  private readonly anchors = new Map<string, readonly X509Certificate[]>();
  private readonly revocations: RevocationIndex;
  /** Fingerprints of leaves whose chains were followed, by trust domain; the oldest go first. */
  private readonly verified = new Set<string>();

  constructor({ ownDomain, bundles, aliases, revoked }: TrustData) {
    this.ownDomain = ownDomain;
    this.aliases = new Set(aliases);
    this.bundles = new Map(bundles.map((one) => [one.trustDomain, one.anchorsPem]));
    const distinct = new Set(this.bundles.values());
    this.federated = distinct.size > 1;
    this.anchorsPem = [...distinct].join('\n');
    this.revocations = new RevocationIndex(revoked, (spiffeId) => this.canonical(spiffeId));
  }

  /** Throws, naming the trust domain, when anchors cannot be read: they are never left out in silence. */
  static checked(data: TrustData): PeerTrust {
    const trust = new PeerTrust(data);
    for (const domain of trust.bundles.keys()) trust.anchorsOf(domain);
    if (!trust.bundles.has(data.ownDomain))
      throw new Error(`no trust anchors for ${data.ownDomain}, our own trust domain`);
    return trust;
  }

  /** Why a peer whose chain is good is not believed all the same. */
  refusal(peer: TrustedPeer): string | undefined {
    const { spiffeId } = peer;
    if (spiffeId === undefined) return 'the peer has no SPIFFE ID';
    const domain = domainOf(spiffeId);
    if (!this.bundles.has(domain))
      return `trust domain ${domain} of the peer's identity ${spiffeId} is not trusted here`;
    const { serialHex, notBeforeUnixMs } = peer;
    return this.revocations.refusal({ spiffeId, serialHex, notBeforeUnixMs });
  }

  /** As `refusal`, and follows the chain where trust domains have different anchors. */
  refusalOfChain(peer: TrustedPeer, leaf: X509Certificate): string | undefined {
    const refused = this.refusal(peer);
    if (refused !== undefined || !this.federated) return refused;
    const domain = domainOf(peer.spiffeId ?? '');
    const key = `${domain} ${leaf.fingerprint256}`;
    if (this.verified.has(key)) return undefined;
    if (!this.leadsTo(leaf, this.anchorsOf(domain))) {
      return `the certificate of ${peer.spiffeId} does not lead to an anchor of ${domain}: trust domains vouch for their own identities alone`;
    }
    if (this.verified.size >= VERIFIED_MAX) for (const oldest of this.verified) if (this.verified.delete(oldest)) break;
    this.verified.add(key);
    return undefined;
  }

  /** The same identity, under whichever name of our trust domain. */
  isSame(actual: string, expected: string): boolean {
    return actual === expected || (this.aliases.size > 0 && this.canonical(actual) === this.canonical(expected));
  }

  private canonical(spiffeId: string): string {
    return canonicalId(spiffeId, this.ownDomain, this.aliases);
  }

  private anchorsOf(domain: string): readonly X509Certificate[] {
    const known = this.anchors.get(domain);
    if (known !== undefined) return known;
    let parsed: readonly X509Certificate[];
    try {
      parsed = (this.bundles.get(domain)?.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));
    } catch (error) {
      throw new Error(`trust anchors of ${domain}: ${errorText(error)}`);
    }
    if (parsed.length === 0) throw new Error(`trust anchors of ${domain}: there is no certificate`);
    this.anchors.set(domain, parsed);
    return parsed;
  }

  /**
   * Follows what the peer sent by signatures. Only certificates of authorities may stand between: a workload's own is
   * none, whatever OpenSSL's path was made of.
   */
  private leadsTo(leaf: X509Certificate, anchors: readonly X509Certificate[]): boolean {
    let current = leaf;
    for (let length = 1; length <= CHAIN_CERTIFICATES_MAX; length++) {
      if (anchors.some((anchor) => issued(current, anchor))) return true;
      let next = current.issuerCertificate;
      // On the client's side the runtime's list begins with the leaf itself.
      if (next?.fingerprint256 === current.fingerprint256) next = next.issuerCertificate;
      if (next === undefined || !next.ca || !issued(current, next)) return false;
      current = next;
    }
    return false;
  }
}
