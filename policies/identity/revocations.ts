import type { Revocation } from '../model/trust.ts';
import type { SpiffeId } from './spiffe-id.ts';

/** What is looked at of a certificate. */
export interface CertificateFacts {
  readonly spiffeId: SpiffeId;
  /** As `serialOf` writes it; empty: there is no certificate yet. */
  readonly serialHex: string;
  readonly notBeforeUnixMs: number;
}

/** Serial numbers are numbers: leading zeros and the case of digits say nothing. */
export const serialOf = (hex: string): string => hex.toLowerCase().replace(/^0+(?=.)/, '');

/** The trust domain in a SPIFFE ID. */
export function domainOf(spiffeId: string): string {
  const slash = spiffeId.indexOf('/', 'spiffe://'.length);
  return spiffeId.slice('spiffe://'.length, slash === -1 ? undefined : slash);
}

/** An identity under the first name of its trust domain. */
export function canonicalId(spiffeId: string, ownDomain: string, aliases: ReadonlySet<string>): string {
  const domain = domainOf(spiffeId);
  return aliases.has(domain) ? `spiffe://${ownDomain}${spiffeId.slice('spiffe://'.length + domain.length)}` : spiffeId;
}

/** Who is revoked, found by identity and by serial number. */
export class RevocationIndex {
  private readonly identities = new Map<string, Extract<Revocation, { kind: 'identity' }>>();
  private readonly serials = new Map<string, string>();
  private readonly canonical: (spiffeId: string) => string;

  constructor(revoked: readonly Revocation[], canonical: (spiffeId: string) => string) {
    this.canonical = canonical;
    for (const one of revoked) {
      if (one.kind === 'serial') this.serials.set(serialOf(one.serialHex), one.reason);
      else this.addIdentity(one);
    }
  }

  /** Of two for one identity, which may go by two names, the one that refuses more counts. */
  private addIdentity(one: Extract<Revocation, { kind: 'identity' }>): void {
    const id = this.canonical(one.spiffeId);
    const known = this.identities.get(id)?.issuedBeforeUnixMs;
    const refusesMore =
      known === undefined || (known !== 0 && (one.issuedBeforeUnixMs === 0 || one.issuedBeforeUnixMs > known));
    if (refusesMore) this.identities.set(id, one);
  }

  /** Why it is not to be believed; undefined: it is. */
  refusal({ spiffeId, serialHex, notBeforeUnixMs }: CertificateFacts): string | undefined {
    const reason = this.serials.get(serialHex);
    if (reason !== undefined) return `certificate ${serialHex} of ${spiffeId} is revoked${because(reason)}`;
    if (this.identities.size === 0) return undefined;
    const identity = this.identities.get(this.canonical(spiffeId));
    if (identity === undefined) return undefined;
    const { issuedBeforeUnixMs } = identity;
    if (issuedBeforeUnixMs > 0 && notBeforeUnixMs >= issuedBeforeUnixMs) return undefined;
    return `${spiffeId} is revoked${because(identity.reason)}`;
  }
}

const because = (reason: string): string => (reason === '' ? '' : `: ${reason}`);
