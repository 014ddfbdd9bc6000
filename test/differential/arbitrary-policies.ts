/** Sets of objects out of a small vocabulary, which the requests are made of too. */

import { parseObjects } from '@weft/control-plane/static/objects';
import fc from 'fast-check';
import type { JsonObject } from '../support/pair-bootstrap.ts';
import { COPYING, NAMESPACE, objectsOf, type PolicySet, ROUTE, SERVICE } from './policy-set.ts';

export const paths = ['/', '/a', '/a/b', '/a/', '/A', '/api', '/api/v1', '/x.y', '/a-b'] as const;
const expressions = ['/[ab]+', '/api/.*', '/a(/b)?', '/.*/v[0-9]'] as const;
export const fieldNames = ['x-tier', 'X-Who', 'x-list'] as const;
export const fieldValues = ['gold', 'silver', 'Gold', 'a b', '1'] as const;
export const queryNames = ['q', 'Q', 'to'] as const;
export const grpcServices = ['shop.Cart', 'shop.v2.Cart', 'shop.Pay'] as const;
export const grpcMethods = ['Get', 'Put', 'WatchAll'] as const;
export const origins = ['https://a.example', 'https://x.b.example', 'http://a.example:8080', 'null'] as const;

/** Mostly absent. */
const sometimes = <T>(weight: number, what: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: what });

/** Without what is undefined, as YAML is. */
const clean = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<JsonObject> =>
  arbitrary.map((value): JsonObject => JSON.parse(JSON.stringify(value)));

const oneOf = <T extends string | number>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

const valueMatch = (names: readonly string[]): fc.Arbitrary<JsonObject> =>
  fc.oneof(
    fc.record({ name: oneOf(...names), value: oneOf(...fieldValues) }),
    fc.record({
      name: oneOf(...names),
      type: fc.constant('RegularExpression'),
      value: oneOf('[a-z]+', 'gold|silver', '[^a]*', 'o'),
    }),
  );

const someMatches = (names: readonly string[]) =>
  sometimes(2, fc.uniqueArray(valueMatch(names), { minLength: 1, maxLength: 2, selector: ({ name }) => name }));

const httpMatch = clean(
  fc.record({
    path: sometimes(
      1,
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ type: oneOf('Exact', 'PathPrefix'), value: oneOf(...paths) }) },
        { weight: 1, arbitrary: fc.record({ type: fc.constant('RegularExpression'), value: oneOf(...expressions) }) },
      ),
    ),
    headers: someMatches(fieldNames),
    queryParams: someMatches(queryNames),
    method: sometimes(3, oneOf('GET', 'POST', 'OPTIONS')),
  }),
);

const grpcMatch = clean(
  fc.record({
    method: sometimes(
      1,
      fc.oneof(
        fc.record({ service: oneOf(...grpcServices), method: oneOf(...grpcMethods) }),
        fc.record({ service: oneOf(...grpcServices) }),
        fc.record({ method: oneOf(...grpcMethods) }),
        fc.record({
          type: fc.constant('RegularExpression'),
          service: oneOf('shop\\..+', 'shop\\.(Cart|Pay)'),
          method: oneOf('Get|Put', 'Watch.*'),
        }),
      ),
    ),
    headers: someMatches(fieldNames),
  }),
);

const additions = (names: readonly string[], most: number) =>
  sometimes(
    1,
    fc.uniqueArray(fc.record({ name: oneOf(...names), value: oneOf('new', 'other', '100%', '%REQ(host)%', 'a, b') }), {
      minLength: 1,
      maxLength: most,
      selector: ({ name }) => name.toLowerCase(),
    }),
  );
const modifier = (type: string, field: string, names: readonly string[]): fc.Arbitrary<JsonObject> =>
  clean(
    fc.record({
      type: fc.constant(type),
      [field]: fc
        .record({
          set: additions(names.slice(0, 3), 2),
          add: additions(names.slice(3), 2),
          remove: sometimes(2, fc.uniqueArray(oneOf(...names, 'Cookie'), { minLength: 1, maxLength: 2 })),
        })
        .filter(({ set, add, remove }) => set !== undefined || add !== undefined || remove !== undefined),
    }),
  );
const requestModifier = modifier('RequestHeaderModifier', 'requestHeaderModifier', [
  ...['x-tier', 'X-New', 'user-agent'],
  ...['X-List', 'x-Who', 'x-added'],
]);
const responseModifier = modifier('ResponseHeaderModifier', 'responseHeaderModifier', [
  ...['X-New', 'x-from', 'server'],
  ...['Set-Cookie', 'vary', 'x-added'],
]);

const pathModifier = fc.oneof(
  fc.record({ type: fc.constant('ReplaceFullPath'), replaceFullPath: oneOf('/new', '/new/', '/') }),
  fc.record({ type: fc.constant('ReplacePrefixMatch'), replacePrefixMatch: oneOf('/new', '/', '/new/', '') }),
);
const rewrite = clean(
  fc.record({
    type: fc.constant('URLRewrite'),
    urlRewrite: fc
      .record({ hostname: sometimes(1, oneOf('inner.example')), path: sometimes(1, pathModifier) })
      .filter(({ hostname, path }) => hostname !== undefined || path !== undefined),
  }),
);
const redirect = clean(
  fc.record({
    type: fc.constant('RequestRedirect'),
    requestRedirect: fc.record({
      scheme: sometimes(2, oneOf('http', 'https')),
      hostname: sometimes(2, oneOf('moved.example')),
      port: sometimes(2, oneOf(80, 443, 8080)),
      path: sometimes(1, pathModifier),
      statusCode: sometimes(1, oneOf(301, 302, 303, 307, 308)),
    }),
  }),
);
/** All or nothing: shares are drawn, and each proxy draws for itself. */
const mirror = clean(
  fc.record({
    type: fc.constant('RequestMirror'),
    requestMirror: fc.record({
      backendRef: fc.constant({ name: COPYING, port: 80 }),
      percent: sometimes(1, oneOf(0, 100)),
    }),
  }),
);
const cors = clean(
  fc.record({
    type: fc.constant('CORS'),
    cors: fc.record({
      allowOrigins: oneOf('*', 'https://a.example', 'https://*.b.example', 'http://a.example:8080').map((one) => [one]),
      allowMethods: sometimes(1, fc.constantFrom<string[][]>(['GET', 'PUT'], ['*'])),
      allowHeaders: sometimes(1, fc.constantFrom<string[][]>(['x-a', 'x-b'], ['*'])),
      exposeHeaders: sometimes(1, fc.constantFrom<string[][]>(['x-from'])),
      allowCredentials: sometimes(1, fc.boolean()),
      maxAge: sometimes(1, oneOf(5, 60)),
    }),
  }),
);

const some = (list: readonly fc.Arbitrary<JsonObject>[], weight: number): fc.Arbitrary<JsonObject[]> =>
  fc
    .tuple(...list.map((one) => sometimes(weight, one)))
    .map((all) => all.filter((one): one is JsonObject => one !== undefined));

/** One backend takes all, so that both choose the same. */
const backends = (own: fc.Arbitrary<JsonObject[]>): fc.Arbitrary<JsonObject[]> =>
  own.chain((filters) =>
    fc.constantFrom<JsonObject[][]>(
      [{ name: 'a', port: 80, filters }],
      [{ name: 'b', port: 80, filters }],
      [{ name: 'b', port: 80 }],
      [
        { name: 'a', port: 80, weight: 0 },
        { name: 'b', port: 80, weight: 3, filters },
      ],
      [{ name: 'missing', port: 80 }],
      [
        { name: 'missing', port: 80, weight: 1 },
        { name: 'b', port: 80, weight: 0 },
      ],
      [{ name: 'none', port: 80 }],
      [{ name: 'a', port: 80, weight: 0 }],
      [],
    ),
  );

const timeouts = clean(
  fc.record({ request: sometimes(1, oneOf('0s', '150ms', '2s')), backendRequest: sometimes(2, oneOf('100ms', '2s')) }),
);
const ruleRetry = clean(
  fc.record({
    attempts: sometimes(1, oneOf(1, 2, 3)),
    codes: sometimes(1, fc.uniqueArray(oneOf(500, 503, 504, 429), { minLength: 1, maxLength: 3 })),
    backoff: oneOf('2ms', '10ms'),
  }),
);

const httpRule: fc.Arbitrary<JsonObject> = fc.oneof(
  {
    weight: 5,
    arbitrary: clean(
      fc.record({
        matches: sometimes(1, fc.array(httpMatch, { minLength: 1, maxLength: 3 })),
        filters: some([requestModifier, responseModifier, rewrite, mirror, cors], 3),
        backendRefs: backends(some([requestModifier, responseModifier, rewrite], 5)),
        timeouts: sometimes(4, timeouts),
        retry: sometimes(2, ruleRetry),
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: clean(
      fc.record({
        matches: sometimes(1, fc.array(httpMatch, { minLength: 1, maxLength: 1 })),
        filters: fc.tuple(redirect, some([responseModifier, cors], 3)).map(([one, more]) => [one, ...more]),
      }),
    ),
  },
);

const grpcRule: fc.Arbitrary<JsonObject> = clean(
  fc.record({
    matches: sometimes(1, fc.array(grpcMatch, { minLength: 1, maxLength: 3 })),
    filters: some([requestModifier, responseModifier, mirror], 3),
    backendRefs: backends(some([requestModifier, responseModifier], 5)),
  }),
);

const gateway = 'gateway.networking.k8s.io';
const targets = (grpc: boolean): fc.Arbitrary<JsonObject> =>
  fc.constantFrom<JsonObject[]>(
    { kind: 'Service', name: SERVICE },
    { kind: 'Service', name: 'b' },
    { group: gateway, kind: grpc ? 'GRPCRoute' : 'HTTPRoute', name: ROUTE },
    { group: gateway, kind: grpc ? 'GRPCRoute' : 'HTTPRoute', name: ROUTE, sectionName: 'r0' },
    { kind: 'Namespace', name: NAMESPACE },
  );

const policy = (kind: string, name: string, target: JsonObject, spec: object): JsonObject =>
  JSON.parse(
    JSON.stringify({
      apiVersion: 'weft.dev/v1alpha1',
      kind,
      metadata: { name, namespace: NAMESPACE },
      spec: { targetRefs: [target], ...spec },
    }),
  );

const trafficSpec = fc.record({
  retries: sometimes(
    0,
    fc.record({
      attempts: oneOf(0, 1, 2, 3),
      retryOn: sometimes(
        2,
        fc.uniqueArray(
          oneOf('5xx', 'gateway-error', 'connect-failure', 'reset', 'retriable-4xx', 'refused-stream', 'unavailable'),
          { minLength: 1, maxLength: 3 },
        ),
      ),
      statusCodes: sometimes(2, fc.uniqueArray(oneOf(409, 429, 500, 503), { minLength: 1, maxLength: 2 })),
      responseHeaders: sometimes(4, fc.constant([{ name: 'X-Again' }])),
      perTryTimeout: sometimes(4, oneOf('150ms')),
      backoff: fc.constant({ baseInterval: '2ms', maxInterval: '10ms' }),
      methods: sometimes(4, fc.constantFrom<string[][]>(['GET', 'HEAD'], ['POST'])),
      retryNonIdempotent: sometimes(1, fc.boolean()),
    }),
  ),
  timeouts: sometimes(
    2,
    fc
      .record({ request: sometimes(1, oneOf('150ms', '2s')), connect: sometimes(2, oneOf('1s')) })
      .filter(({ request, connect }) => request !== undefined || connect !== undefined),
  ),
  loadBalancer: sometimes(
    1,
    oneOf('PeakEWMA', 'LeastRequest', 'RoundRobin', 'Random').map((type) => ({ type })),
  ),
  circuitBreaker: sometimes(
    4,
    fc.constant({ limits: { maxConnections: 50, maxPendingRequests: 50, maxRequests: 50 } }),
  ),
});

const faultSpec = fc
  .record({
    match: sometimes(
      1,
      fc
        .record({
          paths: sometimes(1, fc.uniqueArray(oneOf('/a', '/a/*', '/api/*', '*b'), { minLength: 1, maxLength: 2 })),
          methods: sometimes(1, fc.constantFrom<string[][]>(['GET'], ['POST', 'PUT'])),
          headers: sometimes(
            1,
            fc.constantFrom<JsonObject[][]>([{ name: 'X-Tier' }], [{ name: 'x-who', values: ['go*', '1'] }]),
          ),
        })
        .filter((one) => Object.values(one).some((value) => value !== undefined)),
    ),
    abort: sometimes(
      0,
      fc.oneof(
        fc.record({ httpStatus: oneOf(418, 503, 429), percent: oneOf(0, 100, 100) }),
        fc.record({ grpcStatus: oneOf(8, 14), percent: fc.constant(100) }),
      ),
    ),
    delay: sometimes(4, fc.constant({ fixed: '5ms' })),
  })
  .filter(({ abort, delay }) => abort !== undefined || delay !== undefined);

const policies = (grpc: boolean): fc.Arbitrary<JsonObject[]> =>
  fc
    .record({
      traffic: fc.array(fc.tuple(targets(grpc), trafficSpec), { maxLength: 2 }),
      fault: sometimes(3, fc.tuple(targets(grpc), faultSpec)),
    })
    .map(({ traffic, fault }) => [
      ...traffic.map(([target, spec], i) => policy('TrafficPolicy', `traffic-${i}`, target, spec)),
      ...(fault === undefined ? [] : [policy('FaultPolicy', 'fault', fault[0], fault[1])]),
    ]);

const named = (rules: readonly JsonObject[]): JsonObject[] => rules.map((rule, i) => ({ name: `r${i}`, ...rule }));

/** What the schemas refuse is no set. */
const isValid = (set: PolicySet): boolean => parseObjects(JSON.stringify({ kind: 'List', items: objectsOf(set) })).ok;

const setOf = (protocol: fc.Arbitrary<PolicySet['protocol']>, rule: fc.Arbitrary<JsonObject>, grpc: boolean) =>
  fc.record({
    protocol,
    rules: fc.oneof(
      { weight: 1, arbitrary: fc.constant<JsonObject[]>([]) },
      { weight: 9, arbitrary: fc.array(rule, { minLength: 1, maxLength: 4 }).map(named) },
    ),
    policies: policies(grpc),
  });

export const arbitrarySet: fc.Arbitrary<PolicySet> = fc
  .oneof(
    { weight: 3, arbitrary: setOf(fc.constantFrom('http', 'http', 'h2c'), httpRule, false) },
    { weight: 1, arbitrary: setOf(fc.constant('grpc'), grpcRule, true) },
  )
  .filter(isValid);
