/** `trust` of `Mesh`: under which names, and with whom, identities are believed. */
import { z } from 'zod';
import { mapOf, setOf, text, withRules } from './schema.ts';

/** SPIFFE-ID section 2.1. */
const trustDomain = text(/^[a-z0-9._-]+$/, 'a trust domain such as `cluster.local`', { min: 1, max: 255 });

const endpoint = withRules(
  z.strictObject({
    url: text(
      /^https:\/\/[A-Za-z0-9.[\]:-]+(\/[^\s?#]*)?$/,
      'an https URL without user, query and fragment, such as `https://spire.partner.example:8443`',
      { min: 9, max: 2048 },
    ).describe('The bundle endpoint.'),
    profile: z
      .enum(['HTTPSWeb', 'HTTPSSPIFFE'])
      .default('HTTPSWeb')
      .describe(
        'How the endpoint is verified: HTTPSWeb by the authorities of the system, HTTPSSPIFFE by the bundle that is known already and `spiffeId`.',
      ),
    spiffeId: text(/^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)+$/, 'a SPIFFE ID', { min: 12, max: 2048 })
      .optional()
      .describe('The SPIFFE ID of the endpoint, with HTTPSSPIFFE.'),
  }),
  [
    {
      cel: "self.profile == 'HTTPSSPIFFE' ? has(self.spiffeId) : !has(self.spiffeId)",
      message: 'needs spiffeId with profile HTTPSSPIFFE, and takes none with HTTPSWeb',
      check: ({ profile, spiffeId }) => (profile === 'HTTPSSPIFFE') === (spiffeId !== undefined),
    },
  ],
);

const federated = withRules(
  z.strictObject({
    trustDomain: trustDomain.describe('The other trust domain. Its anchors vouch for its own identities alone.'),
    endpoint: endpoint.optional().describe('Where its bundle is fetched from, again and again.'),
    bundle: text(/^\{[\s\S]*\}$/, 'a SPIFFE bundle: a JWK Set as JSON', { min: 2, max: 262_144 })
      .optional()
      .describe('Its bundle. With `endpoint`: the one that holds until the endpoint has answered.'),
  }),
  [
    {
      cel: "has(self.bundle) || (has(self.endpoint) && self.endpoint.profile == 'HTTPSWeb')",
      message:
        'needs bundle, or an endpoint with profile HTTPSWeb: HTTPSSPIFFE is verified by a bundle that is known already',
      check: ({ bundle, endpoint: one }) => bundle !== undefined || one?.profile === 'HTTPSWeb',
    },
  ],
);

export const meshTrust = z
  .strictObject({
    aliases: setOf(trustDomain, { max: 8 })
      .default([])
      .describe(
        'Other names of the trust domain of the mesh, while it is renamed: identities of theirs are ours, verified by our own anchors.',
      ),
    federation: mapOf(federated, 'trustDomain', { max: 16 })
      .default([])
      .describe(
        'Trust domains whose workloads may call ours and be called. What they may do is for authorization to say.',
      ),
  })
  .describe('Whom the mesh believes.');
