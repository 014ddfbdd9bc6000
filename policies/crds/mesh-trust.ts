/** `trust` of `Mesh`: under which names, and with whom, identities are believed. */
import { z } from 'zod';
import { setOf, text } from './schema.ts';

/** SPIFFE-ID section 2.1. */
const trustDomain = text(/^[a-z0-9._-]+$/, 'a trust domain such as `cluster.local`', { min: 1, max: 255 });

export const meshTrust = z
  .strictObject({
    aliases: setOf(trustDomain, { max: 8 })
      .default([])
      .describe(
        'Other names of the trust domain of the mesh, while it is renamed: identities of theirs are ours, verified by our own anchors.',
      ),
  })
  .describe('Whom the mesh believes.');
