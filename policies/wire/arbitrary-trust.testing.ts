/** What a proxy may be told of trust. */
import fc from 'fast-check';
import type { SpiffeId, TrustDomain } from '../identity/spiffe-id.ts';
import type { Revocation, TrustBundles, TrustRules, TrustSecret } from '../model/trust.ts';

const trustDomain = fc.stringMatching(/^[a-z0-9]{1,8}(\.[a-z]{2,4})?$/).map((text) => text as TrustDomain);

const anchorsPem = fc
  .base64String({ minLength: 4, maxLength: 64 })
  .map((body) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`);

const bundles: fc.Arbitrary<TrustBundles> = fc.record({
  kind: fc.constant('bundles'),
  bundles: fc.array(fc.record({ trustDomain, anchorsPem }), { minLength: 1, maxLength: 4 }),
});

const reason = fc.string({ maxLength: 12 });

const revocation: fc.Arbitrary<Revocation> = fc.oneof(
  fc.record({
    kind: fc.constant('identity' as const),
    spiffeId: trustDomain.map((domain) => `spiffe://${domain}/ns/a/sa/b` as SpiffeId),
    issuedBeforeUnixMs: fc.nat(),
    reason,
  }),
  fc.record({ kind: fc.constant('serial' as const), serialHex: fc.stringMatching(/^[0-9a-f]{1,40}$/), reason }),
);

const rules: fc.Arbitrary<TrustRules> = fc.record({
  kind: fc.constant('rules'),
  aliases: fc.array(trustDomain, { maxLength: 3 }),
  revoked: fc.array(revocation, { maxLength: 4 }),
});

export const trustSecret: fc.Arbitrary<TrustSecret> = fc.oneof(bundles, rules);
