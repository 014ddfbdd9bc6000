/** `ReferenceGrant` of the Gateway API: lets objects of other namespaces refer to objects of this one. */
import { z } from 'zod';
import { apiGroup, dnsLabel, kindName } from '../formats.ts';
import { listOf } from '../schema.ts';

export const referenceGrantSpec = z
  .strictObject({
    from: listOf(
      z.strictObject({
        group: apiGroup().describe('API group of the objects that refer.'),
        kind: kindName().describe('Kind of the objects that refer.'),
        namespace: dnsLabel().describe('Namespace of the objects that refer.'),
      }),
      { min: 1, max: 16 },
    ).describe('Who may refer.'),
    to: listOf(
      z.strictObject({
        group: apiGroup().describe('API group of the objects referred to.'),
        kind: kindName().describe('Kind of the objects referred to.'),
        name: z.string().min(1).max(253).optional().describe('Name of the object; without it, all of the kind.'),
      }),
      { min: 1, max: 16 },
    ).describe('What may be referred to.'),
  })
  .describe('The desired grant.');
