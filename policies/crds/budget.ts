/** Retry budget: how much load retries may add. Used by TrafficPolicy and, as the default, by Mesh. */
import { z } from 'zod';
import { durationBetween } from './formats.ts';
import { integer } from './schema.ts';

export const retryBudget = z.strictObject({
  percent: integer(0, 100)
    .default(20)
    .describe(
      'Retries to a destination, as a percentage of the requests to it: of those in flight, and of those of the last `interval`.',
    ),
  minConcurrency: integer(0, 10_000)
    .default(3)
    .describe('Retries in flight that are allowed however few requests are in flight.'),
  interval: durationBetween('1s', '1h').default('10s').describe('The span of time over which requests are counted.'),
  minRetryRate: integer(0, 1_000_000)
    .default(10)
    .describe('Retries a second that are allowed however few requests there were.'),
});
