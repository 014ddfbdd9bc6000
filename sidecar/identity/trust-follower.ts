import { parseTrustDomain, type SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';
import { TRUST_SECRET } from '@weft/policies/model/tls';
import { TRUST_RULES_SECRET, type TrustBundles, type TrustRules } from '@weft/policies/model/trust';
import type { TrustData } from './peer-trust.ts';

/** What of trust the control plane has told, wherever it is kept. */
interface TrustHolder {
  adoptTrust(trust: TrustData | undefined): void;
}

/** Hands trust over whenever the control plane tells of another one. What throws there is refused like any bad resource. */
export function followTrust(source: SnapshotSource, spiffeId: SpiffeId, holder: TrustHolder): void {
  const domain = parseTrustDomain(spiffeId.slice('spiffe://'.length).split('/')[0] ?? '');
  if (!domain.ok) return;
  const ownDomain = domain.value;
  let bundles: TrustBundles | undefined;
  let rules: TrustRules | undefined;
  const follow = (snapshot: Snapshot): void => {
    const found = snapshot.get('secret', TRUST_SECRET);
    const foundRules = snapshot.get('secret', TRUST_RULES_SECRET);
    const nextBundles = found.state === 'found' && found.value.kind === 'bundles' ? found.value : undefined;
    const nextRules = foundRules.state === 'found' && foundRules.value.kind === 'rules' ? foundRules.value : undefined;
    if (nextBundles === bundles && nextRules === rules) return;
    bundles = nextBundles;
    rules = nextRules;
    holder.adoptTrust(
      bundles && {
        ownDomain,
        bundles: bundles.bundles,
        aliases: rules?.aliases ?? [],
        revoked: rules?.revoked ?? [],
      },
    );
  };
  source.onChange(follow);
  follow(source.current());
}
