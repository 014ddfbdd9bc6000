/** `spec.circuitBreaker` of a TrafficPolicy: when to stop calling a destination that fails or is full. */
import { z } from 'zod';
import { durationBetween } from '../formats.ts';
import { integer, withRules } from '../schema.ts';

const errorRate = z.strictObject({
  thresholdPercent: integer(1, 100).default(50).describe('The breaker opens when this share of requests fails.'),
  volume: integer(1, 1_000_000).default(20).describe('It stays closed while there are fewer requests in the window.'),
  window: durationBetween('100ms', '10m').default('10s').describe('The span of time that is looked at.'),
  openFor: durationBetween('100ms', '1h')
    .default('30s')
    .describe('How long it refuses before one request is let through as a probe, which closes it if it succeeds.'),
});

const limit = () => integer(1, 1_000_000).optional();

const limits = withRules(
  z.strictObject({
    maxConnections: limit().describe('Open connections from one client to the destination.'),
    maxPendingRequests: limit().describe('Requests that wait for a connection.'),
    maxRequests: limit().describe('Requests in flight.'),
    maxRetries: limit().describe('Retries in flight. It takes the place of a budget; set only one of them.'),
  }),
  [
    {
      cel: 'has(self.maxConnections) || has(self.maxPendingRequests) || has(self.maxRequests) || has(self.maxRetries)',
      message: 'sets nothing; set a limit, or remove it',
      check: (value) => Object.values(value).some((one) => one !== undefined),
    },
  ],
);

export const circuitBreaker = withRules(
  z.strictObject({
    errorRate: errorRate.optional().describe('Opens when too many requests fail.'),
    limits: limits.optional().describe('Refuses what goes beyond a number at one time.'),
  }),
  [
    {
      cel: 'has(self.errorRate) || has(self.limits)',
      message: 'sets nothing; set errorRate ({} takes its defaults) or limits, or remove it',
      check: (value) => value.errorRate !== undefined || value.limits !== undefined,
    },
  ],
);
