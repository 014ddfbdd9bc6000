/** `rateLimits` of an `OverloadPolicy`. */
import { z } from 'zod';
import { durationBetween, requestHeaderName } from '../formats.ts';
import { integer, mapOf, text, withRules } from '../schema.ts';
import { requestMatches } from './match.ts';

const requestsMax = 1_000_000;

export const partName = (): z.ZodString =>
  text(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'a lowercase name such as `per-client`', { min: 1, max: 63 });

const key = withRules(
  z.strictObject({
    by: z
      .enum(['Header', 'Path', 'Identity'])
      .describe(
        'What tells requests apart: a header, the path without its query, or the SPIFFE ID of the caller (its address where it has none).',
      ),
    header: requestHeaderName().optional().describe('Name of the header; requests without it share one bucket.'),
    maxKeys: integer(1, 65_536)
      .default(10_000)
      .describe('Buckets that are kept. Beyond that the one that was used longest ago is given up, and counted.'),
  }),
  [
    {
      cel: "(self.by == 'Header') == has(self.header)",
      message: 'by: Header needs header, and nothing else has one',
      path: ['header'],
      check: (value) => (value.by === 'Header') === (value.header !== undefined),
    },
  ],
);

const rateLimit = withRules(
  z.strictObject({
    name: partName().describe('Shown in logs and metrics.'),
    match: requestMatches().optional().describe('Requests, any of which matches. Without it, every one.'),
    requests: integer(1, requestsMax).describe('Requests that are let through in each `per`.'),
    per: durationBetween('100ms', '24h').default('1s').describe('The time that `requests` is meant for.'),
    burst: integer(1, requestsMax)
      .optional()
      .describe('Requests that may come at once after a pause. Without it, as many as `requests`.'),
    key: key.optional().describe('One bucket for each value of this. Without it, one for all.'),
    scope: z
      .enum(['Local', 'Global'])
      .default('Local')
      .describe('Local: for each pod. Global: for all selected pods together, shared out by the control plane.'),
    status: integer(400, 599).default(429).describe('Status of the answer to a request that is too much.'),
    headers: z
      .boolean()
      .default(false)
      .describe('Whether responses carry `x-ratelimit-limit`, `x-ratelimit-remaining` and `x-ratelimit-reset`.'),
  }),
  [
    {
      cel: "self.scope == 'Local' || !has(self.key)",
      message: 'a Global limit is one for all requests that match; remove key',
      path: ['key'],
      check: (value) => value.scope === 'Local' || value.key === undefined,
    },
  ],
);

export const rateLimits = mapOf(rateLimit, 'name', { min: 1, max: 16 });
