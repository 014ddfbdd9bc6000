/** Retry budget: how much load retries may add. Used by TrafficPolicy and, as the default, by Mesh. */
import { z } from 'zod';
import { integer } from './schema.ts';

export const retryBudget = z.strictObject({
  percent: integer(0, 100)
    .default(20)
    .describe('Retries in flight to a destination, as a percentage of the requests in flight to it.'),
  minConcurrency: integer(0, 10_000)
    .default(3)
    .describe('Retries in flight that are allowed however few requests there are.'),
});
