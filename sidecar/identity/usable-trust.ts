import { createSecureContext } from 'node:tls';
import { readForeignAnchors, shareName, subjectNames } from '@weft/policies/identity/foreign-anchors';
import { decodePem } from '@weft/policies/identity/x509/pem';
import type { Result } from '@weft/policies/kit/result';
import { err, ok } from '@weft/policies/kit/result';
import type { TrustBundle } from '@weft/policies/model/trust';
import type { TrustData } from './peer-trust.ts';

/** A bundle of another trust domain that is not taken, for people. */
export interface RefusedBundle {
  readonly trustDomain: string;
  readonly reason: string;
  /** What this trust domain had before goes on holding; else nobody of it is believed. */
  readonly kept: boolean;
}

export interface UsableTrust {
  readonly trust: TrustData;
  readonly refused: readonly RefusedBundle[];
}

/**
 * Trust without those bundles of other trust domains that TLS could not use, or that would stand in the way of ours: each
 * costs its own domain alone, whose last good bundle stays. Own anchors are left as they are: whoever uses them says what
 * is wrong, and then all of it is refused.
 */
export function usableTrust(next: TrustData, before: TrustData | undefined): UsableTrust {
  const own = next.bundles.find(({ trustDomain }) => trustDomain === next.ownDomain)?.anchorsPem;
  const ownDer = own === undefined ? undefined : decodePem('CERTIFICATE', own);
  const ownNames = subjectNames(ownDer?.ok === true ? ownDer.value : []);
  const refused: RefusedBundle[] = [];
  const bundles: TrustBundle[] = [];
  for (const bundle of next.bundles) {
    const { trustDomain } = bundle;
    // Another name of ours has the same anchors, also before we are told that it is one.
    if (trustDomain === next.ownDomain || bundle.anchorsPem === own) {
      bundles.push(bundle);
      continue;
    }
    const checked = checkedBundle(bundle, ownNames);
    if (checked.ok) {
      bundles.push(checked.value);
      continue;
    }
    const held = before?.bundles.find((one) => one.trustDomain === trustDomain);
    const again = held === undefined ? undefined : checkedBundle(held, ownNames);
    if (again?.ok === true) bundles.push(again.value);
    refused.push({ trustDomain, reason: checked.error, kept: again?.ok === true });
  }
  return { trust: { ...next, bundles }, refused };
}

function checkedBundle(
  { trustDomain, anchorsPem }: TrustBundle,
  ownNames: ReadonlySet<string>,
): Result<TrustBundle, string> {
  const anchors = readForeignAnchors(anchorsPem, (ca) => createSecureContext({ ca }));
  if (!anchors.ok) return anchors;
  if (shareName(anchors.value, ownNames)) return err('an anchor has the name of one of our own');
  return ok({ trustDomain, anchorsPem: anchors.value.pem });
}
