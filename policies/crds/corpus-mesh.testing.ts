/** Samples of Mesh. */
import { objectOf, right, type Sample, wrong } from './corpus.testing.ts';

export const meshSamples: readonly Sample[] = [
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
