import fc from 'fast-check';
import { formatSpiffeId, type TrustDomain } from '../identity/spiffe-id.ts';
import type { Address, AppProtocol, CidrRange, ServicePort, SocketAddress } from '../model/address.ts';
import type { Permission, Principal, Rbac } from '../model/authorization.ts';
import type { Cluster, Endpoint, EndpointAssignment } from '../model/cluster.ts';
import type { FilterChain, HttpConnectionManager, Listener } from '../model/listener.ts';
import type { HeaderMatch, QueryParameterMatch, StringMatch } from '../model/match.ts';
import type { ForwardAction, HeaderMutation, Route, RouteConfiguration } from '../model/route.ts';
import type { ResourceKind, ResourceMap } from '../model/snapshot.ts';
import type { CertificateRef, DownstreamTls, PeerValidation, PemSource, UpstreamTls } from '../model/tls.ts';
import { canonicalIp } from './values.ts';

/** Any value of the model that the wire can carry, for property tests of what encodes or consumes it. */

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const name = fc.stringMatching(/^[a-z][a-z0-9/._-]{0,15}$/);
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const port = fc.integer({ min: 1, max: 65_535 });
const ms = fc.integer({ min: 0, max: 10_000_000 });
const positiveMs = fc.integer({ min: 1, max: 10_000_000 });
const count = fc.integer({ min: 0, max: 4_294_967_295 });
const percent = fc.double({ min: 0, max: 100, noNaN: true }).map((n) => n + 0);

const ip = fc
  .oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::', '0.0.0.0'))
  .map((address) => canonicalIp(address) ?? '::');
const socketAddress: fc.Arbitrary<SocketAddress> = fc.record({ ip, port });
const cidr: fc.Arbitrary<CidrRange> = fc.oneof(
  fc.record({ ip: fc.ipV4(), prefixBits: fc.integer({ min: 0, max: 32 }) }),
  fc.record({ ip: fc.constantFrom('fd00::', '::', '2001:db8::1'), prefixBits: fc.integer({ min: 0, max: 128 }) }),
);
const spiffeId = fc.tuple(name, name).map(([namespace, serviceAccount]) =>
  formatSpiffeId({
    trustDomain: 'cluster.local' as TrustDomain,
    namespace: namespace.replaceAll('/', ''),
    serviceAccount: serviceAccount.replaceAll('/', ''),
  }),
);

const pattern = fc.constantFrom('/api/.*', '[a-z]+', '(a|b)*c', 'v[0-9]+\\.x', '');
const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const, 'contains' as const),
    value: text,
    ignoreCase: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('regex' as const), value: pattern }),
);
const matchValue = fc.oneof(fc.constant({ kind: 'present' as const }), stringMatch);
const headerMatch: fc.Arbitrary<HeaderMatch> = fc.record({
  name: fc.constantFrom(':path', ':method', 'x-user', 'content-type'),
  value: matchValue,
  invert: fc.boolean(),
});
const queryMatch: fc.Arbitrary<QueryParameterMatch> = fc.record({ name, value: matchValue });

const headerValue = fc.record({ name, value: fc.oneof(text, fc.constantFrom('100%', '%REQ(x)%', '%%', '')) });
const mutation: fc.Arbitrary<HeaderMutation> = fc.record({
  set: fc.array(headerValue, { maxLength: 2 }),
  add: fc.array(headerValue, { maxLength: 2 }),
  remove: fc.array(name, { maxLength: 2 }),
});

const rewrite = fc.record({
  kind: fc.constantFrom('prefix' as const, 'full' as const),
  value: text.map((t) => `/${t}`),
});
const forward: fc.Arbitrary<ForwardAction> = fc.record({
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
  retry: optional(
    fc
      .record({
        on: fc.uniqueArray(
          fc.constantFrom(
            '5xx' as const,
            'gateway-error' as const,
            'reset' as const,
            'retriable-status-codes' as const,
          ),
        ),
        retriesMax: fc.integer({ min: 0, max: 10 }),
        perTryTimeoutMs: ms,
        statusCodes: fc.array(fc.integer({ min: 100, max: 599 }), { maxLength: 3 }),
        backoffBaseMs: positiveMs,
        backoffMaxMs: ms,
        nonIdempotent: fc.boolean(),
      })
      .map((retry) => ({ ...retry, backoffMaxMs: retry.backoffBaseMs + retry.backoffMaxMs })),
  ),
  hostRewrite: optional(name),
  pathRewrite: optional(rewrite),
});

const route: fc.Arbitrary<Route> = fc.record({
  name: text,
  match: fc.record({
    path: fc.oneof(
      fc.record({ kind: fc.constantFrom('prefix' as const, 'exact' as const), value: text.map((t) => `/${t}`) }),
      fc.record({ kind: fc.constant('pathSeparatedPrefix' as const), value: name.map((n) => `/${n}x`) }),
      fc.record({ kind: fc.constant('regex' as const), value: pattern }),
    ),
    caseSensitive: fc.boolean(),
    headers: fc.array(headerMatch, { maxLength: 2 }),
    queryParameters: fc.array(queryMatch, { maxLength: 2 }),
  }),
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

const routeConfiguration: fc.Arbitrary<RouteConfiguration> = fc
  .record({
    name,
    hosts: fc.uniqueArray(fc.tuple(name, fc.array(route, { maxLength: 3 })), { maxLength: 2, selector: ([n]) => n }),
  })
  .map(({ name, hosts }) => ({
    name,
    virtualHosts: hosts.map(([host, routes]) => ({ name: host, domains: [host, `*.${host}`], routes })),
  }));

const pem: fc.Arbitrary<PemSource> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), path: name }),
  fc.record({ kind: fc.constant('pem' as const), pem: text }),
);
const certificate: fc.Arbitrary<CertificateRef> = fc.oneof(
  fc.record({ kind: fc.constant('secret' as const), name }),
  fc.record({ kind: fc.constant('inline' as const), certificateChain: pem, privateKey: pem }),
);
const validation: fc.Arbitrary<PeerValidation> = fc.record({
  trust: fc.oneof(
    fc.record({ kind: fc.constant('secret' as const), name }),
    fc.record({ kind: fc.constant('inline' as const), ca: pem }),
  ),
  subjectAltNames: fc.array(
    fc.record({
      type: fc.constantFrom('uri' as const, 'dns' as const, 'ip' as const, 'email' as const),
      match: fc.oneof(
        fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value: text }),
        fc.record({ kind: fc.constant('regex' as const), value: pattern }),
      ),
    }),
    { maxLength: 2 },
  ),
});
const parameters = fc.constantFrom(
  { versionMin: 'TLSv1.2' as const, versionMax: 'TLSv1.3' as const },
  { versionMin: 'TLSv1.3' as const, versionMax: 'TLSv1.3' as const },
  { versionMin: 'TLSv1.2' as const, versionMax: 'TLSv1.2' as const },
);
const alpn = fc.array(fc.constantFrom('h2', 'http/1.1', 'weft-h2'), { maxLength: 3 });
const downstreamTls: fc.Arbitrary<DownstreamTls> = fc
  .record({
    certificate,
    validation: optional(validation),
    requireClientCertificate: fc.boolean(),
    alpn,
    parameters,
  })
  .map((tls) => ({ ...tls, requireClientCertificate: tls.requireClientCertificate && tls.validation !== undefined }));
const upstreamTls: fc.Arbitrary<UpstreamTls> = fc.record({
  certificate: optional(certificate),
  validation: optional(validation),
  alpn,
  sni: name,
  parameters,
});

const { permission } = fc.letrec<{ permission: Permission }>((tie) => ({
  permission: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    fc.constant({ kind: 'any' as const }),
    fc.record({ kind: fc.constant('header' as const), match: headerMatch }),
    fc.record({ kind: fc.constant('path' as const), match: stringMatch }),
    fc.record({ kind: fc.constant('destinationPort' as const), port }),
    fc.record({ kind: fc.constant('destinationIp' as const), range: cidr }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      rules: fc.array(tie('permission'), { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ kind: fc.constant('not' as const), rule: tie('permission') }),
  ),
}));
const { principal } = fc.letrec<{ principal: Principal }>((tie) => ({
  principal: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    fc.constant({ kind: 'any' as const }),
    fc.record({ kind: fc.constant('authenticated' as const), match: optional(stringMatch) }),
    fc.record({ kind: fc.constant('sourceIp' as const), range: cidr }),
    fc.record({ kind: fc.constant('header' as const), match: headerMatch }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      ids: fc.array(tie('principal'), { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ kind: fc.constant('not' as const), id: tie('principal') }),
  ),
}));
const rbac: fc.Arbitrary<Rbac> = fc.record({
  action: fc.constantFrom('allow' as const, 'deny' as const, 'log' as const),
  policies: fc
    .uniqueArray(
      fc.record({
        name,
        permissions: fc.array(permission, { minLength: 1, maxLength: 2 }),
        principals: fc.array(principal, { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 2, selector: (policy) => policy.name },
    )
    .map((policies) => policies.sort((a, b) => (a.name < b.name ? -1 : 1))),
});

const accessLogs = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('stdout' as const, 'stderr' as const), path: fc.constant('') }),
    fc.record({ kind: fc.constant('file' as const), path: name }),
  ),
  { maxLength: 2 },
);
const manager: fc.Arbitrary<HttpConnectionManager> = fc.record({
  kind: fc.constant('http' as const),
  statPrefix: name,
  codec: fc.constantFrom('auto' as const, 'http1' as const, 'http2' as const),
  route: fc.oneof(
    fc.record({ kind: fc.constant('inline' as const), config: routeConfiguration }),
    fc.record({ kind: fc.constant('rds' as const), name }),
  ),
  filters: fc
    .array(fc.record({ kind: fc.constant('rbac' as const), name, rbac }), { maxLength: 2 })
    .map((filters) => [...filters, { kind: 'router' as const }]),
  limits: fc.record({
    headBytesMax: fc.integer({ min: 1, max: 8192 }).map((kib) => kib * 1024),
    headersCountMax: fc.integer({ min: 1, max: 10_000 }),
    requestTimeoutMs: ms,
    headTimeoutMs: ms,
    streamIdleTimeoutMs: ms,
    idleTimeoutMs: ms,
    requestsPerConnectionMax: count,
    concurrentStreamsMax: count,
  }),
  serverHeader: fc.constant('passthrough' as const),
  trustedHops: fc.integer({ min: 0, max: 5 }),
  accessLogs,
});
const filterChain: fc.Arbitrary<FilterChain> = fc.record({
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
  ),
});
const listener: fc.Arbitrary<Listener> = fc.record({
  name: text,
  direction: fc.constantFrom('inbound' as const, 'outbound' as const),
  addresses: fc.array(socketAddress, { minLength: 1, maxLength: 3 }),
  useOriginalDst: fc.boolean(),
  detectTls: fc.boolean(),
  detectHttp: fc.boolean(),
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
      accessLog: fc.boolean(),
      workloadName: text,
      serviceName: text,
    }),
  ),
});

const endpoint: fc.Arbitrary<Endpoint> = fc.record({
  address: socketAddress,
  weight: fc.integer({ min: 1, max: 1000 }),
  priority: fc.integer({ min: 0, max: 2 }),
  zone: fc.constantFrom('', 'a', 'b'),
  health: fc.constantFrom('healthy' as const, 'unhealthy' as const, 'draining' as const),
  mtls: fc.boolean(),
  spiffeId: optional(spiffeId),
  workload: text,
});
/** On the wire endpoints stand in groups of one priority and zone, in order of first appearance. */
const endpoints: fc.Arbitrary<EndpointAssignment> = fc
  .record({ clusterName: name, endpoints: fc.array(endpoint, { maxLength: 6 }) })
  .map((assignment) => ({
    ...assignment,
    endpoints: [...Map.groupBy(assignment.endpoints, ({ priority, zone }) => `${priority}/${zone}`).values()].flat(),
  }));

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
    ),
    connectTimeoutMs: ms,
    idleTimeoutMs: ms,
    requestsPerConnectionMax: count,
    balancer: fc.constantFrom('least-request' as const, 'round-robin' as const, 'random' as const),
    protocol: fc.constantFrom('http1' as const, 'http2' as const),
    limits: fc.record({
      connectionsMax: count,
      pendingRequestsMax: count,
      requestsMax: count,
      retriesMax: count,
      retryBudget: optional(fc.record({ percent, concurrencyMin: count })),
    }),
    errorRate: optional(
      fc.record({ thresholdPercent: percent, volumeMin: count, windowMs: positiveMs, openMs: positiveMs }),
    ),
    tls: optional(upstreamTls),
    meshTls: fc.boolean(),
    service: optional(fc.record({ namespace: text, name: text })),
  })
  // Nothing is balanced where the connection names its endpoint; TLS of the cluster's own leaves no room for mesh TLS.
  .map((all) => ({
    ...all,
    balancer: all.discovery.kind === 'original-dst' ? ('least-request' as const) : all.balancer,
    meshTls: all.meshTls && all.tls === undefined,
  }));

const protocol = fc.constantFrom<AppProtocol>('detect', 'tcp', 'http', 'http2', 'grpc', 'tls');
const ports: fc.Arbitrary<ServicePort[]> = fc.array(
  fc.record({ port, protocol, routeConfiguration: text, cluster: text }),
  { maxLength: 3 },
);
const address: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ kind: fc.constant('service' as const), namespace: text, name: text, ports }),
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
);

/** Records of fast-check have no prototype now and then; a clone always has the usual one. */
const plain = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> => arbitrary.map((value) => structuredClone(value));

export const arbitraryResources: { readonly [K in ResourceKind]: fc.Arbitrary<ResourceMap[K]> } = {
  address: plain(address),
  listener: plain(listener),
  route: plain(routeConfiguration),
  cluster: plain(cluster),
  endpoints: plain(endpoints),
};
