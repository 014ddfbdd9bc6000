export interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Who answers; absent: the sidecar does. */
  readonly pod?: string;
  readonly status?: number;
  readonly location?: string;
  /** What the application saw; `:path` is its path. */
  readonly seen?: Readonly<Record<string, string | undefined>>;
}

interface RouteObject {
  readonly spec: string;
  readonly kind?: string;
  readonly name?: string;
  readonly parent?: string;
  readonly created?: string;
}

export interface Rule {
  readonly section: string;
  readonly rule: string;
  readonly objects: readonly RouteObject[];
  readonly asked?: readonly Asked[];
  readonly proportion?: {
    readonly path: string;
    readonly requests?: number;
    readonly shares: Readonly<Record<string, number>>;
  };
  /** Of each parent of a route: `type status reason`, in order. */
  readonly statuses?: Readonly<Record<string, readonly string[]>>;
}

const v1 = 'backendRefs: [{ name: echo-v1, port: 8080 }]';
const v2 = 'backendRefs: [{ name: echo-v2, port: 8080 }]';
const rules = (...all: readonly string[]): string =>
  `rules:\n${all.map((rule) => `  - ${rule.replace(/\n/g, '\n    ')}`).join('\n')}`;
const match = (value: string, to: string): string => `matches: [${value}]\n${to}`;
const fine = 'Accepted True Accepted, ResolvedRefs True ResolvedRefs';
const old = '2020-01-01T00:00:00Z';
const rewritten = '{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /new } } }';
const plugin = '{ type: ExtensionRef, extensionRef: { group: example.com, kind: Plugin, name: p } }';

const precedence: readonly Rule[] = [
  {
    section: 'HTTPRouteRule.matches',
    rule: 'an exact path comes before a prefix, whatever their order',
    objects: [
      {
        spec: rules(
          match('{ path: { value: /a } }, { path: { value: /a/b } }', v1),
          match('{ path: { type: Exact, value: /a } }', v2),
        ),
      },
    ],
    asked: [
      { path: '/a', pod: 'echo-v2' },
      { path: '/a?x=1', pod: 'echo-v2' },
      { path: '/a/', pod: 'echo-v1' },
      { path: '/a/b', pod: 'echo-v1' },
    ],
  },
  {
    section: 'HTTPRouteRule.matches',
    rule: 'the longest prefix wins, across routes and whatever their age',
    objects: [
      { name: 'short', created: old, spec: rules(match('{ path: { value: /a } }', v1)) },
      { name: 'long', spec: rules(match('{ path: { value: /a/long } }', v2)) },
    ],
    asked: [
      { path: '/a/longer', pod: 'echo-v1' },
      { path: '/a/long', pod: 'echo-v2' },
    ],
  },
  {
    section: 'HTTPRouteRule.matches',
    rule: 'with equal paths a method comes before headers, headers before query parameters, and more before fewer',
    objects: [
      {
        spec: rules(
          match('{ path: { value: /m }, headers: [{ name: a, value: "1" }, { name: b, value: "2" }] }', v1),
          match('{ path: { value: /m }, method: PUT }', v2),
          match('{ path: { value: /h }, queryParams: [{ name: q, value: "1" }, { name: r, value: "2" }] }', v1),
          match('{ path: { value: /h }, headers: [{ name: a, value: "1" }] }', v2),
          match('{ path: { value: /n }, headers: [{ name: a, value: "1" }] }', v1),
          match('{ path: { value: /n }, headers: [{ name: a, value: "1" }, { name: b, value: "2" }] }', v2),
        ),
      },
    ],
    asked: [
      { path: '/m', method: 'PUT', headers: { a: '1', b: '2' }, pod: 'echo-v2' },
      { path: '/h?q=1&r=2', headers: { a: '1' }, pod: 'echo-v2' },
      { path: '/n', headers: { a: '1', b: '2' }, pod: 'echo-v2' },
      { path: '/n', headers: { a: '1' }, pod: 'echo-v1' },
    ],
  },
  {
    section: 'HTTPRouteRule.matches',
    rule: 'ties go to the oldest route, then to the first by name, then to the first rule',
    objects: [
      { name: 'a', spec: rules(match('{ path: { value: /age } }', v1), match('{ path: { value: /name } }', v2)) },
      { name: 'b', created: old, spec: rules(match('{ path: { value: /age } }', v2)) },
      { name: 'c', spec: rules(match('{ path: { value: /name } }', v1)) },
      { name: 'd', spec: rules(match('{ path: { value: /rule } }', v2), match('{ path: { value: /rule } }', v1)) },
    ],
    asked: [
      { path: '/age', pod: 'echo-v2' },
      { path: '/name', pod: 'echo-v2' },
      { path: '/rule', pod: 'echo-v2' },
    ],
  },
  {
    section: 'HTTPRouteRule.matches',
    rule: 'what no rule matches is a 404, also where the Service has endpoints',
    objects: [{ spec: rules(match('{ path: { value: /a } }', v1)) }],
    asked: [
      { path: '/', status: 404 },
      { path: '/ab', status: 404 },
    ],
  },
  {
    section: 'HTTPPathMatch.value',
    rule: 'a prefix is one of path elements, with or without a slash at its end; expressions match whole paths',
    objects: [
      {
        spec: rules(
          match('{ path: { value: /abc/ } }', v1),
          match('{ path: { type: RegularExpression, value: "/v[0-9]+/x" } }', v2),
        ),
      },
    ],
    asked: [
      { path: '/abc', pod: 'echo-v1' },
      { path: '/abc/d', pod: 'echo-v1' },
      { path: '/abcd', status: 404 },
      { path: '/v12/x', pod: 'echo-v2' },
      { path: '/v12/xy', status: 404 },
    ],
  },
  {
    section: 'HTTPHeaderMatch',
    rule: 'names have no case, values do; expressions match whole values',
    objects: [
      {
        spec: rules(
          match('{ headers: [{ name: X-Kind, value: One }] }', v1),
          match('{ headers: [{ name: X-Kind, type: RegularExpression, value: "t.*" }] }', v2),
        ),
      },
    ],
    asked: [
      { path: '/', headers: { 'x-kind': 'One' }, pod: 'echo-v1' },
      { path: '/', headers: { 'x-kind': 'one' }, status: 404 },
      { path: '/', headers: { 'X-KIND': 'two' }, pod: 'echo-v2' },
      { path: '/', headers: { 'x-kind': 'a two' }, status: 404 },
    ],
  },
];

const backends: readonly Rule[] = [
  {
    section: 'HTTPRouteRule.backendRefs',
    rule: 'the share of an invalid backend is a 500',
    objects: [{ spec: rules('backendRefs: [{ name: echo-v1, port: 8080 }, { name: missing, port: 80 }]') }],
    proportion: { path: '/', shares: { 'echo-v1': 0.5, '500': 0.5 } },
    statuses: { route: ['Accepted True Accepted, ResolvedRefs False BackendNotFound'] },
  },
  {
    section: 'HTTPRouteRule.backendRefs',
    rule: 'without a valid backend every request is a 500: none, all invalid, all of weight 0',
    objects: [
      {
        spec: rules(
          'matches: [{ path: { value: /none } }]',
          match('{ path: { value: /zero } }', 'backendRefs: [{ name: echo-v1, port: 8080, weight: 0 }]'),
          match('{ path: { value: /kind } }', 'backendRefs: [{ group: example.com, kind: Bucket, name: b }]'),
        ),
      },
    ],
    asked: [
      { path: '/none', status: 500 },
      { path: '/zero', status: 500 },
      { path: '/kind', status: 500 },
    ],
    statuses: { route: ['Accepted True Accepted, ResolvedRefs False InvalidKind'] },
  },
  {
    section: 'HTTPBackendRef',
    rule: 'a backend that does not speak HTTP is invalid: UnsupportedProtocol',
    objects: [{ spec: rules('backendRefs: [{ name: echo-v1, port: 9090 }]') }],
    asked: [{ path: '/', status: 500 }],
    statuses: { route: ['Accepted True Accepted, ResolvedRefs False UnsupportedProtocol'] },
  },
  {
    section: 'HTTPBackendRef',
    rule: 'a backend of another namespace needs a ReferenceGrant there',
    objects: [{ spec: rules('backendRefs: [{ name: secret, namespace: vault, port: 80 }]') }],
    asked: [{ path: '/', status: 500 }],
    statuses: { route: ['Accepted True Accepted, ResolvedRefs False RefNotPermitted'] },
  },
  {
    section: 'HTTPBackendRef.filters',
    rule: 'filters of a backend act on the requests that go there, and on no others',
    objects: [
      {
        spec: rules(
          `backendRefs: [{ name: echo-v1, port: 8080, filters: [${rewritten}] }, { name: echo-v2, port: 8080 }]`,
        ),
      },
    ],
    proportion: { path: '/old', shares: { 'echo-v1': 0.5, 'echo-v2': 0.5 } },
  },
  {
    section: 'HTTPBackendRef.filters',
    rule: 'a rewrite of the only backend',
    objects: [{ spec: rules(`backendRefs: [{ name: echo-v1, port: 8080, filters: [${rewritten}] }]`) }],
    asked: [{ path: '/old?q=1', pod: 'echo-v1', seen: { ':path': '/new?q=1' } }],
  },
  {
    section: 'HTTPBackendRef.filters',
    rule: 'the share of a backend with a redirect is redirected, that of an unknown extension is a 500',
    objects: [
      {
        spec: rules(
          `backendRefs: [{ name: echo-v1, port: 8080, weight: 2, filters: [{ type: RequestRedirect, requestRedirect: { hostname: a.example } }] }, { name: echo-v1, port: 8080, weight: 1, filters: [${plugin}] }, { name: echo-v2, port: 8080, weight: 1 }]`,
        ),
      },
    ],
    proportion: { path: '/', shares: { '302': 0.5, '500': 0.25, 'echo-v2': 0.25 } },
    statuses: { route: ['Accepted True Accepted, ResolvedRefs False InvalidKind'] },
  },
];

const attachment: readonly Rule[] = [
  {
    section: 'HTTPRouteFilter.type',
    rule: 'a filter that cannot be resolved is not skipped: its requests are errors, others are not',
    objects: [
      {
        spec: rules(
          `matches: [{ path: { value: /x } }]\nfilters: [${plugin}]\n${v1}`,
          match('{ path: { value: /y } }', v1),
        ),
      },
    ],
    asked: [
      { path: '/x', status: 500 },
      { path: '/y', pod: 'echo-v1' },
    ],
    statuses: { route: ['Accepted True Accepted, ResolvedRefs False InvalidKind'] },
  },
  {
    section: 'RouteConditionPartiallyInvalid',
    rule: 'a rule that cannot be carried out is dropped, the others serve; a route of which none is left is refused',
    objects: [
      {
        name: 'partly',
        spec: rules(
          match('{ path: { type: RegularExpression, value: "/(a" } }', v1),
          match('{ path: { value: /good } }', v1),
        ),
      },
      { name: 'wholly', spec: rules(match('{ path: { type: RegularExpression, value: "/(a" } }', v1)) },
    ],
    asked: [
      { path: '/good', pod: 'echo-v1' },
      { path: '/(a', status: 404 },
    ],
    statuses: {
      partly: [`${fine}, PartiallyInvalid True UnsupportedValue`],
      wholly: ['Accepted False UnsupportedValue, ResolvedRefs True ResolvedRefs'],
    },
  },
  {
    section: 'ParentReference',
    rule: 'port and sectionName both have to fit; each parent has its own status; those of gateways are left alone',
    objects: [
      {
        parent: [
          '{ group: "", kind: Service, name: echo, port: 80, sectionName: http }',
          '{ group: "", kind: Service, name: echo, port: 80, sectionName: grpc }',
          '{ group: "", kind: Service, name: missing }',
          '{ group: "", kind: Service, name: echo-v1, sectionName: tcp }',
          '{ name: some-gateway }',
        ].join(', '),
        spec: rules(v2),
      },
    ],
    asked: [{ path: '/', pod: 'echo-v2' }],
    statuses: {
      route: [
        fine,
        'Accepted False NoMatchingParent, ResolvedRefs True ResolvedRefs',
        'Accepted False NoMatchingParent, ResolvedRefs True ResolvedRefs',
        'Accepted False NoMatchingParent, ResolvedRefs True ResolvedRefs',
      ],
    },
  },
  {
    section: 'GEP-1294, Route types',
    rule: 'one kind of route for a port: GRPCRoute, HTTPRoute, TLSRoute, TCPRoute; the others are Conflicted',
    objects: [
      { kind: 'TCPRoute', name: 'tcp', created: old, spec: rules(v2) },
      { kind: 'HTTPRoute', name: 'http', spec: rules(v1) },
    ],
    asked: [{ path: '/', pod: 'echo-v1' }],
    statuses: { tcp: ['Accepted False Conflicted, ResolvedRefs True ResolvedRefs'], http: [fine] },
  },
  {
    section: 'GEP-1294, hostnames field',
    rule: 'hostnames do not choose requests on a Service',
    objects: [{ spec: `hostnames: [other.example]\n${rules(v2)}` }],
    asked: [{ path: '/', pod: 'echo-v2' }],
    statuses: { route: [fine] },
  },
  {
    section: 'GEP-1294, Ports',
    rule: 'without a port a route is for all ports that can carry it, and accepted if there is one',
    objects: [{ parent: '{ group: "", kind: Service, name: echo }', spec: rules(v2) }],
    asked: [{ path: '/', pod: 'echo-v2' }],
    statuses: { route: [fine] },
  },
];

export const httpRules: readonly Rule[] = [...precedence, ...backends, ...attachment];
