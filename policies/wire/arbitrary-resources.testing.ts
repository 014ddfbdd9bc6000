import fc from 'fast-check';
import type { AccessLogFilter, LogFormat } from '../model/access-log.ts';
import type { Address, AppProtocol, ConnectionRoutes, ServicePort } from '../model/address.ts';
import { leastRequest } from '../model/balancer.ts';
import type { Cluster, Endpoint, EndpointAssignment } from '../model/cluster.ts';
import type { HttpEdge } from '../model/edge.ts';
import type { Http2Options } from '../model/http2-options.ts';
import type { FilterChain, HttpConnectionManager, Listener } from '../model/listener.ts';
import type { LatencyOutliers, OutlierDetection } from '../model/outlier.ts';
import type { ForwardAction, Route, RouteConfiguration } from '../model/route.ts';
import type { ResourceKind, ResourceMap } from '../model/snapshot.ts';
import { defaultUpstreamConnections, type UpstreamConnections } from '../model/upstream-connections.ts';
import { balancing, hashKey } from './arbitrary-balancing.testing.ts';
import { withHealthChecks } from './arbitrary-health.testing.ts';
import { overloadFilter } from './arbitrary-overload.testing.ts';
import { hedgePolicy, retryPolicy } from './arbitrary-retries.testing.ts';
import {
  mirrorDiff,
  mirrors,
  routeFilters,
  share,
  tcpFault,
  trafficFilter,
} from './arbitrary-route-filters.testing.ts';
import {
  alpn,
  cidr,
  count,
  downstreamTls,
  headerMatch,
  ms,
  mutation,
  name,
  optional,
  pattern,
  percent,
  port,
  positiveMs,
  queryMatch,
  rbac,
  socketAddress,
  spiffeId,
  text,
  upstreamTls,
} from './arbitrary-values.testing.ts';

/** Any value of the model that the wire can carry, for property tests of what encodes or consumes it. */

const uriText = fc.string({ unit: 'grapheme-ascii', maxLength: 12 }).map((t) => t.replaceAll(/[ #]/g, ''));
const rewrite = fc.record({
  kind: fc.constantFrom('prefix' as const, 'full' as const),
  value: uriText.map((t) => `/${t}`),
});
const forward: fc.Arbitrary<ForwardAction> = fc
  .record({
    kind: fc.constant('forward' as const),
    clusters: fc
      .array(
        fc.record({
          name: fc.oneof(fc.constant(''), name),
          weight: fc.integer({ min: 0, max: 1000 }),
          requestHeaders: mutation,
          responseHeaders: mutation,
        }),
        { minLength: 1, maxLength: 3 },
      )
      .filter((clusters) => clusters.some(({ weight }) => weight > 0)),
    timeoutMs: ms,
    idleTimeoutMs: ms,
    retry: optional(retryPolicy),
    hostRewrite: optional(name),
    pathRewrite: optional(rewrite),
    more: fc.record(
      {
        hostRewriteHeader: fc.constantFrom('x-host'),
        appendForwardedHost: fc.constant(true as const),
        streamDurationMsMax: ms,
        grpcTimeoutMsMax: ms,
        mirrors,
        mirrorDiff,
        hedge: hedgePolicy,
        hashKeys: fc.array(hashKey, { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: [] },
    ),
  })
  // One of the two says the host.
  .map(({ more, ...all }) => ({
    ...all,
    ...more,
    hostRewrite: 'hostRewriteHeader' in more ? undefined : all.hostRewrite,
  }));

const plainRoute: fc.Arbitrary<Route> = fc.record({
  name: text,
  match: fc.record(
    {
      path: fc.oneof(
        fc.record({ kind: fc.constantFrom('prefix' as const, 'exact' as const), value: text.map((t) => `/${t}`) }),
        fc.record({ kind: fc.constant('pathSeparatedPrefix' as const), value: name.map((n) => `/${n}x`) }),
        fc.record({ kind: fc.constant('regex' as const), value: pattern }),
      ),
      caseSensitive: fc.boolean(),
      headers: fc.array(headerMatch, { maxLength: 2 }),
      queryParameters: fc.array(queryMatch, { maxLength: 2 }),
      share,
    },
    { requiredKeys: ['path', 'caseSensitive', 'headers', 'queryParameters'] },
  ),
  action: fc.oneof(
    forward,
    fc.record({
      kind: fc.constant('redirect' as const),
      status: fc.constantFrom(301 as const, 302 as const, 303 as const, 307 as const, 308 as const),
      scheme: optional(fc.constantFrom('http', 'https')),
      host: optional(name),
      port: optional(port),
      path: optional(rewrite),
    }),
    fc.record({
      kind: fc.constant('direct' as const),
      status: fc.integer({ min: 200, max: 599 }),
      body: text,
    }),
  ),
  requestHeaders: mutation,
  responseHeaders: mutation,
});

const route: fc.Arbitrary<Route> = fc
  .tuple(plainRoute, routeFilters)
  .map(([one, filters]) => (filters.length === 0 ? one : { ...one, filters }));

const attemptCount = fc.constantFrom(
  undefined,
  { inRequest: true, inResponse: false },
  { inRequest: false, inResponse: true },
  { inRequest: true, inResponse: true },
);
const routeConfiguration: fc.Arbitrary<RouteConfiguration> = fc
  .record({
    name,
    hosts: fc.uniqueArray(fc.tuple(name, fc.array(route, { maxLength: 3 }), attemptCount), {
      maxLength: 2,
      selector: ([n]) => n,
    }),
  })
  .map(({ name, hosts }) => ({
    name,
    virtualHosts: hosts.map(([host, routes, counted]) => ({
      name: host,
      domains: [host, `*.${host}`],
      routes,
      ...(counted === undefined ? {} : { attemptCount: counted }),
    })),
  }));

const operators = fc.constantFrom(
  'plain',
  '%START_TIME(%Y-%m-%dT%H:%M:%E3S%z)%',
  '"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH):64%" %% %RESPONSE_CODE%',
);
const logFormat: fc.Arbitrary<LogFormat> = fc.oneof(
  fc.record({ kind: fc.constant('text' as const), text: operators, omitEmptyValues: fc.boolean() }),
  fc.record({
    kind: fc.constant('json' as const),
    value: fc.record({ a: operators, b: fc.constantFrom(1, true, null), c: fc.record({ d: fc.array(operators) }) }),
    omitEmptyValues: fc.boolean(),
  }),
);
const logFilter: fc.Arbitrary<AccessLogFilter> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('status' as const, 'duration' as const),
    op: fc.constantFrom('eq' as const, 'ge' as const, 'le' as const),
    value: count,
  }),
  fc.record({ kind: fc.constant('flags' as const), flags: fc.array(fc.constantFrom('UF', 'NR'), { maxLength: 2 }) }),
  fc.record({ kind: fc.constant('header' as const), match: headerMatch }),
  fc.record({
    kind: fc.constantFrom('and' as const, 'or' as const),
    filters: fc.constant([{ kind: 'not-health-check' as const }, { kind: 'flags' as const, flags: [] }]),
  }),
);
const accessLogs = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constantFrom('stdout' as const, 'stderr' as const),
      path: fc.constant(''),
      format: optional(logFormat),
      filter: optional(logFilter),
    }),
    fc.record({
      kind: fc.constant('file' as const),
      path: name,
      format: optional(logFormat),
      filter: optional(logFilter),
    }),
  ),
  { maxLength: 2 },
);
const edge: fc.Arbitrary<HttpEdge> = fc
  .record({
    useRemoteAddress: fc.boolean(),
    appendForwardedFor: fc.boolean(),
    requestId: fc.record({ generate: fc.boolean(), preserveExternal: fc.boolean(), inResponse: fc.boolean() }),
    serverHeader: fc.oneof(
      fc.constant({ mode: 'passthrough' as const, name: '' }),
      fc.record({ mode: fc.constantFrom('overwrite' as const, 'append-if-absent' as const), name }),
    ),
    via: fc.constantFrom('', 'weft'),
    clientCert: fc.record({
      mode: fc.constantFrom(
        'sanitize' as const,
        'forward-only' as const,
        'append-forward' as const,
        'sanitize-set' as const,
        'always-forward-only' as const,
      ),
      dns: fc.boolean(),
      uri: fc.boolean(),
    }),
    hostPort: fc.constantFrom('keep' as const, 'strip-matching' as const, 'strip-any' as const),
    underscores: fc.constantFrom('allow' as const, 'reject' as const, 'drop' as const),
    upgrades: fc.constantFrom(undefined, [], ['websocket', 'connect']),
    mergeSlashes: fc.boolean(),
    escapedSlashes: fc.constantFrom('keep' as const, 'reject' as const, 'redirect' as const, 'forward' as const),
  })
  // Inside, every id is kept.
  .map((all) => ({
    ...all,
    requestId: { ...all.requestId, preserveExternal: all.requestId.preserveExternal || !all.useRemoteAddress },
  }));
const streams = fc.integer({ min: 1, max: 2_147_483_647 });
const windowBytes = fc.integer({ min: 65_535, max: 2_147_483_647 });
const http2Options: fc.Arbitrary<Http2Options> = fc.record({
  streamWindowBytes: windowBytes,
  connectionWindowBytes: windowBytes,
  headerTableBytes: fc.integer({ min: 0, max: 65_536 }),
  connectProtocol: fc.boolean(),
  keepAlive: optional(fc.record({ intervalMs: positiveMs, timeoutMs: positiveMs })),
});
const dnsCache = fc.record({ name, hostsMax: streams, refreshMs: positiveMs, idleMs: positiveMs });
const manager: fc.Arbitrary<HttpConnectionManager> = fc.record({
  kind: fc.constant('http' as const),
  statPrefix: name,
  codec: fc.constantFrom('auto' as const, 'http1' as const, 'http2' as const),
  route: fc.oneof(
    fc.record({ kind: fc.constant('inline' as const), config: routeConfiguration }),
    fc.record({ kind: fc.constant('rds' as const), name }),
  ),
  filters: fc
    .array(
      fc.oneof(
        fc.record({ kind: fc.constant('rbac' as const), name, rbac }),
        trafficFilter,
        overloadFilter,
        fc.record({ kind: fc.constant('dynamic-dns' as const), name, cache: dnsCache }),
      ),
      { maxLength: 2 },
    )
    .map((filters) => [...filters, { kind: 'router' as const }]),
  limits: fc.record({
    requestLineBytesMax: fc.constant(0),
    fieldLineBytesMax: fc.constant(0),
    requestBodyBytesMax: fc.constant(0),
    headBytesMax: fc.integer({ min: 1, max: 8192 }).map((kib) => kib * 1024),
    headersCountMax: fc.integer({ min: 1, max: 10_000 }),
    requestTimeoutMs: ms,
    headTimeoutMs: ms,
    streamIdleTimeoutMs: ms,
    idleTimeoutMs: ms,
    requestsPerConnectionMax: count,
    connectionDurationMsMax: ms,
    drainTimeoutMs: ms,
    streamDurationMsMax: ms,
    lingerTimeoutMs: ms,
    http10Accepted: fc.constant(true),
    http10DefaultHost: fc.constantFrom('', 'shop.example:8080'),
    concurrentStreamsMax: streams,
    http2: http2Options,
  }),
  edge,
  trustedHops: fc.integer({ min: 0, max: 5 }),
  accessLogs,
});
const filterChain: fc.Arbitrary<FilterChain> = fc.record(
  {
    name: text,
    match: fc.record({
      destinationPort: optional(port),
      destinationRanges: fc.array(cidr, { maxLength: 2 }),
      serverNames: fc.array(name, { maxLength: 2 }),
      transportProtocol: fc.constantFrom('tls' as const, 'raw_buffer' as const, undefined),
      applicationProtocols: alpn,
    }),
    tls: optional(downstreamTls),
    networkRbac: fc.array(rbac, { maxLength: 1 }),
    terminal: fc.oneof(
      manager,
      fc.record({
        kind: fc.constant('tcp' as const),
        statPrefix: name,
        clusters: fc.array(fc.record({ name, weight: count }), { minLength: 1, maxLength: 3 }),
        idleTimeoutMs: ms,
        accessLogs,
      }),
      fc.record({
        kind: fc.constant('tcp' as const),
        statPrefix: name,
        clusters: fc.constant([{ name: 'one', weight: 1 }]),
        idleTimeoutMs: ms,
        accessLogs,
        hashesSource: fc.constant(true as const),
      }),
    ),
    serverNameProxy: fc.record({ cache: dnsCache, port }),
    outside: fc.record({ service: text }),
  },
  { requiredKeys: ['name', 'match', 'tls', 'networkRbac', 'terminal'] },
);
const listener: fc.Arbitrary<Listener> = fc.record({
  name: text,
  direction: fc.constantFrom('inbound' as const, 'outbound' as const),
  addresses: fc.array(socketAddress, { minLength: 1, maxLength: 3 }),
  useOriginalDst: fc.boolean(),
  detectTls: fc.boolean(),
  detectHttp: fc.boolean(),
  proxyProtocol: fc.boolean(),
  detectTimeoutMs: ms,
  filterChains: fc.array(filterChain, { minLength: 1, maxLength: 2 }),
  defaultFilterChain: optional(filterChain),
  settings: optional(
    fc.record({
      tracing: optional(
        fc.record({
          otlpEndpoint: fc.constantFrom('http://otel:4318', 'https://[fd00::1]:4317'),
          otlpProtocol: fc.constantFrom('grpc' as const, 'http' as const),
          samplingPercent: percent,
        }),
      ),
      accessLog: fc.constantFrom('none' as const, 'errors' as const, 'all' as const),
      workloadName: text,
      serviceName: text,
    }),
  ),
});

const traced = (listeners: fc.Arbitrary<Listener>): fc.Arbitrary<Listener> =>
  fc.tuple(listeners, fc.boolean()).map(([all, restarts]) => (restarts ? { ...all, traceContext: 'restart' } : all));

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
        hints: fc.record({ zones: names, nodes: names }),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([always, sometimes]) => ({ ...always, ...sometimes }));
/** On the wire endpoints stand in groups of one priority and zone, in order of first appearance. */
const endpoints: fc.Arbitrary<EndpointAssignment> = fc
  .record({ clusterName: name, endpoints: fc.array(endpoint, { maxLength: 6 }) })
  .map((assignment) => ({
    ...assignment,
    endpoints: [...Map.groupBy(assignment.endpoints, ({ priority, zone }) => `${priority}/${zone}`).values()].flat(),
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
const cluster: fc.Arbitrary<Cluster> = fc
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

const protocol = fc.constantFrom<AppProtocol>('detect', 'tcp', 'http', 'http2', 'grpc', 'tls');
const weightedTcp = fc.array(fc.record({ name: text, weight: fc.nat(1_000_000) }), { maxLength: 3 });
const connectionRoutes: fc.Arbitrary<ConnectionRoutes> = fc.oneof(
  fc.record({ kind: fc.constant('weighted' as const), clusters: weightedTcp }),
  fc.record({
    kind: fc.constant('server-names' as const),
    routes: fc.array(fc.record({ serverNames: fc.array(text, { maxLength: 2 }), clusters: weightedTcp }), {
      maxLength: 2,
    }),
  }),
);

const ports: fc.Arbitrary<ServicePort[]> = fc.array(
  fc.record(
    { port, protocol, routeConfiguration: text, cluster: text, connections: connectionRoutes },
    { requiredKeys: ['port', 'protocol', 'routeConfiguration', 'cluster'] },
  ),
  { maxLength: 3 },
);
const nodeName = fc.constantFrom({}, { node: 'node-1' });
const address: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ kind: fc.constant('service' as const), namespace: text, name: text, ports }),
  fc
    .tuple(
      nodeName,
      fc.record({
        kind: fc.constant('workload' as const),
        namespace: text,
        name: text,
        spiffeId,
        workloadName: text,
        zone: text,
        mtls: fc.boolean(),
        service: text,
        ports,
        terminating: fc.boolean(),
      }),
    )
    .map(([node, all]) => ({ ...all, ...node })),
);

/** Records of fast-check have no prototype now and then; a clone always has the usual one. */
const plain = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> => arbitrary.map((value) => structuredClone(value));

export const arbitraryResources: { readonly [K in ResourceKind]: fc.Arbitrary<ResourceMap[K]> } = {
  address: plain(address),
  listener: plain(traced(listener)),
  route: plain(routeConfiguration),
  cluster: plain(withHealthChecks(cluster)),
  endpoints: plain(endpoints),
};
