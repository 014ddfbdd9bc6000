import { externalSamples } from './external/field-samples.testing.ts';
import { authenticationSamples } from './field-samples-authentication.testing.ts';
import { authorizerFields } from './field-samples-authorizers.testing.ts';
import { faultSamples } from './field-samples-fault.testing.ts';
import { overloadSamples } from './field-samples-overload.testing.ts';

/**
 * For each field of our kinds what it can be changed to. Lists of values are tried in turn at that place of the
 * template; fields of an enumeration or a boolean need no entry, all of their values are tried.
 */
export interface FieldSample {
  readonly values?: readonly unknown[];
  /** Whole specs, for a field that cannot change alone. */
  readonly specs?: readonly object[];
  /** What the schema has to refuse: the field says nothing that another does not. */
  readonly refused?: unknown;
  /** Fields of the template that exclude this one. */
  readonly without?: readonly string[];
}

export interface KindSamples {
  readonly template: object;
  readonly fields: Readonly<Record<string, FieldSample>>;
}

const cart = { kind: 'Service', name: 'cart' };
const partner = (more: object): object => ({
  trust: { federation: [{ trustDomain: 'one.example', bundle: '{"keys":[]}', ...more }] },
});
const timeouts = { request: '3s' };
const durations: FieldSample = { values: ['1s', '2s'] };
const numbers: FieldSample = { values: [11, 22] };
const words: FieldSample = { values: ['alpha', 'beta'] };
const accounts: FieldSample = { values: ['alpha', 'desk/beta'] };
const identities: FieldSample = { values: ['spiffe://cluster.local/ns/a/sa/a', '*'] };
const blocks: FieldSample = { values: ['10.0.0.0/8', 'fd00::1'] };
const paths: FieldSample = { values: ['/a', '/a/*', '*', '/a/{b}', '/a/{**}'] };
const domains: FieldSample = { values: ['partner.example', 'partner.*', '*.example'] };
const hosts: FieldSample = { values: ['a.example', '*.example', 'a.example:80'] };

const patterns: FieldSample = { values: ['alpha', 'a*', '*a', '*', 'true', '7'] };
const claimed = (values: readonly unknown[], claim: (value: unknown) => object): FieldSample => ({
  specs: values.map((value) => ({ rules: [{ from: [{ jwt: { claims: [claim(value)] } }] }] })),
});

const bytes: FieldSample = { values: ['50494e47', '51'] };
const checkedBy = (probe: object) => ({ targetRefs: [cart], healthChecks: probe });
const statuses = [
  { expectedStatuses: [{ min: 200, max: 204 }] },
  { expectedStatuses: [{ min: 202, max: 204 }] },
  { expectedStatuses: [{ min: 200, max: 202 }] },
];
const headers = [
  { name: 'x-one', value: 'a' },
  { name: 'x-one', value: 'b' },
  { name: 'x-two', value: 'a' },
];
const balanced = (loadBalancer: object): object => ({ targetRefs: [cart], loadBalancer });
const hashed = (...hashKeys: readonly object[]): object => balanced({ type: 'RingHash', hashKeys });
const ring = (ringHash: object): object => balanced({ type: 'RingHash', hashKeys: [{ source: 'IP' }], ringHash });
const reports = (...settings: readonly object[]): FieldSample => ({
  specs: settings.map((loadReported) => balanced({ type: 'LoadReported', loadReported })),
});

const ramp = (settings: object): object => balanced({ slowStart: { window: '10s', ...settings } });

const balancerFields: Readonly<Record<string, FieldSample>> = {
  'loadBalancer.type': {
    specs: [
      ...['PeakEWMA', 'LeastRequest', 'RoundRobin', 'Random', 'LoadReported'].map((type) => balanced({ type })),
      ...['RingHash', 'Maglev'].map((type) => balanced({ type, hashKeys: [{ header: 'x' }] })),
    ],
  },
  'loadBalancer.peakEwma.decay': durations,
  'loadBalancer.leastRequest.choices': {
    specs: [2, 3].map((choices) => balanced({ type: 'LeastRequest', leastRequest: { choices } })),
  },
  'loadBalancer.ringHash.minimumSize': { specs: [ring({ minimumSize: 7 }), ring({ minimumSize: 8 })] },
  'loadBalancer.ringHash.maximumSize': { specs: [ring({ maximumSize: 7_000 }), ring({ maximumSize: 8_000 })] },
  'loadBalancer.loadReported.blackout': reports({ blackout: '0s' }, { blackout: '1s' }),
  'loadBalancer.loadReported.expiration': reports({ expiration: '0s' }, { expiration: '1s' }),
  'loadBalancer.loadReported.updatePeriod': reports({ updatePeriod: '1s' }, { updatePeriod: '2s' }),
  'loadBalancer.loadReported.errorPenaltyPercent': reports({ errorPenaltyPercent: 0 }, { errorPenaltyPercent: 50 }),
  'loadBalancer.hashKeys[].header': { specs: [hashed({ header: 'X-One' }), hashed({ header: 'x-two' })] },
  'loadBalancer.hashKeys[].cookie.name': { specs: ['a', 'b'].map((name) => hashed({ cookie: { name } })) },
  'loadBalancer.hashKeys[].cookie.ttl': {
    specs: [undefined, '0s', '1s'].map((ttl) => hashed({ cookie: { name: 'a', ...(ttl && { ttl }) } })),
  },
  'loadBalancer.hashKeys[].cookie.path': {
    specs: ['/a', '/b'].map((path) => hashed({ cookie: { name: 'a', ttl: '1s', path } })),
  },
  'loadBalancer.hashKeys[].queryParameter': { specs: ['a', 'b'].map((queryParameter) => hashed({ queryParameter })) },
  'loadBalancer.hashKeys[].source': { specs: [hashed({ source: 'IP' }), hashed({ header: 'x' })] },
  'loadBalancer.hashKeys[].terminal': {
    specs: [false, true].map((terminal) => hashed({ header: 'x', terminal }, { source: 'IP' })),
  },
  'loadBalancer.slowStart.window': durations,
  'loadBalancer.slowStart.aggressionPercent': { specs: [50, 200].map((n) => ramp({ aggressionPercent: n })) },
  'loadBalancer.slowStart.minWeightPercent': { specs: [5, 20].map((n) => ramp({ minWeightPercent: n })) },
  'loadBalancer.subset.size': numbers,
  'loadBalancer.zoneAware.enabledPercent': numbers,
  'loadBalancer.zoneAware.minEndpoints': numbers,
  'loadBalancer.panicThresholdPercent': { values: [0, 30] },
};

export const fieldSamples: Readonly<
  Record<
    | 'Mesh'
    | 'TrafficPolicy'
    | 'FaultPolicy'
    | 'AuthorizationPolicy'
    | 'AuthenticationPolicy'
    | 'OverloadPolicy'
    | 'ExternalService',
    KindSamples
  >
> = {
  ExternalService: externalSamples,
  AuthenticationPolicy: authenticationSamples,
  Mesh: {
    template: { tracing: { otlpEndpoint: 'http://collector:4317' } },
    fields: {
      ...authorizerFields,
      'tracing.otlpEndpoint': { values: ['http://one:4317', 'http://two:4317'] },
      'tracing.samplingPercent': { values: [0, 50, 100] },
      // The injector acts on it.
      'proxy.concurrency': { values: [1, 2, 64] },
      trustedHops: { values: [0, 1, 2] },
      'trust.aliases[]': { values: ['old.local', 'older.local'] },
      'trust.federation[].trustDomain': { specs: [partner({}), partner({ trustDomain: 'two.example' })] },
      'trust.federation[].bundle': { specs: [partner({}), partner({ bundle: '{"keys":[1]}' })] },
      'trust.federation[].endpoint.url': {
        specs: ['https://a', 'https://b:8443/x'].map((url) => partner({ endpoint: { url } })),
      },
      'trust.federation[].endpoint.profile': {
        specs: [
          partner({ endpoint: { url: 'https://a' } }),
          partner({ endpoint: { url: 'https://a', profile: 'HTTPSSPIFFE', spiffeId: 'spiffe://one.example/a' } }),
        ],
      },
      'trust.federation[].endpoint.spiffeId': {
        specs: ['spiffe://one.example/a', 'spiffe://one.example/b'].map((spiffeId) =>
          partner({ endpoint: { url: 'https://a', profile: 'HTTPSSPIFFE', spiffeId } }),
        ),
      },
      'certificates.ttl': { values: ['10m', '2h'] },
      'certificates.announce': { values: ['1m', '2h'] },
      'retryBudget.percent': numbers,
      'retryBudget.minConcurrency': numbers,
      'retryBudget.interval': durations,
      'retryBudget.minRetryRate': numbers,
    },
  },
  TrafficPolicy: {
    template: {
      targetRefs: [cart],
      retries: { retryNonIdempotent: true, budget: {} },
      hedging: { percentile: 95 },
      timeouts: { request: '20s', backendRequest: '10s', idle: '30s', connect: '5s' },
      circuitBreaker: { errorRate: {}, limits: { maxRequests: 5 } },
      loadBalancer: {},
      outlierDetection: { successRate: {}, failurePercentage: {}, latency: {} },
      connections: { http2KeepAlive: {}, tcpKeepAlive: {} },
      healthChecks: { http: {} },
    },
    fields: {
      'targetRefs[].kind': {
        specs: [
          { targetRefs: [cart], timeouts },
          { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'cart' }], timeouts },
          { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'GRPCRoute', name: 'calls' }], timeouts },
          { targetRefs: [{ group: 'weft.dev', kind: 'ExternalService', name: 'outside' }], timeouts },
          { targetRefs: [{ kind: 'Namespace', name: 'shop' }], timeouts },
          { targetRefs: [{ group: 'weft.dev', kind: 'Mesh', name: 'default' }], timeouts },
        ],
      },
      'targetRefs[].group': { refused: 'weft.dev' },
      'targetRefs[].name': { values: ['cart', 'plain'] },
      'targetRefs[].namespace': { values: ['shop', 'desk'] },
      'targetRefs[].sectionName': { values: ['http', '81'] },
      'retries.attempts': { values: [0, 1, 7] },
      'retries.perTryTimeout': { ...durations, without: ['timeouts.backendRequest'] },
      'retries.backoff.baseInterval': { values: ['20ms', '30ms'] },
      'retries.backoff.maxInterval': durations,
      'retries.budget.percent': numbers,
      'retries.budget.minConcurrency': numbers,
      'retries.budget.interval': durations,
      'retries.budget.minRetryRate': numbers,
      'retries.statusCodes[]': { values: [429, 500] },
      'retries.responseHeaders[].name': { values: ['X-One', 'x-two'] },
      'retries.responseHeaders[].value': {
        specs: ['yes', 'no', undefined].map((value) => ({
          targetRefs: [cart],
          retries: { responseHeaders: [{ name: 'x-again', ...(value === undefined ? {} : { value }) }] },
        })),
      },
      'retries.retryAfter.max': durations,
      'retries.retryAfter.headers[].name': { values: ['Retry-After', 'X-RateLimit-Reset'] },
      'retries.retryAfter.headers[].format': {
        specs: ['Seconds', 'UnixTime'].map((format) => ({
          targetRefs: [cart],
          retries: { retryAfter: { headers: [{ name: 'x-reset', format }] } },
        })),
      },
      'retries.maxBodyBytes': { values: [0, 1024, 65_536] },
      'hedging.delay': { ...durations, without: ['hedging.percentile'] },
      'hedging.percentile': { values: [50, 99.9] },
      'hedging.minDelay': durations,
      'hedging.maxAttempts': { values: [2, 3] },
      'timeouts.stream': { values: ['1h', '0s'] },
      'timeouts.streamIdle': durations,
      'timeouts.request': { values: ['20s', '30s', '0s'] },
      'timeouts.backendRequest': durations,
      'timeouts.idle': { values: ['1s', '0s'] },
      'timeouts.connect': durations,
      'circuitBreaker.errorRate.thresholdPercent': numbers,
      'circuitBreaker.errorRate.volume': numbers,
      'circuitBreaker.errorRate.window': durations,
      'circuitBreaker.errorRate.openFor': durations,
      'circuitBreaker.limits.maxConnections': numbers,
      'circuitBreaker.limits.maxPendingRequests': numbers,
      'circuitBreaker.limits.maxRequests': numbers,
      ...balancerFields,
      'circuitBreaker.limits.maxRetries': { ...numbers, without: ['retries.budget'] },
      'outlierDetection.consecutive5xx': { values: [0, 3, 7] },
      'outlierDetection.consecutiveGatewayErrors': { values: [0, 3] },
      'outlierDetection.consecutiveLocalFailures': { values: [0, 3] },
      'outlierDetection.interval': durations,
      'outlierDetection.baseEjectionTime': durations,
      'outlierDetection.maxEjectionTime': { values: ['31s', '1h'] },
      'outlierDetection.maxEjectionPercent': numbers,
      'outlierDetection.enforcedPercent': numbers,
      'outlierDetection.successRate.deviationsPercent': numbers,
      'outlierDetection.successRate.minEndpoints': numbers,
      'outlierDetection.successRate.minRequests': numbers,
      'outlierDetection.failurePercentage.thresholdPercent': numbers,
      'outlierDetection.failurePercentage.minEndpoints': numbers,
      'outlierDetection.failurePercentage.minRequests': numbers,
      'outlierDetection.latency.factorPercent': { values: [110, 1_000] },
      'outlierDetection.latency.percentile': numbers,
      'outlierDetection.latency.minDifference': { values: ['0s', '1s'] },
      'outlierDetection.latency.minEndpoints': numbers,
      'outlierDetection.latency.minRequests': numbers,
      'healthChecks.http.path': { values: ['/a', '/b?c'] },
      'healthChecks.http.host': words,
      'healthChecks.http.expectedStatuses[].min': { specs: statuses.map((one) => checkedBy({ http: one })) },
      'healthChecks.http.expectedStatuses[].max': { specs: statuses.map((one) => checkedBy({ http: one })) },
      'healthChecks.http.headers[].name': { specs: headers.map((one) => checkedBy({ http: { headers: [one] } })) },
      'healthChecks.http.headers[].value': { specs: headers.map((one) => checkedBy({ http: { headers: [one] } })) },
      'healthChecks.grpc.service': { ...words, without: ['healthChecks.http'] },
      'healthChecks.grpc.authority': { ...words, without: ['healthChecks.http'] },
      'healthChecks.tcp.send.text': { ...words, without: ['healthChecks.http'] },
      'healthChecks.tcp.send.hex': { ...bytes, without: ['healthChecks.http'] },
      'healthChecks.tcp.receive[].text': { ...words, without: ['healthChecks.http'] },
      'healthChecks.tcp.receive[].hex': { ...bytes, without: ['healthChecks.http'] },
      'healthChecks.port': { values: [8080, 8081] },
      'healthChecks.interval': durations,
      'healthChecks.jitter': durations,
      'healthChecks.timeout': durations,
      'healthChecks.noTrafficInterval': durations,
      'healthChecks.unhealthyThreshold': numbers,
      'healthChecks.healthyThreshold': numbers,
      'connections.upstreamProtocol': {
        values: ['Auto', 'HTTP1', 'HTTP2'],
        without: ['connections.http2KeepAlive'],
      },
      'connections.maxRequestsPerConnection': numbers,
      'connections.maxConnectionDuration': durations,
      'connections.maxConcurrentStreams': numbers,
      'connections.http2KeepAlive.interval': durations,
      'connections.http2KeepAlive.timeout': durations,
      'connections.tcpKeepAlive.idle': durations,
      'connections.tcpKeepAlive.interval': durations,
      'connections.tcpKeepAlive.probes': numbers,
      'mirrorDiff.headers[]': { values: ['X-One', 'x-two'] },
      'mirrorDiff.sampleBytesMax': { values: [0, 1024] },
    },
  },
  FaultPolicy: faultSamples,
  OverloadPolicy: overloadSamples,
  AuthorizationPolicy: {
    template: {
      rules: [{ from: [{ namespaces: ['a'] }], to: [{ ports: [8080] }], when: [{ header: 'x', values: ['1'] }] }],
    },
    fields: {
      'selector.matchLabels{}': { values: ['cart', 'web'] },
      provider: { specs: ['opa', 'login'].map((provider) => ({ action: 'CUSTOM', provider, rules: [{}] })) },
      action: {
        specs: [
          ...['ALLOW', 'DENY', 'AUDIT'].map((action) => ({ action, rules: [{}] })),
          { action: 'CUSTOM', provider: 'opa', rules: [{}] },
        ],
      },
      'rules[].name': words,
      'rules[].from[].principals[]': identities,
      'rules[].from[].notPrincipals[]': identities,
      'rules[].from[].namespaces[]': { values: ['a', 'a*', '*a', '*'] },
      'rules[].from[].notNamespaces[]': words,
      'rules[].from[].serviceAccounts[]': accounts,
      'rules[].from[].notServiceAccounts[]': accounts,
      'rules[].from[].ipBlocks[]': blocks,
      'rules[].from[].notIpBlocks[]': blocks,
      'rules[].from[].trustDomains[]': domains,
      'rules[].from[].notTrustDomains[]': domains,
      'rules[].from[].remoteIpBlocks[]': blocks,
      'rules[].from[].notRemoteIpBlocks[]': blocks,
      'rules[].from[].jwt.issuers[]': patterns,
      'rules[].from[].jwt.notIssuers[]': patterns,
      'rules[].from[].jwt.subjects[]': patterns,
      'rules[].from[].jwt.notSubjects[]': patterns,
      'rules[].from[].jwt.audiences[]': patterns,
      'rules[].from[].jwt.notAudiences[]': patterns,
      'rules[].from[].jwt.scopes[]': words,
      'rules[].from[].jwt.notScopes[]': words,
      'rules[].from[].jwt.claims[].path[]': claimed(words.values ?? [], (one) => ({ path: [one], values: ['a'] })),
      'rules[].from[].jwt.claims[].values[]': claimed(patterns.values ?? [], (one) => ({ path: ['a'], values: [one] })),
      'rules[].from[].jwt.claims[].notValues[]': claimed(patterns.values ?? [], (one) => ({
        path: ['a'],
        notValues: [one],
      })),
      'rules[].to[].paths[]': paths,
      'rules[].to[].notPaths[]': paths,
      'rules[].to[].ports[]': { values: [80, 81] },
      'rules[].to[].notPorts[]': { values: [80, 81] },
      'rules[].to[].hosts[]': hosts,
      'rules[].to[].notHosts[]': hosts,
      'rules[].when[].header': { values: ['X-One', 'x-two'] },
      'rules[].when[].values[]': { values: ['a', 'a*', '*'] },
      'rules[].when[].notValues[]': words,
    },
  },
};

/** Two namespaces with Services of the same name, a route, and pods on both sides. */
export const fieldWorld = `
kind: Service
metadata: { name: cart, namespace: shop }
spec: { clusterIPs: [10.96.0.10], selector: { app: cart }, ports: [{ name: http, port: 80 }, { name: http-two, port: 81 }] }
---
kind: Service
metadata: { name: plain, namespace: shop }
spec: { clusterIPs: [10.96.0.11], ports: [{ name: http, port: 80 }] }
---
kind: Service
metadata: { name: cart, namespace: desk }
spec: { clusterIPs: [10.96.0.12], ports: [{ name: http, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: cart, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: cart, port: 80 }]
  rules:
    - name: all
      filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: plain, port: 80 } } }]
      backendRefs: [{ name: cart, port: 80 }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: calls, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: calls }]
  rules: [{ name: all, backendRefs: [{ name: cart, port: 80 }] }]
---
kind: Service
metadata: { name: calls, namespace: shop }
spec: { clusterIPs: [10.96.0.13], ports: [{ name: grpc, port: 80 }] }
---
kind: Pod
metadata: { name: cart-a, namespace: shop, labels: { app: cart } }
spec: { serviceAccountName: cart, containers: [{ name: app, ports: [{ containerPort: 8080 }] }] }
status: { podIP: 10.1.0.1 }
---
kind: Pod
metadata: { name: web-a, namespace: shop, labels: { app: web } }
spec: { serviceAccountName: web, containers: [{ name: app }] }
status: { podIP: 10.1.0.2 }
---
kind: ExternalService
metadata: { name: outside, namespace: shop }
spec: { hosts: [outside.example], ports: [{ name: http, number: 8088, appProtocol: http }] }
---
kind: TrafficPolicy
metadata: { name: sample-port, namespace: shop }
spec:
  targetRefs: [{ group: weft.dev, kind: ExternalService, name: sample, sectionName: http }]
  timeouts: { connect: 7s }
---
kind: AuthorizationPolicy
metadata: { name: asking, namespace: shop }
spec: { action: CUSTOM, provider: opa, rules: [{ to: [{ paths: [/asked] }] }] }
`;
