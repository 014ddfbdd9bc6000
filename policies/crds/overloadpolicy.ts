/** `OverloadPolicy`: how a server protects itself. */
import { z } from 'zod';
import { concurrency, priorities, queue } from './overload/concurrency.ts';
import { rateLimits } from './overload/rate-limits.ts';
import { requestLimits } from './overload/request-limits.ts';
import { withRules } from './schema.ts';
import { selector } from './workload.ts';

/** What a policy sets for a workload: of two policies the older one keeps a field. */
const settings = {
  rateLimits: rateLimits.optional().describe('How many requests are let through, by kind.'),
  concurrency: concurrency
    .optional()
    .describe('How many requests the application is given at once; what is more waits, or is answered 503.'),
  priorities: priorities.optional().describe('Which requests go first where not all can. Needs `concurrency`.'),
  queue: queue
    .optional()
    .describe(
      'How requests wait for a place. Needs `concurrency`; without it none waits, unless there are `priorities`.',
    ),
  requestLimits: requestLimits
    .optional()
    .describe(
      'What a request may be at most, and how long it may take to come. A sidecar reads the requests that its own workload makes by `maxHeadKiB` and `maxHeaders` too, where they are more than without a policy.',
    ),
};

export type OverloadPolicyField = keyof typeof settings;

export const overloadPolicyFields = Object.keys(settings) as readonly OverloadPolicyField[];

export const overloadPolicySpec = withRules(
  z.strictObject({
    selector: selector.optional().describe('The workloads that are protected. Without it, all of the namespace.'),
    ...settings,
  }),
  [
    {
      cel: overloadPolicyFields.map((field) => `has(self.${field})`).join(' || '),
      message: `does nothing; set one of ${overloadPolicyFields.join(', ')}`,
      check: (spec) => overloadPolicyFields.some((field) => spec[field] !== undefined),
    },
  ],
).describe(
  'The desired protection. Of two policies for one workload the older keeps a field, and the other is marked Conflicted.',
);
