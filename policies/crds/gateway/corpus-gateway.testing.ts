/** Samples of the Gateway API kinds, one for each rule of the specification. */
import { right, type Sample, wrong } from '../corpus.testing.ts';
import { filterSamples } from './corpus-filters.testing.ts';
import { routeSamples } from './corpus-routes.testing.ts';

const backend = { name: 'cart', port: 8080 };
const route = (rule: object) => ({ rules: [{ backendRefs: [backend], ...rule }] });
const R = 'spec.rules[0]';

const http = (title: string, spec: Readonly<Record<string, unknown>>, path?: string, message = ''): Sample =>
  path === undefined ? right('HTTPRoute', title, spec) : wrong('HTTPRoute', title, spec, path, message);

const match = (title: string, value: object, path?: string, message = ''): Sample =>
  http(title, route({ matches: [value] }), path, message);

const service = { group: '', kind: 'Service', name: 'cart' };

const parents: readonly Sample[] = [
  http('no rules at all', {}),
  http('a parent without sections', { parentRefs: [service, { name: 'gateway' }, { ...service, namespace: 'other' }] }),
  http('ports of one parent', {
    parentRefs: [
      { ...service, port: 80 },
      { ...service, port: 81 },
    ],
  }),
  http('sections of one parent', {
    parentRefs: [
      { name: 'g', sectionName: 'a' },
      { name: 'g', sectionName: 'b' },
    ],
  }),
  http(
    'a parent with and without a section',
    { parentRefs: [{ name: 'g', sectionName: 'a' }, { name: 'g' }] },
    'spec.parentRefs',
    'more than once',
  ),
  http(
    'a parent with and without a port',
    { parentRefs: [{ ...service, port: 80 }, service] },
    'spec.parentRefs',
    'more than once',
  ),
  http('a parent twice', { parentRefs: [service, service] }, 'spec.parentRefs', 'one part of a parent twice'),
  http(
    'a port twice',
    {
      parentRefs: [
        { ...service, port: 80 },
        { ...service, port: 80 },
      ],
    },
    'spec.parentRefs',
    'one part of a parent twice',
  ),
  http(
    '33 parents',
    { parentRefs: Array.from({ length: 33 }, (_, i) => ({ name: `g${i}` })) },
    'spec.parentRefs',
    'at most 32',
  ),
  http('hostnames', { hostnames: ['example.com', '*.example.com'] }),
  http('a hostname in capitals', { hostnames: ['Example.com'] }, 'spec.hostnames[0]', 'a lowercase hostname'),
  http('17 hostnames', { hostnames: Array.from({ length: 17 }, (_, i) => `h${i}`) }, 'spec.hostnames', 'at most 16'),
];

const paths: readonly Sample[] = [
  match('an exact path', { path: { type: 'Exact', value: '/a' } }),
  match('a regular expression', { path: { type: 'RegularExpression', value: 'a//b#' } }),
  match('percent-encoded', { path: { value: '/a%20b' } }),
  match('a relative path', { path: { value: 'a' } }, `${R}.matches[0].path.value`, "start with '/'"),
  ...['//', '/./', '/../', '%2f', '%2F', '#'].map((part) =>
    match(
      `${part} in a path`,
      { path: { type: 'Exact', value: `/a${part}b` } },
      `${R}.matches[0].path.value`,
      `not contain '${part}'`,
    ),
  ),
  ...['/..', '/.'].map((part) =>
    match(
      `${part} at the end`,
      { path: { value: `/a${part}` } },
      `${R}.matches[0].path.value`,
      `not end with '${part}'`,
    ),
  ),
  match('a space in a path', { path: { value: '/a b' } }, `${R}.matches[0].path.value`, 'path characters'),
  match(
    'a path of 1025 characters',
    { path: { value: `/${'a'.repeat(1024)}` } },
    `${R}.matches[0].path.value`,
    'at most 1024',
  ),
  match('an unknown type', { path: { type: 'Glob', value: '/' } }, `${R}.matches[0].path.type`, 'one of Exact'),
];

const matches: readonly Sample[] = [
  match('headers, query and method', {
    method: 'GET',
    headers: [
      { name: 'a', value: 'b' },
      { name: 'c', value: 'd', type: 'RegularExpression' },
    ],
    queryParams: [{ name: 'q', value: '1' }],
  }),
  match(
    'a header twice',
    {
      headers: [
        { name: 'a', value: 'b' },
        { name: 'a', value: 'c' },
      ],
    },
    `${R}.matches[0].headers[1].name`,
    'repeats "a"',
  ),
  match(
    'a query parameter twice',
    {
      queryParams: [
        { name: 'a', value: 'b' },
        { name: 'a', value: 'c' },
      ],
    },
    `${R}.matches[0].queryParams[1].name`,
    'repeats "a"',
  ),
  match(
    'a header name with a space',
    { headers: [{ name: 'a b', value: 'c' }] },
    `${R}.matches[0].headers[0].name`,
    'header name',
  ),
  match(
    'a header without a value',
    { headers: [{ name: 'a', value: '' }] },
    `${R}.matches[0].headers[0].value`,
    'at least 1',
  ),
  match(
    '17 headers',
    { headers: Array.from({ length: 17 }, (_, i) => ({ name: `h${i}`, value: 'x' })) },
    `${R}.matches[0].headers`,
    'at most 16',
  ),
  match('a method in small letters', { method: 'get' }, `${R}.matches[0].method`, 'one of GET'),
  match('an unknown key', { cookie: 'a' }, `${R}.matches[0].cookie`, 'no field'),
  http('64 matches', route({ matches: Array.from({ length: 64 }, () => ({})) })),
  http('65 matches', route({ matches: Array.from({ length: 65 }, () => ({})) }), `${R}.matches`, 'at most 64'),
  http('128 matches in all', {
    rules: Array.from({ length: 2 }, () => ({ matches: Array.from({ length: 64 }, () => ({})) })),
  }),
  http(
    '129 matches in all',
    { rules: [64, 64, 1].map((length) => ({ matches: Array.from({ length }, () => ({})) })) },
    'spec.rules',
    '128 matches',
  ),
];

const rules: readonly Sample[] = [
  http('no rule', { rules: [] }, 'spec.rules', 'at least 1'),
  http('16 rules', { rules: Array.from({ length: 16 }, (_, i) => ({ name: `r${i}` })) }),
  http('17 rules', { rules: Array.from({ length: 17 }, () => ({})) }, 'spec.rules', 'at most 16'),
  http('a rule name twice', { rules: [{ name: 'a' }, { name: 'a' }] }, 'spec.rules', 'one rule name twice'),
  http(
    'weights',
    route({
      backendRefs: [
        { ...backend, weight: 90 },
        { ...backend, weight: 0 },
      ],
    }),
  ),
  http(
    'a weight too large',
    route({ backendRefs: [{ ...backend, weight: 1_000_001 }] }),
    `${R}.backendRefs[0].weight`,
    'at most 1000000',
  ),
  http(
    'a negative weight',
    route({ backendRefs: [{ ...backend, weight: -1 }] }),
    `${R}.backendRefs[0].weight`,
    'at least 0',
  ),
  http(
    'a Service without a port',
    route({ backendRefs: [{ name: 'cart' }] }),
    `${R}.backendRefs[0].port`,
    'needs a port',
  ),
  http('another kind without a port', route({ backendRefs: [{ group: 'example.com', kind: 'Bucket', name: 'b' }] })),
  http(
    '17 backends',
    route({ backendRefs: Array.from({ length: 17 }, () => backend) }),
    `${R}.backendRefs`,
    'at most 16',
  ),
  http('timeouts', route({ timeouts: { request: '10s', backendRequest: '2s' } })),
  http('no limit for the request', route({ timeouts: { request: '0s', backendRequest: '2s' } })),
  http(
    'a try longer than the request',
    route({ timeouts: { request: '1s', backendRequest: '2s' } }),
    `${R}.timeouts.backendRequest`,
    'longer than request',
  ),
  http('a timeout in words', route({ timeouts: { request: 'soon' } }), `${R}.timeouts.request`, 'a duration'),
  http('retries', route({ retry: { codes: [500, 503], attempts: 3, backoff: '10ms' } })),
  http('a retry of success', route({ retry: { codes: [200] } }), `${R}.retry.codes[0]`, 'at least 400'),
  http('a code twice', route({ retry: { codes: [500, 500] } }), `${R}.retry.codes[1]`, 'repeats 500'),
];

const sessions: readonly Sample[] = [
  http('a session cookie', route({ sessionPersistence: { cookie: { name: 'sid' } } })),
  http(
    'a permanent cookie',
    route({ sessionPersistence: { absoluteTimeout: '1h', cookie: { lifetimeType: 'Permanent' } } }),
  ),
  http('a session header', route({ sessionPersistence: { type: 'Header', header: { name: 'x-session' } } })),
  http(
    'a permanent cookie without an end',
    route({ sessionPersistence: { cookie: { lifetimeType: 'Permanent' } } }),
    `${R}.sessionPersistence.absoluteTimeout`,
    'needs absoluteTimeout',
  ),
  http(
    'a cookie with type Header',
    route({ sessionPersistence: { type: 'Header', header: { name: 'a' }, cookie: {} } }),
    `${R}.sessionPersistence.cookie`,
    'needs type Cookie',
  ),
  http(
    'type Cookie without cookie',
    route({ sessionPersistence: {} }),
    `${R}.sessionPersistence.cookie`,
    'needs cookie',
  ),
  http(
    'a header with type Cookie',
    route({ sessionPersistence: { cookie: {}, header: { name: 'a' } } }),
    `${R}.sessionPersistence.header`,
    'needs type Header',
  ),
  http(
    'type Header without header',
    route({ sessionPersistence: { type: 'Header' } }),
    `${R}.sessionPersistence.header`,
    'needs header',
  ),
];

const redirectPrefix = {
  type: 'RequestRedirect',
  requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } },
};
const rewritePrefix = {
  type: 'URLRewrite',
  urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } },
};
const twoMatches = [{ path: { value: '/a' } }, { path: { value: '/b' } }];
const exactMatch = [{ path: { type: 'Exact', value: '/a' } }];

const across: readonly Sample[] = [
  http(
    'a redirect with backends',
    route({ filters: [{ type: 'RequestRedirect', requestRedirect: {} }] }),
    `${R}.filters`,
    'remove it or the backendRefs',
  ),
  ...[redirectPrefix, rewritePrefix].flatMap((one) => [
    http(`${one.type} of the default prefix`, { rules: [{ filters: [one] }] }),
    http(
      `${one.type} of two prefixes`,
      { rules: [{ filters: [one], matches: twoMatches }] },
      `${R}.matches`,
      'exactly one match',
    ),
    http(
      `${one.type} of an exact path`,
      { rules: [{ filters: [one], matches: exactMatch }] },
      `${R}.matches`,
      'exactly one match',
    ),
    http(`${one.type} for a backend`, { rules: [{ backendRefs: [{ ...backend, filters: [one] }] }] }),
    http(
      `${one.type} for a backend, two prefixes`,
      { rules: [{ backendRefs: [{ ...backend, filters: [one] }], matches: twoMatches }] },
      `${R}.matches`,
      "a backend's",
    ),
  ]),
];

const from = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' };
const to = { group: '', kind: 'Service' };

const grants: readonly Sample[] = [
  right('ReferenceGrant', 'all Services', { from: [from], to: [to] }),
  right('ReferenceGrant', 'one Service', { from: [from], to: [{ ...to, name: 'cart' }] }),
  wrong('ReferenceGrant', 'from nobody', { from: [], to: [to] }, 'spec.from', 'at least 1'),
  wrong('ReferenceGrant', 'to nothing', { from: [from], to: [] }, 'spec.to', 'at least 1'),
  wrong(
    'ReferenceGrant',
    'no namespace',
    { from: [{ group: '', kind: 'A' }], to: [to] },
    'spec.from[0].namespace',
    'is missing',
  ),
  wrong('ReferenceGrant', 'no group', { from: [from], to: [{ kind: 'Service' }] }, 'spec.to[0].group', 'is missing'),
  wrong(
    'ReferenceGrant',
    '17 sources',
    { from: Array.from({ length: 17 }, () => from), to: [to] },
    'spec.from',
    'at most 16',
  ),
];

export const gatewaySamples: readonly Sample[] = [
  ...parents,
  ...paths,
  ...matches,
  ...rules,
  ...sessions,
  ...filterSamples,
  ...routeSamples,
  ...across,
  ...grants,
];
