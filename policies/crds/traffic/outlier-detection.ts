/** `spec.outlierDetection` of a TrafficPolicy: endpoints that do worse than they should are left out for a while. */
import { z } from 'zod';
import { acceptedDurationMs } from '../duration.ts';
import { durationBetween } from '../formats.ts';
import { integer, withRules } from '../schema.ts';

const failuresInARow = () => integer(0, 1_000_000);

/** An endpoint is compared with others only when there are others, and when it has answered often enough. */
const compared = (minRequests: number) => ({
  minEndpoints: integer(1, 10_000).default(5).describe('Nothing is compared with fewer endpoints that have traffic.'),
  minRequests: integer(1, 1_000_000)
    .default(minRequests)
    .describe('An endpoint with fewer answers in an interval is not judged.'),
});

const successRate = z.strictObject({
  deviationsPercent: integer(1, 100_000)
    .default(190)
    .describe(
      'An endpoint is an outlier when its success rate is below the mean of all by more than this percentage of the standard deviation; 190 is 1.9 times.',
    ),
  ...compared(100),
});

const failurePercentage = z.strictObject({
  thresholdPercent: integer(1, 100).default(85).describe('An endpoint is an outlier when so many of its answers fail.'),
  ...compared(50),
});

const latency = z.strictObject({
  factorPercent: integer(110, 10_000)
    .default(300)
    .describe(
      'An endpoint is an outlier when it takes more than this percentage of what its peers take; 300 is three times.',
    ),
  percentile: integer(1, 99)
    .default(50)
    .describe('What is compared: the time until the head of the response, at this percentile of an interval.'),
  minDifference: durationBetween('0s', '1h')
    .default('10ms')
    .describe('It has to be slower by at least this, so that noise between fast endpoints is no outlier.'),
  minEndpoints: integer(2, 10_000).default(3).describe('Nothing is compared with fewer endpoints that have traffic.'),
  minRequests: integer(1, 1_000_000)
    .default(20)
    .describe('An endpoint with fewer answers in an interval is not judged.'),
});

export const outlierDetection = withRules(
  z.strictObject({
    consecutive5xx: failuresInARow()
      .default(5)
      .describe('Answers of 5xx in a row, lost and missing answers among them, that leave an endpoint out; 0: none.'),
    consecutiveGatewayErrors: failuresInARow()
      .optional()
      .describe('The same for 502, 503 and 504, lost and missing answers among them; 0: none.'),
    consecutiveLocalFailures: failuresInARow()
      .optional()
      .describe(
        'Connections that fail or are lost and answers that do not come, in a row. Set, these count apart from answers.',
      ),
    successRate: successRate.optional().describe('Compares success rates of endpoints in an interval.'),
    failurePercentage: failurePercentage.optional().describe('Looks at the failures of each endpoint in an interval.'),
    latency: latency
      .optional()
      .describe('Compares how long endpoints take to answer. Sidecars alone do this: Envoy has no such criterion.'),
    interval: durationBetween('10ms', '1h')
      .default('10s')
      .describe('How often endpoints are compared, and brought back when their time is over.'),
    baseEjectionTime: durationBetween('10ms', '24h')
      .default('30s')
      .describe('How long an endpoint is left out; times the number of its ejections so far.'),
    maxEjectionTime: durationBetween('10ms', '24h').default('5m').describe('It is never left out for longer.'),
    maxEjectionPercent: integer(0, 100)
      .default(50)
      .describe('So many of the endpoints may be left out at one time; a lone endpoint never is, below 100.'),
    enforcedPercent: integer(0, 100)
      .default(100)
      .describe('The share of outliers that are really left out; 0 only counts them, to try a policy out.'),
  }),
  [
    {
      cel: 'self.consecutive5xx > 0 || has(self.consecutiveGatewayErrors) || has(self.consecutiveLocalFailures) || has(self.successRate) || has(self.failurePercentage) || has(self.latency)',
      message: 'finds no outlier; set consecutive5xx above 0 or another criterion, or remove it',
      check: (value) =>
        value.consecutive5xx > 0 ||
        value.consecutiveGatewayErrors !== undefined ||
        value.consecutiveLocalFailures !== undefined ||
        value.successRate !== undefined ||
        value.failurePercentage !== undefined ||
        value.latency !== undefined,
    },
    {
      cel: 'duration(self.baseEjectionTime) <= duration(self.maxEjectionTime)',
      message: 'baseEjectionTime must not be longer than maxEjectionTime; raise maxEjectionTime (5m unless set)',
      path: ['baseEjectionTime'],
      check: (value) => acceptedDurationMs(value.baseEjectionTime) <= acceptedDurationMs(value.maxEjectionTime),
    },
  ],
);
