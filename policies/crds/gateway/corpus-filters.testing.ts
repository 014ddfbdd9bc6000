/** Samples of the filters of HTTPRoute, in a rule and at a backend. */
import { right, type Sample, wrong } from '../corpus.testing.ts';

const backend = { name: 'cart', port: 8080 };
const R = 'spec.rules[0]';

const http = (title: string, spec: Readonly<Record<string, unknown>>, path?: string, message = ''): Sample =>
  path === undefined ? right('HTTPRoute', title, spec) : wrong('HTTPRoute', title, spec, path, message);

const filter = (title: string, list: readonly object[], path?: string, message = ''): Sample =>
  http(title, { rules: [{ filters: list }] }, path, message);

const modifier = { set: [{ name: 'a', value: 'b' }] };
const configs: readonly (readonly [type: string, field: string, value: object])[] = [
  ['RequestHeaderModifier', 'requestHeaderModifier', modifier],
  ['ResponseHeaderModifier', 'responseHeaderModifier', modifier],
  ['RequestMirror', 'requestMirror', { backendRef: backend }],
  ['RequestRedirect', 'requestRedirect', { hostname: 'example.com' }],
  ['URLRewrite', 'urlRewrite', { hostname: 'example.com' }],
  ['ExtensionRef', 'extensionRef', { group: 'example.com', kind: 'Filter', name: 'f' }],
  ['CORS', 'cors', { allowOrigins: ['*'] }],
];
const F = `${R}.filters`;
const repeatable = new Set(['RequestMirror', 'ExtensionRef']);

const filters: readonly Sample[] = configs.flatMap(([type, field, value], index) => {
  const [otherType, otherField, otherValue] = configs[(index + 1) % configs.length] ?? ['', '', {}];
  const one = { type, [field]: value };
  return [
    filter(`filter ${type}`, [one]),
    filter(`filter ${type} without ${field}`, [{ type }], `${F}[0].${field}`, `needs ${field}`),
    filter(
      `${field} in a filter ${otherType}`,
      [{ type: otherType, [otherField]: otherValue, [field]: value }],
      `${F}[0].${field}`,
      `needs type ${type}`,
    ),
    repeatable.has(type)
      ? filter(`filter ${type} twice`, [one, one])
      : filter(`filter ${type} twice`, [one, one], F, `filter ${type} may occur once`),
  ];
});

const pathModifier = (title: string, value: object, path?: string, message = ''): Sample[] =>
  (
    [
      ['URLRewrite', 'urlRewrite'],
      ['RequestRedirect', 'requestRedirect'],
    ] as const
  ).map(([type, field]) =>
    filter(
      `${type} of ${title}`,
      [{ type, [field]: { path: value } }],
      path === undefined ? undefined : `${F}[0].${field}.path.${path}`,
      message,
    ),
  );

const mirror = (title: string, value: object, path?: string, message = ''): Sample =>
  filter(
    title,
    [{ type: 'RequestMirror', requestMirror: { backendRef: backend, ...value } }],
    path === undefined ? undefined : `${F}[0].requestMirror${path}`,
    message,
  );

const cors = (title: string, value: object, path?: string, message = ''): Sample =>
  filter(title, [{ type: 'CORS', cors: value }], path === undefined ? undefined : `${F}[0].cors.${path}`, message);

const filterDetails: readonly Sample[] = [
  ...pathModifier('the whole path', { type: 'ReplaceFullPath', replaceFullPath: '/' }),
  ...pathModifier('the prefix', { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' }),
  ...pathModifier('the whole path by nothing', { type: 'ReplaceFullPath' }, 'replaceFullPath', 'needs replaceFullPath'),
  ...pathModifier(
    'the prefix by nothing',
    { type: 'ReplacePrefixMatch' },
    'replacePrefixMatch',
    'needs replacePrefixMatch',
  ),
  ...pathModifier(
    'both, type ReplaceFullPath',
    { type: 'ReplaceFullPath', replaceFullPath: '/', replacePrefixMatch: '/' },
    'replacePrefixMatch',
    'needs type ReplacePrefixMatch',
  ),
  ...pathModifier(
    'both, type ReplacePrefixMatch',
    { type: 'ReplacePrefixMatch', replaceFullPath: '/', replacePrefixMatch: '/' },
    'replaceFullPath',
    'needs type ReplaceFullPath',
  ),
  mirror('a percentage', { percent: 10 }),
  mirror('a fraction', { fraction: { numerator: 1, denominator: 1000 } }),
  mirror('both', { percent: 10, fraction: { numerator: 1 } }, '.fraction', 'only one'),
  mirror('more than all', { fraction: { numerator: 101 } }, '.fraction.numerator', 'not exceed'),
  mirror('no port', { backendRef: { name: 'a' } }, '.backendRef.port', 'needs a port'),
  filter('a redirect', [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301, port: 443 } }]),
  filter(
    'a redirect with 304',
    [{ type: 'RequestRedirect', requestRedirect: { statusCode: 304 } }],
    `${F}[0].requestRedirect.statusCode`,
    'one of 301',
  ),
  filter(
    'a redirect and a rewrite',
    [
      { type: 'RequestRedirect', requestRedirect: {} },
      { type: 'URLRewrite', urlRewrite: {} },
    ],
    F,
    'exclude each other',
  ),
  filter(
    'a header set twice',
    [
      {
        type: 'RequestHeaderModifier',
        requestHeaderModifier: {
          set: [
            { name: 'a', value: 'b' },
            { name: 'a', value: 'c' },
          ],
        },
      },
    ],
    `${F}[0].requestHeaderModifier.set[1].name`,
    'repeats "a"',
  ),
  cors('all and one origin', { allowOrigins: ['*', 'https://a.example'] }, 'allowOrigins', 'stands for all'),
  cors('all and one method', { allowMethods: ['*', 'GET'] }, 'allowMethods', 'stands for all'),
  cors('all and one header', { allowHeaders: ['*', 'x-a'] }, 'allowHeaders', 'stands for all'),
  cors('lists', {
    allowOrigins: ['https://*.example.com:8443'],
    allowMethods: ['GET', 'PUT'],
    allowHeaders: ['x-a'],
    exposeHeaders: ['x-b'],
    allowCredentials: true,
    maxAge: 60,
  }),
  cors('an origin without a scheme', { allowOrigins: ['example.com'] }, 'allowOrigins[0]', 'an origin'),
  cors('all and no other header', { allowHeaders: ['*'] }),
  cors('all methods', { allowMethods: ['*'] }),
];

const backendFilters: readonly Sample[] = [...filters, ...filterDetails].map((sample) => {
  const rule = (sample.object['spec'] as { rules: readonly { filters: unknown }[] }).rules[0];
  const spec = { rules: [{ backendRefs: [{ ...backend, filters: rule?.filters }] }] };
  const title = `for a backend: ${sample.title}`;
  return sample.error === undefined
    ? http(title, spec)
    : http(title, spec, sample.error[0].replace(F, `${R}.backendRefs[0].filters`), sample.error[1]);
});

export const filterSamples: readonly Sample[] = [...filters, ...filterDetails, ...backendFilters];
