import fc from 'fast-check';
import type { AccessLogFilter, LogFormat } from '../model/access-log.ts';
import type { HttpEdge } from '../model/edge.ts';
import type { Http2Options } from '../model/http2-options.ts';
import type { FilterChain, HttpConnectionManager, Listener } from '../model/listener.ts';
import type { LocalReplies } from '../model/local-reply.ts';
import { extAuthz } from './arbitrary-ext-authz.testing.ts';
import { jwtFilter } from './arbitrary-jwt.testing.ts';
import { overloadFilter } from './arbitrary-overload.testing.ts';
import { trafficFilter } from './arbitrary-route-filters.testing.ts';
import { routeConfiguration } from './arbitrary-routes.testing.ts';
import {
  alpn,
  cidr,
  count,
  downstreamTls,
  headerMatch,
  ms,
  mutation,
  mutationStep,
  name,
  optional,
  percent,
  port,
  positiveMs,
  rbac,
  socketAddress,
  text,
} from './arbitrary-values.testing.ts';

const operators = fc.constantFrom(
  'plain',
  '%START_TIME(%Y-%m-%dT%H:%M:%E3S%z)%',
  '"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH):64%" %% %RESPONSE_CODE%',
  '%COMMON_DURATION(DS_RX_BEG:US_TX_END:us)% %COALESCE({"operators": ["TRACE_ID", {"command": "REQ", "param": "a"}]}):9%',
  '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)% %PATH(NQ:ORIG)% %REQUESTED_SERVER_NAME(SNI_FIRST:HOST)%',
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
    kind: fc.constant('grpc-status' as const),
    codes: fc.array(fc.integer({ min: 0, max: 16 }), { maxLength: 3 }),
    exclude: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('share' as const),
    fraction: fc.record({ numerator: count, denominator: fc.constantFrom(100 as const, 10_000 as const) }),
    independent: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('log-type' as const), http: fc.boolean(), tcp: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom('and' as const, 'or' as const),
    filters: fc.constant([{ kind: 'not-health-check' as const }, { kind: 'flags' as const, flags: [] }]),
  }),
);
const localReplyFormat = fc.record({
  format: logFormat,
  contentType: fc.constantFrom('text/html; charset=utf-8', 'application/problem+json'),
});
const localReplies: fc.Arbitrary<LocalReplies> = fc.record({
  mappers: fc.array(
    fc.record({
      filter: logFilter,
      status: optional(fc.integer({ min: 200, max: 599 })),
      text: optional(fc.string()),
      body: optional(localReplyFormat),
      headers: mutation.map((headers) => ({ ...headers, remove: [] })),
    }),
    { maxLength: 2 },
  ),
  body: optional(localReplyFormat),
});
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
export const streams = fc.integer({ min: 1, max: 2_147_483_647 });
export const windowBytes = fc.integer({ min: 65_535, max: 2_147_483_647 });
export const http2Options: fc.Arbitrary<Http2Options> = fc.record({
  streamWindowBytes: windowBytes,
  connectionWindowBytes: windowBytes,
  headerTableBytes: fc.integer({ min: 0, max: 65_536 }),
  connectProtocol: fc.boolean(),
  keepAlive: optional(fc.record({ intervalMs: positiveMs, timeoutMs: positiveMs })),
});
export const dnsCache = fc.record({ name, hostsMax: streams, refreshMs: positiveMs, idleMs: positiveMs });
const headerNames = fc.array(fc.constantFrom('x-user', 'x-auth-', 'x_id'), { maxLength: 2 });
const headerMutation = fc.record({
  kind: fc.constant('headerMutation' as const),
  name,
  request: fc.array(mutationStep, { maxLength: 2 }),
  response: fc.array(mutationStep, { minLength: 1, maxLength: 2 }),
});
const manager: fc.Arbitrary<HttpConnectionManager> = fc.record(
  {
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
          jwtFilter,
          fc.record({ kind: fc.constant('rbacShadow' as const), name, prefix: name, rbac }),
          fc.record({ kind: fc.constant('extAuthz' as const), name, authz: extAuthz }),
          fc.record({ kind: fc.constant('headerRemoval' as const), name, headers: headerNames }),
          fc.record({
            kind: fc.constant('reservedHeaders' as const),
            name,
            reserved: fc.record({ names: headerNames, prefixes: headerNames }),
          }),
          trafficFilter,
          overloadFilter,
          fc.record({ kind: fc.constant('dynamic-dns' as const), name, cache: dnsCache }),
        ),
        { maxLength: 2 },
      )
      .chain((filters) =>
        optional(headerMutation).map((last) => [
          ...filters,
          ...(last === undefined ? [] : [last]),
          { kind: 'router' as const },
        ]),
      ),
    limits: fc.record({
      requestLineBytesMax: count,
      fieldLineBytesMax: count,
      requestBodyBytesMax: count,
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
    localReplies,
  },
  {
    requiredKeys: ['kind', 'statPrefix', 'codec', 'route', 'filters', 'limits', 'edge', 'trustedHops', 'accessLogs'],
  },
);
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
export const listener: fc.Arbitrary<Listener> = fc.record({
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
      accessLog: fc.constantFrom('listener' as const, 'none' as const, 'errors' as const, 'all' as const),
      workloadName: text,
      serviceName: text,
    }),
  ),
});

export const traced = (listeners: fc.Arbitrary<Listener>): fc.Arbitrary<Listener> =>
  fc
    .tuple(listeners, fc.boolean(), optional(fc.integer({ min: 1, max: 0xffff_ffff })), fc.boolean())
    .map(([all, restarts, bufferBytesMax, closes]) => ({
      ...all,
      ...(closes && (all.detectTls || all.detectHttp) ? { closesUndetected: true } : {}),
      ...(restarts ? { traceContext: 'restart' } : {}),
      ...(bufferBytesMax === undefined ? {} : { bufferBytesMax }),
    }));
