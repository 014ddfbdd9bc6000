/** Samples of our own kinds. */

import { objectOf, right, type Sample, wrong } from './corpus.testing.ts';
import { authenticationSamples } from './corpus-authentication.testing.ts';
import { authorizationSamples } from './corpus-authorization.testing.ts';
import { balancerSamples } from './corpus-balancer.testing.ts';
import { externalSamples } from './corpus-external.testing.ts';
import { faultSamples } from './corpus-fault.testing.ts';
import { healthSamples } from './corpus-health.testing.ts';
import { overloadSamples } from './corpus-overload.testing.ts';
import { retrySamples } from './corpus-retries.testing.ts';

const target = { kind: 'Service', name: 'cart' };
const policy = (spec: object) => ({ targetRefs: [target], ...spec });

const mesh: readonly Sample[] = [
  right('Mesh', 'an empty spec', {}),
  right('Mesh', 'everything', {
    mtls: { mode: 'STRICT', minimum: 'PERMISSIVE' },
    tracing: {
      otlpEndpoint: 'http://collector.observability.svc:4318/v1/traces',
      protocol: 'http',
      samplingPercent: 12.5,
    },
    accessLog: { mode: 'All' },
    certificates: { ttl: '1h', announce: '10m' },
    retryBudget: { percent: 50, minConcurrency: 10, interval: '30s', minRetryRate: 5 },
    outbound: 'RegistryOnly',
    trust: {
      aliases: ['old.example'],
      federation: [
        { trustDomain: 'one.example', endpoint: { url: 'https://bundle.one.example' } },
        {
          trustDomain: 'two.example',
          bundle: '{"keys":[]}',
          endpoint: { url: 'https://10.0.0.1:8443/', profile: 'HTTPSSPIFFE', spiffeId: 'spiffe://two.example/bundle' },
        },
      ],
    },
    authorizers: [
      { name: 'opa', grpc: { target: { namespace: 'policy', name: 'opa', port: 9191 }, headersToUpstream: ['x-opa'] } },
      {
        name: 'login',
        http: {
          target: { kind: 'ExternalService', namespace: 'policy', name: 'login', port: 443 },
          pathPrefix: '/check',
          headersToUpstream: ['x-user', 'x-auth-*'],
          headersToClient: ['*'],
          headersToClientOnSuccess: ['set-cookie'],
        },
        timeout: '250ms',
        failure: 'Allow',
        failureStatus: 503,
        requestHeaders: ['cookie'],
        body: { maxBytes: 8192, allowPartial: true },
      },
    ],
  }),
  wrong(
    'Mesh',
    'an authorizer by gRPC that may set any header',
    {
      authorizers: [
        { name: 'opa', grpc: { target: { namespace: 'policy', name: 'opa', port: 80 }, headersToUpstream: ['*'] } },
      ],
    },
    'spec.authorizers[0].grpc.headersToUpstream',
    'has to name headers or beginnings of names',
  ),
  wrong(
    'Mesh',
    'an authorizer that may set any header',
    {
      authorizers: [
        {
          name: 'login',
          http: { target: { namespace: 'policy', name: 'login', port: 80 }, headersToUpstream: ['x-user', '*'] },
        },
      ],
    },
    'spec.authorizers[0].http.headersToUpstream',
    'has to name headers or beginnings of names',
  ),
  wrong(
    'Mesh',
    'a bundle endpoint that nothing verifies',
    {
      trust: {
        federation: [
          {
            trustDomain: 'one.example',
            endpoint: { url: 'https://a', profile: 'HTTPSSPIFFE', spiffeId: 'spiffe://one.example/bundle' },
          },
        ],
      },
    },
    'spec.trust.federation[0]',
    'needs bundle, or an endpoint with profile HTTPSWeb',
  ),
  wrong(
    'Mesh',
    'a bundle endpoint of the Web with a SPIFFE ID',
    {
      trust: {
        federation: [
          { trustDomain: 'one.example', endpoint: { url: 'https://a', spiffeId: 'spiffe://one.example/bundle' } },
        ],
      },
    },
    'spec.trust.federation[0].endpoint',
    'needs spiffeId with profile HTTPSSPIFFE',
  ),
  wrong(
    'Mesh',
    'an authorizer of no kind',
    { authorizers: [{ name: 'opa' }] },
    'spec.authorizers[0]',
    'either grpc or http',
  ),
  wrong(
    'Mesh',
    'an authorizer that is waited for too long',
    {
      authorizers: [
        { name: 'opa', timeout: '31s', grpc: { target: { namespace: 'policy', name: 'opa', port: 9191 } } },
      ],
    },
    'spec.authorizers[0].timeout',
    'between 10ms and 30s',
  ),
  wrong(
    'Mesh',
    'an authorizer that fails with success',
    {
      authorizers: [
        { name: 'opa', failureStatus: 418, grpc: { target: { namespace: 'policy', name: 'opa', port: 9191 } } },
      ],
    },
    'spec.authorizers[0].failureStatus',
    'must be one of',
  ),
  {
    kind: 'Mesh',
    title: 'another name',
    object: objectOf('Mesh', {}, 'other'),
    error: ['metadata.name', 'must be named default'],
  },
  wrong(
    'Mesh',
    'a certificate for a second',
    { certificates: { ttl: '1s' } },
    'spec.certificates.ttl',
    'between 1m and 2160h',
  ),
  wrong(
    'Mesh',
    'a certificate for ever',
    { certificates: { ttl: '2161h' } },
    'spec.certificates.ttl',
    'between 1m and 2160h',
  ),
  wrong(
    'Mesh',
    'a root announced for longer than certificates live',
    { certificates: { announce: '721h' } },
    'spec.certificates.announce',
    'between 1s and 720h',
  ),
  wrong(
    'Mesh',
    'a minimum of nothing',
    { mtls: { minimum: 'DISABLED' } },
    'spec.mtls.minimum',
    'one of PERMISSIVE, STRICT',
  ),
  wrong('Mesh', 'an unknown mode', { mtls: { mode: 'strict' } }, 'spec.mtls.mode', 'one of PERMISSIVE, STRICT'),
  wrong('Mesh', 'an unknown key', { mtsl: {} }, 'spec.mtsl', 'no field of this kind'),
  wrong('Mesh', 'tracing to nowhere', { tracing: {} }, 'spec.tracing.otlpEndpoint', 'is missing'),
  wrong(
    'Mesh',
    'credentials in the URL',
    { tracing: { otlpEndpoint: 'http://u:p@collector:4317' } },
    'spec.tracing.otlpEndpoint',
    'must be a URL',
  ),
  wrong(
    'Mesh',
    'more than all traces',
    { tracing: { otlpEndpoint: 'http://c:4317', samplingPercent: 101 } },
    'spec.tracing.samplingPercent',
    'at most 100',
  ),
];

/** What holds for all policies of the client's side. */
const targetsOf = (kind: 'TrafficPolicy' | 'FaultPolicy', fields: object): readonly Sample[] => [
  right(kind, 'each kind of target', {
    targetRefs: [
      target,
      { kind: 'Service', name: 'cart', sectionName: '8080' },
      { kind: 'Service', name: 'cart', namespace: 'other', sectionName: 'http' },
      { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'cart', sectionName: 'checkout' },
      { kind: 'Namespace', name: 'shop' },
      { group: 'weft.dev', kind: 'Mesh', name: 'default' },
    ],
    ...fields,
  }),
  wrong(kind, 'no target', { targetRefs: [], ...fields }, 'spec.targetRefs', 'at least 1 entries'),
  wrong(kind, 'no targetRefs', { ...fields }, 'spec.targetRefs', 'is missing'),
  wrong(
    kind,
    'seventeen targets',
    { targetRefs: Array.from({ length: 17 }, (_, i) => ({ kind: 'Service', name: `s${i}` })), ...fields },
    'spec.targetRefs',
    'at most 16 entries, it has 17',
  ),
  wrong(kind, 'a target twice', { targetRefs: [target, target], ...fields }, 'spec.targetRefs', 'one target twice'),
  wrong(
    kind,
    'a Service in a group',
    { targetRefs: [{ ...target, group: 'weft.dev' }], ...fields },
    'spec.targetRefs[0].group',
    'must be empty',
  ),
  wrong(
    kind,
    'a route without its group',
    { targetRefs: [{ kind: 'HTTPRoute', name: 'a' }], ...fields },
    'spec.targetRefs[0].group',
    'must be gateway.networking.k8s.io',
  ),
  wrong(
    kind,
    'a Mesh without its group',
    { targetRefs: [{ kind: 'Mesh', name: 'default' }], ...fields },
    'spec.targetRefs[0].group',
    'must be weft.dev',
  ),
  wrong(
    kind,
    'another Mesh',
    { targetRefs: [{ group: 'weft.dev', kind: 'Mesh', name: 'x' }], ...fields },
    'spec.targetRefs[0].name',
    'named default',
  ),
  wrong(
    kind,
    'a section of a namespace',
    { targetRefs: [{ kind: 'Namespace', name: 'shop', sectionName: 'a' }], ...fields },
    'spec.targetRefs[0].sectionName',
    'needs kind Service',
  ),
  wrong(
    kind,
    'the namespace of a namespace',
    { targetRefs: [{ kind: 'Namespace', name: 'shop', namespace: 'shop' }], ...fields },
    'spec.targetRefs[0].namespace',
    'needs kind Service',
  ),
  wrong(
    kind,
    'another namespace as the target',
    { targetRefs: [{ kind: 'Namespace', name: 'load' }], ...fields },
    'spec.targetRefs',
    'must be the namespace of the policy',
  ),
  wrong(
    kind,
    'an unknown kind of target',
    { targetRefs: [{ kind: 'Pod', name: 'x' }], ...fields },
    'spec.targetRefs[0].kind',
    'one of Service, HTTPRoute, GRPCRoute, ExternalService, Namespace, Mesh',
  ),
];

const traffic: readonly Sample[] = [
  right('TrafficPolicy', 'a budget beside other limits', {
    targetRefs: [target],
    retries: { budget: {} },
    circuitBreaker: { limits: { maxRequests: 3 } },
  }),
  wrong(
    'TrafficPolicy',
    'two bounds for one thing',
    policy({ retries: { budget: {} }, circuitBreaker: { limits: { maxRetries: 4 } } }),
    'spec.circuitBreaker.limits.maxRetries',
    'set only one of them',
  ),
  right('TrafficPolicy', 'the demo', policy({ retries: { attempts: 5, retryOn: ['5xx'], budget: { percent: 100 } } })),
  right(
    'TrafficPolicy',
    'everything',
    policy({
      retries: {
        attempts: 10,
        retryOn: ['5xx', 'reset', 'unavailable', 'resource-exhausted'],
        perTryTimeout: '250ms',
        backoff: { baseInterval: '10ms', maxInterval: '1s' },
        methods: ['GET', 'POST'],
        retryNonIdempotent: true,
      },
      timeouts: { request: '1s', idle: '1h', connect: '500ms' },
      circuitBreaker: {
        errorRate: { thresholdPercent: 30, volume: 10, window: '5s', openFor: '2s' },
        limits: { maxConnections: 1, maxPendingRequests: 2, maxRequests: 3, maxRetries: 4 },
      },
      loadBalancer: { type: 'RoundRobin' },
    }),
  ),
  right(
    'TrafficPolicy',
    'no limit on the request as a whole',
    policy({ retries: { perTryTimeout: '5s' }, timeouts: { request: '0s' } }),
  ),
  right(
    'TrafficPolicy',
    'a try as long as the request',
    policy({ timeouts: { request: '60s', backendRequest: '1m' } }),
  ),
  wrong('TrafficPolicy', 'nothing at all', policy({}), 'spec', 'does nothing'),
  wrong(
    'TrafficPolicy',
    'eleven retries',
    policy({ retries: { attempts: 11 } }),
    'spec.retries.attempts',
    'at most 10, it is 11',
  ),
  wrong(
    'TrafficPolicy',
    'half a retry',
    policy({ retries: { attempts: 1.5 } }),
    'spec.retries.attempts',
    'an integer, it is 1.5',
  ),
  wrong(
    'TrafficPolicy',
    'a number in quotes',
    policy({ retries: { attempts: '3' } }),
    'spec.retries.attempts',
    'a number, it is "3"',
  ),
  wrong(
    'TrafficPolicy',
    'a condition twice',
    policy({ retries: { retryOn: ['5xx', '5xx'] } }),
    'spec.retries.retryOn[1]',
    'repeats "5xx"',
  ),
  wrong(
    'TrafficPolicy',
    'an unknown condition',
    policy({ retries: { retryOn: ['4xx'] } }),
    'spec.retries.retryOn[0]',
    'one of 5xx',
  ),
  wrong(
    'TrafficPolicy',
    'POST without consent',
    policy({ retries: { methods: ['POST'] } }),
    'spec.retries.methods',
    'not idempotent',
  ),
  wrong(
    'TrafficPolicy',
    'a duration without a unit',
    policy({ timeouts: { request: '10' } }),
    'spec.timeouts.request',
    'must be a duration',
  ),
  wrong(
    'TrafficPolicy',
    'a first wait beyond the longest',
    policy({ retries: { backoff: { baseInterval: '300ms' } } }),
    'spec.retries.backoff.baseInterval',
    'longer than maxInterval',
  ),
  wrong(
    'TrafficPolicy',
    'a wait of an hour',
    policy({ retries: { backoff: { maxInterval: '1h' } } }),
    'spec.retries.backoff.maxInterval',
    'between 1ms and 10m',
  ),
  wrong(
    'TrafficPolicy',
    'no wait',
    policy({ retries: { backoff: { baseInterval: '0s' } } }),
    'spec.retries.backoff.baseInterval',
    'between 1ms and 10m',
  ),
  wrong('TrafficPolicy', 'empty timeouts', policy({ timeouts: {} }), 'spec.timeouts', 'sets nothing'),
  wrong(
    'TrafficPolicy',
    'a try longer than the request',
    policy({ timeouts: { request: '1s', backendRequest: '1001ms' } }),
    'spec.timeouts.backendRequest',
    'longer than request',
  ),
  wrong(
    'TrafficPolicy',
    'perTryTimeout longer than the request',
    policy({ retries: { perTryTimeout: '2s' }, timeouts: { request: '1s' } }),
    'spec.retries.perTryTimeout',
    'longer than timeouts.request',
  ),
  wrong(
    'TrafficPolicy',
    'one timeout said twice',
    policy({ retries: { perTryTimeout: '1s' }, timeouts: { backendRequest: '1s' } }),
    'spec.retries.perTryTimeout',
    'set only one',
  ),
  wrong(
    'TrafficPolicy',
    'no time to connect',
    policy({ timeouts: { connect: '0s' } }),
    'spec.timeouts.connect',
    'between 1ms and 10m',
  ),
  wrong('TrafficPolicy', 'an empty breaker', policy({ circuitBreaker: {} }), 'spec.circuitBreaker', 'sets nothing'),
  wrong(
    'TrafficPolicy',
    'empty limits',
    policy({ circuitBreaker: { limits: {} } }),
    'spec.circuitBreaker.limits',
    'sets nothing',
  ),
  wrong(
    'TrafficPolicy',
    'a window of an hour',
    policy({ circuitBreaker: { errorRate: { window: '1h' } } }),
    'spec.circuitBreaker.errorRate.window',
    'between 100ms and 10m',
  ),
  wrong(
    'TrafficPolicy',
    'open for a moment',
    policy({ circuitBreaker: { errorRate: { openFor: '1ms' } } }),
    'spec.circuitBreaker.errorRate.openFor',
    'between 100ms and 1h',
  ),
  wrong(
    'TrafficPolicy',
    'a limit of none',
    policy({ circuitBreaker: { limits: { maxRequests: 0 } } }),
    'spec.circuitBreaker.limits.maxRequests',
    'at least 1',
  ),
  wrong(
    'TrafficPolicy',
    'an unknown balancer',
    policy({ loadBalancer: { type: 'Fastest' } }),
    'spec.loadBalancer.type',
    'one of PeakEWMA',
  ),
  ...balancerSamples,
];

export const weftSamples: readonly Sample[] = [
  ...mesh,
  ...targetsOf('TrafficPolicy', { retries: {} }),
  ...targetsOf('FaultPolicy', { reset: {} }),
  ...traffic,
  ...healthSamples,
  ...retrySamples,
  ...authorizationSamples,
  ...authenticationSamples,
  ...overloadSamples,
  ...faultSamples,
  ...externalSamples,
];
