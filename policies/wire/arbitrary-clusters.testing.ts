import fc from 'fast-check';
import { leastRequest } from '../model/balancer.ts';
import type { Cluster, Endpoint, EndpointAssignment } from '../model/cluster.ts';
import type { LatencyOutliers, OutlierDetection } from '../model/outlier.ts';
import { defaultUpstreamConnections, type UpstreamConnections } from '../model/upstream-connections.ts';
import { balancing } from './arbitrary-balancing.testing.ts';
import { dnsCache, http2Options, streams } from './arbitrary-listeners.testing.ts';
import { tcpFault } from './arbitrary-route-filters.testing.ts';
import {
  count,
  ms,
  name,
  optional,
  percent,
  port,
  positiveMs,
  socketAddress,
  spiffeId,
  text,
  upstreamTls,
} from './arbitrary-values.testing.ts';

const consecutive = fc.record({ errorsMax: count, enforcedPercent: fc.integer({ min: 0, max: 100 }) });
const enforced = {
  hostsMin: count,
  requestsMin: count,
  enforcedPercent: fc.integer({ min: 0, max: 100 }),
  localEnforcedPercent: fc.integer({ min: 0, max: 100 }),
};
const latencyOutliers: fc.Arbitrary<LatencyOutliers> = fc.record({
  factor: fc.integer({ min: 110, max: 10_000 }).map((n) => n / 100),
  percentile: fc.integer({ min: 1, max: 99 }),
  differenceMsMin: ms,
  hostsMin: count,
  requestsMin: count,
  enforcedPercent: fc.integer({ min: 0, max: 100 }),
});
const envoyOutlier: fc.Arbitrary<OutlierDetection> = fc.record({
  intervalMs: positiveMs,
  baseEjectionTimeMs: positiveMs,
  ejectionTimeMsMax: positiveMs,
  ejectionTimeJitterMs: ms,
  ejectionPercentMax: fc.integer({ min: 0, max: 100 }),
  alwaysEjectOne: fc.boolean(),
  endedByHealthCheck: fc.boolean(),
  splitLocalErrors: fc.boolean(),
  consecutive: fc.record({ serverErrors: consecutive, gatewayErrors: consecutive, localErrors: consecutive }),
  successRate: fc.record({ ...enforced, deviations: fc.integer({ min: 0, max: 5_000 }).map((n) => n / 1_000) }),
  failurePercentage: fc.record({ ...enforced, thresholdPercent: fc.integer({ min: 0, max: 100 }) }),
});
const outlier: fc.Arbitrary<OutlierDetection> = fc
  .tuple(envoyOutlier, optional(latencyOutliers))
  .map(([of, latency]) => (latency === undefined ? of : { ...of, latency }));

const someEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  address: socketAddress,
  weight: fc.integer({ min: 1, max: 1000 }),
  priority: fc.integer({ min: 0, max: 2 }),
  zone: fc.constantFrom('', 'a', 'b'),
  health: fc.constantFrom('healthy' as const, 'unhealthy' as const, 'draining' as const),
  mtls: fc.boolean(),
  spiffeId: optional(spiffeId),
  workload: text,
});
const names = fc.array(name, { maxLength: 2 });
const endpoint: fc.Arbitrary<Endpoint> = fc
  .tuple(
    someEndpoint,
    fc.record(
      {
        alternatives: fc.array(socketAddress, { minLength: 1, maxLength: 2 }),
        node: name,
        region: name,
        subZone: name,
        hostname: name,
        hints: fc.record({ zones: names, nodes: names }),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([always, sometimes]) => ({ ...always, ...sometimes }));
/** On the wire endpoints stand in groups of one priority and locality, in order of first appearance. */
export const endpoints: fc.Arbitrary<EndpointAssignment> = fc
  .record({ clusterName: name, endpoints: fc.array(endpoint, { maxLength: 6 }) })
  .map((assignment) => ({
    ...assignment,
    endpoints: [
      ...Map.groupBy(assignment.endpoints, ({ priority, region, zone, subZone }) =>
        JSON.stringify([priority, region, zone, subZone]),
      ).values(),
    ].flat(),
  }));

const seconds = fc.integer({ min: 1, max: 32_767 }).map((n) => n * 1000);
const upstreamHttp2 = defaultUpstreamConnections.http2;
const connections: fc.Arbitrary<UpstreamConnections> = fc.record({
  durationMsMax: ms,
  streamDurationMsMax: ms,
  concurrentStreamsMax: streams,
  http2: http2Options.map((options) => ({ ...options, connectProtocol: false })),
  tcpKeepAlive: optional(
    fc.record({ probesMax: fc.integer({ min: 1, max: 127 }), idleMs: seconds, intervalMs: seconds }),
  ),
});
export const cluster: fc.Arbitrary<Cluster> = fc
  .record({
    name,
    discovery: fc.oneof(
      fc.record({ kind: fc.constant('eds' as const), serviceName: name }),
      fc.record({ kind: fc.constant('static' as const), assignment: endpoints }),
      fc.record({
        kind: fc.constant('strict-dns' as const),
        hosts: fc.array(fc.record({ host: name, port }), { maxLength: 3 }),
        refreshMs: positiveMs,
      }),
      fc.record({ kind: fc.constant('original-dst' as const) }),
      fc.record({ kind: fc.constant('dynamic' as const), cache: dnsCache, port, pattern: text }),
    ),
    sniFromHost: fc.boolean(),
    connectTimeoutMs: ms,
    idleTimeoutMs: ms,
    requestsPerConnectionMax: count,
    balancing,
    protocol: fc.constantFrom('http1' as const, 'http2' as const, 'downstream' as const, 'negotiated' as const),
    connections,
    bufferBytesMax: fc.integer({ min: 1, max: 0xffff_ffff }),
    limits: fc.record({
      connectionsMax: count,
      pendingRequestsMax: count,
      requestsMax: count,
      retriesMax: count,
      retryBudget: optional(
        fc.record(
          { percent, concurrencyMin: count, rate: fc.record({ intervalMs: positiveMs, perSecondMin: count }) },
          { requiredKeys: ['percent', 'concurrencyMin'] },
        ),
      ),
    }),
    errorRate: optional(
      fc.record({ thresholdPercent: percent, volumeMin: count, windowMs: positiveMs, openMs: positiveMs }),
    ),
    outlier: optional(outlier),
    healthyPanicPercent: percent,
    tls: optional(upstreamTls),
    meshTls: fc.boolean(),
    service: optional(fc.record({ namespace: text, name: text })),
  })
  .chain((all) =>
    fc
      .constantFrom(
        undefined,
        'prefer-zone' as const,
        'prefer-node' as const,
        'local-node' as const,
        'zone-hints' as const,
      )
      .map((locality) => (locality === undefined ? all : { ...all, locality })),
  )
  // Nothing is balanced where the connection names its endpoint; TLS of the cluster's own leaves no room for mesh TLS.
  .chain((all) => optional(tcpFault).map((fault) => (fault === undefined ? all : { ...all, fault })))
  .map(({ balancing, ...all }) => ({
    ...all,
    ...(all.discovery.kind === 'original-dst' || all.discovery.kind === 'dynamic'
      ? { balancer: leastRequest }
      : balancing),
    outlier: all.discovery.kind === 'original-dst' ? undefined : all.outlier,
    meshTls: all.meshTls && all.tls === undefined,
  }))
  // Of HTTP/1 there is nothing to say, and ALPN needs TLS.
  .map((all) => ({
    ...all,
    protocol: all.protocol === 'negotiated' && all.tls === undefined ? ('downstream' as const) : all.protocol,
  }))
  .map((all) => ({
    ...all,
    ...(all.protocol === 'http1'
      ? { connections: { ...all.connections, http2: upstreamHttp2, concurrentStreamsMax: 1_024 } }
      : {}),
    tls: all.tls && all.protocol === 'negotiated' ? { ...all.tls, alpn: ['h2', 'http/1.1'] } : all.tls,
  }))
  .map(({ sniFromHost, ...all }) => ({ ...all, ...(sniFromHost && all.tls !== undefined ? { sniFromHost } : {}) }));
