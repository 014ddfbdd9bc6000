/** `spec.loadBalancer` of a TrafficPolicy: how an endpoint is picked. */
import { z } from 'zod';
import { durationBetween } from '../formats.ts';
import { integer, withRules } from '../schema.ts';
import { hashKeys } from './hash-keys.ts';

const balancerTypes = [
  'PeakEWMA',
  'LeastRequest',
  'RoundRobin',
  'Random',
  'RingHash',
  'Maglev',
  'LoadReported',
] as const;

const ringHash = withRules(
  z.strictObject({
    minimumSize: integer(1, 8_388_608)
      .default(1_024)
      .describe('Places on the ring at least; more places, evener load.'),
    maximumSize: integer(1, 8_388_608).default(8_388_608).describe('Places on the ring at most.'),
  }),
  [
    {
      cel: 'self.minimumSize <= self.maximumSize',
      message: 'minimumSize must not be more than maximumSize; raise maximumSize',
      path: ['minimumSize'],
      check: (value) => value.minimumSize <= value.maximumSize,
    },
  ],
);

const loadReported = z.strictObject({
  blackout: durationBetween('0s', '1h')
    .default('10s')
    .describe('Reports of an endpoint count only when they have come for so long.'),
  expiration: durationBetween('0s', '24h')
    .default('3m')
    .describe('An endpoint that has not reported for so long weighs as much as the others do on average; 0s is never.'),
  updatePeriod: durationBetween('100ms', '1h').default('1s').describe('How often weights are computed anew.'),
  errorPenaltyPercent: integer(0, 10_000)
    .default(100)
    .describe('How much errors per request weigh beside utilization.'),
});

const slowStart = z.strictObject({
  window: durationBetween('1ms', '1h').describe('How long an endpoint that is new gets less than its share.'),
  aggressionPercent: integer(1, 10_000)
    .default(100)
    .describe('100: the share grows evenly with time; more: faster at first; less: slower at first.'),
  minWeightPercent: integer(1, 100).default(10).describe('The share at the beginning.'),
});

const zoneAware = z.strictObject({
  enabledPercent: integer(0, 100).default(100).describe('The share of requests that zones count for.'),
  minEndpoints: integer(1, 100_000).default(6).describe('With fewer usable endpoints, zones do not count.'),
});

const hashes = (type: string): boolean => type === 'RingHash' || type === 'Maglev';

export const loadBalancer = withRules(
  z.strictObject({
    type: z
      .enum(balancerTypes)
      .default('PeakEWMA')
      .describe(
        'PeakEWMA takes of two endpoints drawn at random the one that promises to be quicker, by its latency and what is under way to it; LeastRequest the less busy of some drawn at random; RingHash and Maglev send the same `hashKeys` to the same endpoint; LoadReported weighs endpoints by the load that they report (ORCA).',
      ),
    peakEwma: z
      .strictObject({
        decay: durationBetween('100ms', '1h').default('10s').describe('How fast a peak of latency is forgotten.'),
      })
      .optional()
      .describe('For type PeakEWMA. Proxies other than Weft take the less busy of two endpoints instead.'),
    leastRequest: z
      .strictObject({ choices: integer(2, 100).default(2).describe('How many endpoints are drawn.') })
      .optional()
      .describe('For type LeastRequest.'),
    ringHash: ringHash.optional().describe('For type RingHash.'),
    loadReported: loadReported.optional().describe('For type LoadReported.'),
    hashKeys: hashKeys.optional().describe('What decides about the endpoint, for types RingHash and Maglev.'),
    slowStart: slowStart.optional().describe('For types PeakEWMA, LeastRequest and RoundRobin.'),
    subset: z
      .strictObject({ size: integer(1, 10_000).describe('About how many endpoints a client uses.') })
      .optional()
      .describe('Each client uses a part of the endpoints, always the same; proxies other than Weft use all.'),
    zoneAware: zoneAware
      .optional()
      .describe(
        'Traffic stays in the zone of the client as far as that zone has its share of the endpoints; the rest goes where there are more than their share.',
      ),
    panicThresholdPercent: integer(0, 100)
      .optional()
      .describe('With fewer healthy endpoints than this, all of them get traffic; 0, the default, is never.'),
  }),
  [
    {
      cel: "has(self.hashKeys) == (self.type in ['RingHash', 'Maglev'])",
      message: 'hashKeys are for types RingHash and Maglev, which need them',
      path: ['hashKeys'],
      check: (value) => (value.hashKeys !== undefined) === hashes(value.type),
    },
    {
      cel: "!has(self.peakEwma) || self.type == 'PeakEWMA'",
      message: 'is for type PeakEWMA; remove it, or change the type',
      path: ['peakEwma'],
      check: (value) => value.peakEwma === undefined || value.type === 'PeakEWMA',
    },
    {
      cel: "!has(self.leastRequest) || self.type == 'LeastRequest'",
      message: 'is for type LeastRequest; remove it, or change the type',
      path: ['leastRequest'],
      check: (value) => value.leastRequest === undefined || value.type === 'LeastRequest',
    },
    {
      cel: "!has(self.ringHash) || self.type == 'RingHash'",
      message: 'is for type RingHash; remove it, or change the type',
      path: ['ringHash'],
      check: (value) => value.ringHash === undefined || value.type === 'RingHash',
    },
    {
      cel: "!has(self.loadReported) || self.type == 'LoadReported'",
      message: 'is for type LoadReported; remove it, or change the type',
      path: ['loadReported'],
      check: (value) => value.loadReported === undefined || value.type === 'LoadReported',
    },
    {
      cel: "!has(self.slowStart) || self.type in ['PeakEWMA', 'LeastRequest', 'RoundRobin']",
      message: 'is for types PeakEWMA, LeastRequest and RoundRobin; remove it, or change the type',
      path: ['slowStart'],
      check: (value) =>
        value.slowStart === undefined || ['PeakEWMA', 'LeastRequest', 'RoundRobin'].includes(value.type),
    },
    {
      cel: "!(has(self.subset) || has(self.zoneAware)) || !(self.type in ['RingHash', 'Maglev'])",
      message: 'RingHash and Maglev pick among all endpoints; remove subset and zoneAware, or change the type',
      path: ['type'],
      check: (value) => (value.subset === undefined && value.zoneAware === undefined) || !hashes(value.type),
    },
  ],
);
