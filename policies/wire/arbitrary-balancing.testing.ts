import fc from 'fast-check';
import type { Balancer, HashKey, SlowStart } from '../model/balancer.ts';
import type { Cluster } from '../model/cluster.ts';
import { ms, name, optional, percent, positiveMs } from './arbitrary-values.testing.ts';

/** Any balancer and hash key that the wire can carry. */

const slowStart: fc.Arbitrary<SlowStart> = fc.record({
  windowMs: positiveMs,
  aggression: fc.integer({ min: 1, max: 400 }).map((n) => n / 100),
  weightPercentMin: percent,
});
const ringSize = fc.integer({ min: 1, max: 8_388_608 });

const hashing: fc.Arbitrary<Balancer> = fc.oneof(
  fc
    .record({
      kind: fc.constant('ring-hash' as const),
      sizeMin: ringSize,
      sizeMax: ringSize,
      hashesSource: fc.boolean(),
    })
    .map((ring) => ({ ...ring, sizeMax: Math.max(ring.sizeMin, ring.sizeMax) })),
  fc.record({
    kind: fc.constant('maglev' as const),
    tableSize: fc.constantFrom(2, 251, 65_537, 5_000_011),
    hashesSource: fc.boolean(),
  }),
);

const others: fc.Arbitrary<Balancer> = fc.oneof(
  fc.record({ kind: fc.constant('peak-ewma' as const), decayMs: positiveMs, slowStart: optional(slowStart) }),
  fc.record({
    kind: fc.constant('least-request' as const),
    choices: fc.integer({ min: 2, max: 100 }),
    slowStart: optional(slowStart),
  }),
  fc.record({ kind: fc.constant('round-robin' as const), slowStart: optional(slowStart) }),
  fc.record({ kind: fc.constant('random' as const) }),
  fc.record({
    kind: fc.constant('load-reported' as const),
    blackoutMs: ms,
    expirationMs: ms,
    updateMs: fc.integer({ min: 100, max: 10_000 }),
    // A float of 32 bits on the wire.
    errorPenalty: fc.integer({ min: 0, max: 40 }).map((n) => n / 4),
  }),
);

const zoneAware = fc.record({ enabledPercent: percent, endpointsMin: fc.integer({ min: 0, max: 1_000 }) });

export const balancing: fc.Arbitrary<Pick<Cluster, 'balancer' | 'subset' | 'zoneAware'>> = fc.oneof(
  fc.record({ balancer: hashing }),
  fc.record(
    { balancer: others, subset: fc.record({ size: fc.integer({ min: 1, max: 10_000 }) }), zoneAware },
    { requiredKeys: ['balancer'] },
  ),
);

export const hashKey: fc.Arbitrary<HashKey> = fc.oneof(
  fc.record({ kind: fc.constant('header' as const), name: fc.constantFrom('x-user', ':path'), terminal: fc.boolean() }),
  fc.record({
    kind: fc.constant('cookie' as const),
    name: fc.constantFrom('session', 'a'),
    ttlMs: optional(ms),
    path: fc.constantFrom('', '/', '/shop'),
    terminal: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('query' as const), name, terminal: fc.boolean() }),
  fc.record({ kind: fc.constant('source-ip' as const), terminal: fc.boolean() }),
);
