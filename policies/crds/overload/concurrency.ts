/** `concurrency`, `priorities` and `queue` of an `OverloadPolicy`. */
import { z } from 'zod';
import { acceptedDurationMs } from '../duration.ts';
import { durationBetween } from '../formats.ts';
import { integer, mapOf, withRules } from '../schema.ts';
import { requestMatches } from './match.ts';
import { partName } from './rate-limits.ts';

const requestsMax = 100_000;

const minRtt = z.strictObject({
  interval: durationBetween('1s', '1h').default('60s').describe('How often the latency without load is measured anew.'),
  samples: integer(5, 10_000).default(50).describe('Responses that a measurement takes.'),
  jitterPercent: integer(0, 100).default(15).describe('What is added to the interval at random, at most.'),
  bufferPercent: integer(0, 1_000)
    .default(25)
    .describe('How much slower than without load responses may be before the limit is lowered.'),
});

const adaptive = withRules(
  z.strictObject({
    minLimit: integer(1, requestsMax).default(3).describe('The limit never goes below it.'),
    maxLimit: integer(1, requestsMax).default(1_000).describe('The limit never goes above it.'),
    updateInterval: durationBetween('10ms', '10s').default('100ms').describe('How often the limit is set anew.'),
    percentile: integer(1, 99).default(50).describe('Which of the latencies of an interval counts.'),
    minRtt: minRtt.prefault({}).describe('How the latency without load is found.'),
  }),
  [
    {
      cel: 'self.minLimit <= self.maxLimit',
      message: 'minLimit must not be above maxLimit',
      path: ['minLimit'],
      check: (value) => value.minLimit <= value.maxLimit,
    },
  ],
);

export const concurrency = withRules(
  z.strictObject({
    fixed: integer(1, requestsMax).optional().describe('Requests under way at once.'),
    adaptive: adaptive
      .optional()
      .describe('A limit that follows the latency of responses: it grows until they become slower.'),
  }),
  [
    {
      cel: 'has(self.fixed) != has(self.adaptive)',
      message: 'set one of fixed and adaptive',
      check: (value) => (value.fixed === undefined) !== (value.adaptive === undefined),
    },
  ],
);

const priorityClass = z.strictObject({
  name: partName().describe('Shown in metrics.'),
  match: requestMatches()
    .optional()
    .describe('Requests, any of which matches; the first class that matches counts. Without it, every request.'),
  weight: integer(1, 1_000)
    .default(10)
    .describe('Share of the class among those that wait. One of 1000 beside one of 1 goes first nearly always.'),
});

export const priorities = withRules(
  z.strictObject({
    classes: mapOf(priorityClass, 'name', { min: 1, max: 8 }).describe('In the order in which they are tried.'),
    defaultClass: partName()
      .optional()
      .describe('For requests that no class matches. Without it, a class `default` of weight 10.'),
  }),
  [
    {
      cel: '!has(self.defaultClass) || self.classes.exists(c, c.name == self.defaultClass)',
      message: 'must be the name of one of the classes',
      path: ['defaultClass'],
      check: (value) =>
        value.defaultClass === undefined || value.classes.some((one) => one.name === value.defaultClass),
    },
  ],
);

export const queue = withRules(
  z.strictObject({
    maxLength: integer(0, requestsMax).default(1_000).describe('Requests that wait for a place; 0: none.'),
    maxWait: durationBetween('1ms', '60s').default('1s').describe('How long one waits.'),
    target: durationBetween('1ms', '10s')
      .default('5ms')
      .describe(
        'How long one waits once there has been no end of waiting for a whole `interval`; in a class of more weight than the lightest as many times longer.',
      ),
    interval: durationBetween('1ms', '60s')
      .default('100ms')
      .describe('How long a queue may stand before it counts as overload rather than as a burst.'),
  }),
  [
    {
      cel: 'duration(self.target) <= duration(self.maxWait)',
      message: 'target must not be longer than maxWait',
      path: ['target'],
      check: (value) => acceptedDurationMs(value.target) <= acceptedDurationMs(value.maxWait),
    },
  ],
);
