/** `spec.mirrorDiff` of a TrafficPolicy: how answers to copies of requests are compared with the real ones. */
import { z } from 'zod';
import { headerName } from '../formats.ts';
import { integer, setOf } from '../schema.ts';

export const mirrorDiff = z.strictObject({
  headers: setOf(headerName(), { max: 16 })
    .default([])
    .describe('Response headers that are compared, in any case. Status and body always are.'),
  ignoreBody: z.boolean().default(false).describe('Leave bodies out.'),
  sampleBytesMax: integer(0, 16_777_216)
    .default(65_536)
    .describe('So many bytes of each body go into its hash; beyond them only lengths are compared.'),
});
