/** Whom a proxy is to believe: the same for every one of the mesh. */
import { canonicalId } from '@weft/policies/identity/revocations';
import { parseTrustDomain, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import { TRUST_SECRET } from '@weft/policies/model/tls';
import { type Revocation, TRUST_RULES_SECRET, type TrustBundle, type TrustSecret } from '@weft/policies/model/trust';
import type { TranslateContext } from './context.ts';

/** What is known of trust that is not in any object: it comes from the authority, and from other trust domains. */
export interface TrustFacts {
  /** PEM; empty: there is no authority yet. */
  readonly ownAnchorsPem: string;
  readonly federated: readonly TrustBundle[];
  readonly revoked: readonly Revocation[];
  /** What the Mesh says of the certificates of the mesh itself; undefined: they were not looked at yet. */
  certificates?: TrustCondition | undefined;
  /** What the Mesh says of revocations; undefined: there are none. */
  revocations?(): TrustCondition | undefined;
  /** Why bundles of other trust domains are not as they should be. */
  federationProblems?: (() => readonly string[]) | undefined;
}

interface TrustCondition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export function translateTrust(context: TranslateContext, name: string): TrustSecret | undefined {
  const { trust, trustDomain } = context;
  if (trust === undefined || trust.ownAnchorsPem === '') return undefined;
  const aliases = trustAliases(context);
  switch (name) {
    case TRUST_SECRET: {
      const own = [trustDomain, ...aliases].map((one) => ({ trustDomain: one, anchorsPem: trust.ownAnchorsPem }));
      const known = new Set(own.map((one) => one.trustDomain));
      // Nobody else's anchors vouch for names of ours.
      const federated = trust.federated.flatMap((one) =>
        known.has(one.trustDomain) ? [] : [{ trustDomain: one.trustDomain, anchorsPem: one.anchorsPem }],
      );
      return { kind: 'bundles', bundles: [...own, ...federated] };
    }
    case TRUST_RULES_SECRET:
      return { kind: 'rules', aliases, revoked: trust.revoked };
    default:
      return undefined;
  }
}

/** Other names of the mesh's own trust domain. */
export const trustAliases = ({ state, trustDomain }: TranslateContext): TrustDomain[] =>
  (state.mesh?.spec.trust.aliases ?? []).flatMap((alias) => {
    const parsed = parseTrustDomain(alias);
    return parsed.ok && parsed.value !== trustDomain ? [parsed.value] : [];
  });

/** An identity under the first name of our trust domain. */
export const canonicalIn = (context: TranslateContext, spiffeId: string): string =>
  canonicalId(spiffeId, context.trustDomain, new Set(trustAliases(context)));
