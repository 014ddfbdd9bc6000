/** `spec.hedging` of a TrafficPolicy: a second attempt beside one that is slow. */
import { z } from 'zod';
import { durationBetween } from '../formats.ts';
import { integer, withRules } from '../schema.ts';

export const hedging = withRules(
  z.strictObject({
    delay: durationBetween('1ms', '10m').optional().describe('How long an attempt may be silent before another one.'),
    percentile: z
      .number()
      .min(50)
      .max(99.9)
      .optional()
      .describe(
        'The delay is what this percentage of the recent answers of the destination took. Nothing is hedged before a hundred of them are known.',
      ),
    minDelay: durationBetween('1ms', '10m').default('1ms').describe('With `percentile`, the shortest delay.'),
    maxAttempts: integer(2, 5)
      .default(2)
      .describe('Attempts at one request at a time, the first included. Each further one counts as a retry.'),
  }),
  [
    {
      cel: 'has(self.delay) != has(self.percentile)',
      message: 'set one of delay and percentile',
      check: (value) => (value.delay === undefined) !== (value.percentile === undefined),
    },
  ],
);
