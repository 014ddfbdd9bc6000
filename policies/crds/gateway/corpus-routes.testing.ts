/** Samples of GRPCRoute, TCPRoute and TLSRoute, one for each rule of the specification. */
import { right, type Sample, wrong } from '../corpus.testing.ts';

type Kind = 'GRPCRoute' | 'TCPRoute' | 'TLSRoute';
type Spec = Readonly<Record<string, unknown>>;

const backend = { name: 'cart', port: 8080 };
const R = 'spec.rules[0]';
const sample = (kind: Kind, title: string, spec: Spec, path?: string, message = ''): Sample =>
  path === undefined ? right(kind, title, spec) : wrong(kind, title, spec, path, message);

const grpc = (title: string, spec: Spec, path?: string, message?: string) =>
  sample('GRPCRoute', title, spec, path, message);
const rule = (value: object) => ({ rules: [{ backendRefs: [backend], ...value }] });
const match = (title: string, value: object, path?: string, message?: string) =>
  grpc(title, rule({ matches: [value] }), path === undefined ? path : `${R}.matches[0].${path}`, message);
const filter = (title: string, value: object, path?: string, message?: string) =>
  grpc(title, rule({ filters: [value] }), path === undefined ? path : `${R}.filters${path}`, message);

const headers = { set: [{ name: 'a', value: 'b' }] };

const service = { group: '', kind: 'Service', name: 'cart' };
const mirror = (value: object) => ({ type: 'RequestMirror', requestMirror: { backendRef: backend, ...value } });
const fraction = (numerator: number) => mirror({ fraction: { numerator, denominator: 10 } });
const portless = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'a' } } };

/** Filters stand in rules and in backends, under the same rules. */
const modified = (title: string, list: readonly object[], path?: string, message?: string): Sample[] => [
  grpc(title, rule({ filters: list }), path === undefined ? path : `${R}.filters${path}`, message),
  grpc(
    `${title}, in a backend`,
    rule({ backendRefs: [{ ...backend, filters: list }] }),
    path === undefined ? path : `${R}.backendRefs[0].filters${path}`,
    message,
  ),
];
const typed = {
  RequestHeaderModifier: headers,
  ResponseHeaderModifier: headers,
  ExtensionRef: { group: 'a', kind: 'B', name: 'c' },
};
const fieldOf = (type: string): string => `${type.charAt(0).toLowerCase()}${type.slice(1)}`;
const all = Object.entries({ ...typed, RequestMirror: { backendRef: backend } });

const modifiers: readonly Sample[] = [
  ...modified(
    'one filter of each type',
    all.map(([type, value]) => ({ type, [fieldOf(type)]: value })),
  ),
  ...all.flatMap(([type]) =>
    modified(`${type} without its field`, [{ type }], `[0].${fieldOf(type)}`, `needs ${fieldOf(type)}`),
  ),
  ...all.flatMap(([type, value]) => {
    const [other, otherValue] = all.find(([one]) => one !== type) ?? ['', {}];
    return modified(
      `${fieldOf(type)} with type ${other}`,
      [{ type: other, [fieldOf(other)]: otherValue, [fieldOf(type)]: value }],
      `[0].${fieldOf(type)}`,
      `needs type ${type}`,
    );
  }),
  ...(['RequestHeaderModifier', 'ResponseHeaderModifier'] as const).flatMap((type) =>
    modified(`${type} twice`, Array(2).fill({ type, [fieldOf(type)]: headers }), '', 'may occur once'),
  ),
  ...modified('mirrors', [mirror({ percent: 10 }), fraction(3)]),
  ...modified('an improper fraction', [fraction(11)], '[0].requestMirror.fraction.numerator', 'must not exceed'),
  ...modified(
    'percent and fraction',
    [mirror({ percent: 10, fraction: { numerator: 1 } })],
    '[0].requestMirror.fraction',
    'only one of percent and fraction',
  ),
  ...modified('a mirror without a port', [portless], '[0].requestMirror.backendRef.port', 'needs a port'),
];

const sessions: readonly Sample[] = (
  [
    ['a session cookie', { cookie: { name: 'sid' } }],
    ['a session header', { type: 'Header', header: { name: 'x' } }],
    ['an endless cookie', { cookie: { lifetimeType: 'Permanent' } }, 'absoluteTimeout', 'needs absoluteTimeout'],
    ['a cookie with type Header', { type: 'Header', header: { name: 'a' }, cookie: {} }, 'cookie', 'needs type Cookie'],
    ['type Cookie alone', { type: 'Cookie' }, 'cookie', 'needs cookie'],
    ['a header with type Cookie', { cookie: {}, header: { name: 'a' } }, 'header', 'needs type Header'],
    ['type Header alone', { type: 'Header' }, 'header', 'needs header'],
  ] as const
).map(([title, sessionPersistence, path, message]) =>
  grpc(title, rule({ sessionPersistence }), path === undefined ? path : `${R}.sessionPersistence.${path}`, message),
);

const calls: readonly Sample[] = [
  grpc('nothing at all', {}),
  grpc('a parent', { parentRefs: [service] }),
  grpc('a parent twice', { parentRefs: [service, service] }, 'spec.parentRefs', 'one part of a parent twice'),
  grpc(
    'a parent with and without a port',
    { parentRefs: [{ ...service, port: 80 }, service] },
    'spec.parentRefs',
    'more than once',
  ),
  grpc('no rule', { rules: [] }),
  grpc('a rule without matches', rule({})),
  match('service and method', { method: { service: 'shop.v1.Cart', method: 'Get' } }),
  match('a service', { method: { service: '.shop.Cart_2' } }),
  match('a method', { method: { method: '_get2' } }),
  match('an expression', { method: { type: 'RegularExpression', service: 'shop\\..+', method: 'Get|Put' } }),
  match('neither service nor method', { method: {} }, 'method.service', 'set service, method or both'),
  match('a service with a slash', { method: { service: 'shop/Cart' } }, 'method.service', 'full name of a service'),
  match('a service with a digit first', { method: { service: 'shop.1' } }, 'method.service', 'full name of a service'),
  match('an empty service', { method: { service: '' } }, 'method.service', 'full name of a service'),
  match('a method with a dot', { method: { method: 'a.b' } }, 'method.method', 'name of a method'),
  match('an empty expression', { method: { type: 'RegularExpression', method: '' } }),
  match('a long service', { method: { service: 'a'.repeat(1025) } }, 'method.service', 'at most 1024'),
  match('an unknown type', { method: { type: 'Prefix', service: 'a' } }, 'method.type', 'one of Exact'),
  match('headers', {
    headers: [
      { name: 'a', value: 'b' },
      { name: 'c', value: '.+', type: 'RegularExpression' },
    ],
  }),
  match(
    'a header twice',
    {
      headers: [
        { name: 'a', value: 'b' },
        { name: 'a', value: 'c' },
      ],
    },
    'headers[1].name',
    'repeats "a"',
  ),
  match('a path', { path: { value: '/a' } }, 'path', 'no field'),
  grpc('64 matches', rule({ matches: Array.from({ length: 64 }, () => ({})) })),
  grpc('65 matches', rule({ matches: Array.from({ length: 65 }, () => ({})) }), `${R}.matches`, 'at most 64'),
  grpc(
    '129 matches in all',
    { rules: [{ matches: Array(64).fill({}) }, { matches: Array(64).fill({}) }, { matches: [{}] }, {}] },
    'spec.rules',
    '128 matches',
  ),
  grpc('16 rules', { rules: Array.from({ length: 16 }, (_, i) => ({ name: `r${i}` })) }),
  grpc('17 rules', { rules: Array.from({ length: 17 }, () => ({})) }, 'spec.rules', 'at most 16'),
  grpc('a rule name twice', { rules: [{ name: 'a' }, { name: 'a' }] }, 'spec.rules', 'one rule name twice'),
  grpc('17 backends', rule({ backendRefs: Array(17).fill(backend) }), `${R}.backendRefs`, 'at most 16'),
  grpc('a Service without a port', rule({ backendRefs: [{ name: 'a' }] }), `${R}.backendRefs[0].port`, 'needs a port'),
  grpc('timeouts', rule({ timeouts: { request: '1s' } }), `${R}.timeouts`, 'no field'),
  grpc('a hostname in capitals', { hostnames: ['Example.com'] }, 'spec.hostnames[0]', 'a lowercase hostname'),
  filter('a redirect', { type: 'RequestRedirect', requestRedirect: {} }, '[0].type', 'one of ResponseHeaderModifier'),
];

const connections: readonly Sample[] = (['TCPRoute', 'TLSRoute'] as const).flatMap((kind) => {
  const base = kind === 'TLSRoute' ? { hostnames: ['shop.example'] } : {};
  const route = (title: string, spec: Spec, path?: string, message?: string) =>
    sample(kind, title, { ...base, ...spec }, path, message);
  return [
    route('weights', {
      parentRefs: [service],
      rules: [{ name: 'a', backendRefs: [{ ...backend, weight: 0 }, backend] }],
    }),
    route('no rules', {}, 'spec.rules', 'is missing'),
    route('no rule', { rules: [] }, 'spec.rules', 'at least 1'),
    route('two rules', { rules: Array(2).fill({ backendRefs: [backend] }) }, 'spec.rules', 'at most 1'),
    route('no backends', { rules: [{}] }, `${R}.backendRefs`, 'is missing'),
    route('no backend', { rules: [{ backendRefs: [] }] }, `${R}.backendRefs`, 'at least 1'),
    route('17 backends', { rules: [{ backendRefs: Array(17).fill(backend) }] }, `${R}.backendRefs`, 'at most 16'),
    route(
      'a Service without a port',
      { rules: [{ backendRefs: [{ name: 'a' }] }] },
      `${R}.backendRefs[0].port`,
      'port',
    ),
    route(
      'a filter',
      { rules: [{ backendRefs: [{ ...backend, filters: [] }] }] },
      `${R}.backendRefs[0].filters`,
      'no field',
    ),
    route(
      'a parent twice',
      { parentRefs: [service, service], rules: [{ backendRefs: [backend] }] },
      'spec.parentRefs',
      'one part of a parent twice',
    ),
    route(
      'a parent with and without a port',
      { parentRefs: [{ ...service, port: 80 }, service], rules: [{ backendRefs: [backend] }] },
      'spec.parentRefs',
      'more than once',
    ),
  ];
});

const tls = (title: string, hostnames: unknown, path?: string, message?: string) =>
  sample('TLSRoute', title, { hostnames, rules: [{ backendRefs: [backend] }] }, path, message);

const serverNames: readonly Sample[] = [
  tls('names and wildcards', ['a.example', '*.b.example', '1.2.3.4.example', '1.2.3', '1.2.3.256']),
  tls('no names', undefined, 'spec.hostnames', 'is missing'),
  tls('an empty list of names', [], 'spec.hostnames', 'at least 1'),
  tls('an address', ['a.example', '192.0.2.1'], 'spec.hostnames', 'IP address'),
  tls('a wildcard inside', ['a.*.example'], 'spec.hostnames[0]', 'a lowercase hostname'),
  tls('a bare wildcard', ['*'], 'spec.hostnames[0]', 'a lowercase hostname'),
  tls(
    '1025 names',
    Array.from({ length: 1025 }, (_, i) => `h${i}`),
    'spec.hostnames',
    'at most 1024',
  ),
];

export const routeSamples: readonly Sample[] = [...calls, ...modifiers, ...sessions, ...connections, ...serverNames];
