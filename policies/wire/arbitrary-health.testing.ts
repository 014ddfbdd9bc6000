import fc from 'fast-check';
import type { Cluster } from '../model/cluster.ts';
import { type HealthCheck, type HealthProbe, healthCheckMethods, type StatusRange } from '../model/health-check.ts';
import {
  count,
  headerValue,
  ms,
  mutation,
  name,
  optional,
  port,
  positiveMs,
  text,
} from './arbitrary-values.testing.ts';

const ranges: fc.Arbitrary<StatusRange[]> = fc.array(
  fc.tuple(fc.integer({ min: 100, max: 599 }), fc.integer({ min: 1, max: 100 })).map(([start, length]) => ({
    start,
    end: Math.min(600, start + length),
  })),
  { maxLength: 3 },
);
const hex = fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex'));

const probe: fc.Arbitrary<HealthProbe> = fc.oneof(
  fc.record({
    kind: fc.constant('http' as const),
    method: fc.constantFrom(...healthCheckMethods),
    path: name.map((any) => `/${any}`),
    host: fc.oneof(fc.constant(''), name),
    headers: mutation,
    http2: fc.boolean(),
    expected: ranges,
    retriable: ranges,
  }),
  fc.record({
    kind: fc.constant('grpc' as const),
    service: text,
    authority: fc.oneof(fc.constant(''), name),
    metadata: fc.array(headerValue, { maxLength: 2 }),
  }),
  fc.record({
    kind: fc.constant('tcp' as const),
    send: fc.oneof(fc.constant(''), hex),
    receive: fc.array(hex, { maxLength: 2 }),
  }),
);

const atLeastOne = fc.integer({ min: 1, max: 1_000 });

const healthCheck: fc.Arbitrary<HealthCheck> = fc.record({
  probe,
  timeoutMs: positiveMs,
  intervalMs: positiveMs,
  initialJitterMs: ms,
  intervalJitterMs: ms,
  intervalJitterPercent: count,
  unhealthyThreshold: atLeastOne,
  healthyThreshold: atLeastOne,
  port: fc.oneof(fc.constant(0), port),
  reuseConnection: fc.boolean(),
  noTrafficIntervalMs: positiveMs,
  noTrafficHealthyIntervalMs: positiveMs,
  unhealthyIntervalMs: positiveMs,
  unhealthyEdgeIntervalMs: positiveMs,
  healthyEdgeIntervalMs: positiveMs,
  initially: fc.constantFrom('failed' as const, 'ignored' as const, 'healthy' as const),
});

/** Some of the clusters with a health check; not those whose endpoint the connection names. */
export const withHealthChecks = (clusters: fc.Arbitrary<Cluster>): fc.Arbitrary<Cluster> =>
  fc
    .tuple(clusters, optional(healthCheck))
    .map(([cluster, check]) =>
      check === undefined || cluster.discovery.kind === 'original-dst' || cluster.discovery.kind === 'dynamic'
        ? cluster
        : { ...cluster, healthCheck: check },
    );
