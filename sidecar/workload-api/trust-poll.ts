/** Trust for who has no xDS: asked for now and then, so that new anchors are known before anybody is signed by them. */
import { parseTrustDomain, type SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import type { TrustBundle } from '@weft/policies/model/trust';
import type { TrustHolder } from '../identity/trust-follower.ts';
import type { Bundles } from './authority.ts';
import { trustDomainOf } from './bundles.ts';

const POLL_MS = 60_000;

export interface TrustPoll {
  readonly spiffeId: SpiffeId;
  readonly ask: () => Promise<Bundles>;
  readonly holders: readonly TrustHolder[];
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

/** What cannot be asked or used changes nothing: what held before goes on holding. The answer ends it. */
export function pollTrust({ spiffeId, ask, holders, clock, log }: TrustPoll): Cancel {
  const ownDomain = parseTrustDomain(trustDomainOf(spiffeId).slice('spiffe://'.length));
  if (!ownDomain.ok) return () => {};
  let known = '';
  let cancel: Cancel | undefined;
  const adopt = ({ trust }: Bundles): void => {
    const bundles: TrustBundle[] = [];
    for (const { trustDomain, anchorsPem } of trust) {
      const domain = parseTrustDomain(trustDomain);
      if (domain.ok) bundles.push({ trustDomain: domain.value, anchorsPem });
    }
    const next = JSON.stringify(bundles);
    if (next === known || bundles.length === 0) return;
    for (const holder of holders) holder.adoptTrust({ ownDomain: ownDomain.value, bundles, aliases: [], revoked: [] });
    known = next;
  };
  const look = (): void => {
    ask()
      .then(adopt)
      .catch((error: unknown) => log(`trust: ${errorText(error)}`))
      .finally(() => {
        if (cancel !== undefined) cancel = clock.after(POLL_MS, look);
      });
  };
  cancel = clock.after(0, look);
  return () => {
    cancel?.();
    cancel = undefined;
  };
}
