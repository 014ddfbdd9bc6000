import type { SpiffeId, TrustDomain } from '../identity/spiffe-id.ts';
import { TRUST_SECRET } from './tls.ts';

/** What holds beside the anchors: names that stand for the same trust domain, and who is not trusted any more. */
export const TRUST_RULES_SECRET = 'weft.dev/trust-rules';

/** Both, in the order in which a proxy is told of them. */
export const TRUST_SECRETS: readonly string[] = [TRUST_SECRET, TRUST_RULES_SECRET];

/** The anchors of one trust domain, which vouch for its identities and for no others (SPIFFE Federation section 4). */
export interface TrustBundle {
  readonly trustDomain: TrustDomain;
  /** PEM. */
  readonly anchorsPem: string;
}

/** Of the mesh's own trust domain, of its aliases with the same anchors, and of those that it is federated with. */
export interface TrustBundles {
  readonly kind: 'bundles';
  readonly bundles: readonly TrustBundle[];
}

/** An identity, or one certificate, that is not to be believed although its chain is good. */
export type Revocation =
  | {
      readonly kind: 'identity';
      readonly spiffeId: SpiffeId;
      /** Certificates that begin later are believed again: the identity was given a new start. 0: none are. */
      readonly issuedBeforeUnixMs: number;
      readonly reason: string;
    }
  | { readonly kind: 'serial'; readonly serialHex: string; readonly reason: string };

export interface TrustRules {
  readonly kind: 'rules';
  /** Trust domains whose identities are ours under another name. */
  readonly aliases: readonly TrustDomain[];
  readonly revoked: readonly Revocation[];
}

/** What comes as Envoy's `Secret`; none of it is one. */
export type TrustSecret = TrustBundles | TrustRules;
