/** AuthorizationPolicies, and requests aimed at what they are about. */
import { parseObjects } from '@weft/control-plane/static/objects';
import fc from 'fast-check';
import type { JsonObject } from '../support/pair-bootstrap.ts';

export const NAMESPACE = 'shop';
export const ISSUER = 'https://issuer.example';

/** Certificates of callers; undefined: plaintext. */
export const identities = [
  'spiffe://cluster.local/ns/shop/sa/web',
  'spiffe://cluster.local/ns/ops/sa/web',
  'spiffe://cluster.local/ns/ops-prod/sa/admin',
  'spiffe://partner.example/ns/shop/sa/web',
  undefined,
] as const;
/** Callers connect from these. */
export const addresses = ['127.1.0.1', '127.2.0.1'] as const;

/** Claims of the tokens besides the issuer; undefined: no token. */
export const tokens: readonly (JsonObject | undefined)[] = [
  undefined,
  { sub: 'alice', aud: 'shop', scope: 'orders:read orders:write', realm: { roles: ['clerk', 'admin'] }, level: 3 },
  { sub: 'bob', aud: ['shop', 'desk'], scope: ['orders:read'], realm: { roles: 'clerk' }, verified: true, level: 3.5 },
  { sub: 'robot-7', scope: 'orders:readonly', realm: { roles: [] }, verified: 'true', level: '3', 'a.b': 'c' },
];

/** Stands for the port of the listener. */
export const OWN_PORT = 1_111;

const oneOf = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const listOf = <T>(...values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(oneOf(...values), { minLength: 1, maxLength: 2 });

/** Of the fields one or two: with more, nearly nothing matches, and nothing is compared. */
const someOf = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Record<string, unknown>> =>
  fc
    .uniqueArray(oneOf(...Object.keys(fields)), { minLength: 1, maxLength: 2 })
    .chain((names) =>
      fc.record(Object.fromEntries(names.map((name) => [name, fields[name] ?? fc.constant(undefined)]))),
    );

const [shopWeb = '', , opsAdmin = ''] = identities;
const principals = [
  shopWeb,
  opsAdmin,
  '*',
  'spiffe://cluster.local/*',
  '*/sa/web',
  'spiffe://partner.example/*',
] as const;
const namespaces = ['shop', 'ops', 'ops*', '*-prod', '*'] as const;
const accounts = ['web', 'ops/web', 'ops-prod/admin'] as const;
const domains = ['cluster.local', 'partner.example', '*.example', 'partner*', '*'] as const;
const blocks = ['127.1.0.0/16', '127.2.0.1', '::ffff:127.0.0.0/104', 'fd00::/8', '0.0.0.0/0', '192.0.2.0/24'] as const;

const claim = fc.oneof(
  fc.record({ path: oneOf(['realm', 'roles']), values: oneOf(['clerk'], ['adm*'], ['*'], ['*k']) }),
  fc.record({ path: oneOf(['level']), values: oneOf(['3'], ['3.5'], ['*']) }),
  fc.record({ path: oneOf(['verified'], ['a.b'], ['realm', 'none']), notValues: oneOf(['true'], ['c'], ['*']) }),
);
const jwt = someOf({
  token: oneOf('Verified', 'Absent'),
  issuers: listOf(ISSUER, '*.example', 'other'),
  notIssuers: listOf(ISSUER, '*'),
  subjects: listOf('alice', 'bob', 'robot-*'),
  notSubjects: listOf('alice', 'robot-*', '*'),
  audiences: listOf('shop', 'desk', 's*'),
  notAudiences: listOf('desk'),
  scopes: listOf('orders:read', 'orders:write'),
  notScopes: listOf('orders:write', 'orders:read'),
  claims: fc.array(claim, { minLength: 1, maxLength: 2 }),
});
const source = fc.oneof(
  { weight: 2, arbitrary: fc.record({ jwt }) },
  {
    weight: 5,
    arbitrary: someOf({
      principals: listOf(...principals),
      notPrincipals: listOf(...principals),
      trustDomains: listOf(...domains),
      notTrustDomains: listOf(...domains),
      namespaces: listOf(...namespaces),
      notNamespaces: listOf(...namespaces),
      serviceAccounts: listOf(...accounts),
      notServiceAccounts: listOf(...accounts),
      ipBlocks: listOf(...blocks),
      notIpBlocks: listOf(...blocks),
      remoteIpBlocks: listOf(...blocks),
      notRemoteIpBlocks: listOf(...blocks),
      jwt,
    }),
  },
);

const paths = [
  '/',
  '/a',
  '/a/*',
  '/a/b',
  '*.png',
  '*/b',
  '/users/{id}',
  '/users/{id}/orders/{**}',
  '/~me',
  '/caf%c3%a9',
  '*',
];
const hosts = ['shop.example', '*.example', 'shop.example:8080', 'shop*', '*', '[::1]'];
const operation = someOf({
  methods: listOf('GET', 'POST', 'PUT'),
  notMethods: listOf('POST'),
  paths: listOf(...paths),
  notPaths: listOf(...paths),
  ports: listOf(OWN_PORT, 81),
  notPorts: listOf(OWN_PORT, 81),
  hosts: listOf(...hosts),
  notHosts: listOf(...hosts),
});
const condition = fc.oneof(
  fc.record({ header: oneOf('X-Tier', 'x-who'), values: oneOf(['gold'], ['g*'], ['*'], ['*d']) }),
  fc.record({ header: oneOf('X-Tier', 'x-who'), notValues: oneOf(['gold'], ['*'], ['s*']) }),
);
const rule = fc.record({
  from: fc.option(fc.array(source, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 4 }),
  to: fc.option(fc.array(operation, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 3 }),
  when: fc.option(fc.array(condition, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 6 }),
});
const policy = fc.record({
  action: oneOf('ALLOW', 'ALLOW', 'DENY', 'DENY', 'AUDIT'),
  rules: fc.array(rule, { minLength: 1, maxLength: 2 }),
  meshWide: fc.boolean(),
});

export interface AuthorizationSet {
  readonly trustedHops: number;
  readonly policies: readonly JsonObject[];
}

const clean = (value: object): JsonObject => JSON.parse(JSON.stringify(value));

export const authorizationSet: fc.Arbitrary<AuthorizationSet> = fc
  .record({ trustedHops: oneOf(0, 0, 1, 2), policies: fc.array(policy, { minLength: 1, maxLength: 3 }) })
  .map(({ trustedHops, policies }) => ({
    trustedHops,
    policies: policies.map(({ action, rules, meshWide }, i) =>
      clean({
        apiVersion: 'weft.dev/v1alpha1',
        kind: 'AuthorizationPolicy',
        metadata: { name: `policy-${i}`, namespace: meshWide ? 'weft-system' : NAMESPACE },
        spec: { action, rules },
      }),
    ),
  }))
  .filter(({ policies }) => parseObjects(JSON.stringify({ kind: 'List', items: policies })).ok);

export interface Asked {
  readonly identity: number;
  readonly address: number;
  readonly token: number;
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly (readonly [string, string])[];
}

const plainPath = oneOf(
  ...['/', '/a', '/a/b', '/a/b/c', '/b', '/x.png', '/users/7', '/users/7/orders/', '/users/7/orders/9/x', '/users'],
  ...['/~me', '/caf%C3%A9', '/A', '/ab'],
);
const oddPath = oneOf(
  ...['/%7eme', '/caf%c3%a9', '/%61', '/a/', '//a', '/a//b', '/a;x', '/a;x/b', '/users/7;x', '/a/../b', '/b/../a'],
  ...['/b/%2e%2e/a', '/b/..;/a', '/a%2fb', '/a%2Fb', '/a%5cb', '/a\\b', '/b/./a', '/%2561', '/a%00', '/a%', '/a%zz'],
  ...['/b%c0%af..%c0%afa', '/a?/b', '/b?/a', '/b?x=%2e%2e/a', '/users//orders/', '/users/%2e', '/a|b', '/{id}'],
);
export const asked: fc.Arbitrary<Asked> = fc.record({
  identity: fc.nat(identities.length - 1),
  address: fc.nat(addresses.length - 1),
  token: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(tokens.length - 1) }),
  method: oneOf('GET', 'GET', 'POST', 'PUT', 'DELETE'),
  target: fc.oneof({ weight: 3, arbitrary: plainPath }, { weight: 2, arbitrary: oddPath }),
  host: oneOf(
    'shop.example',
    'shop.example',
    'SHOP.example:8080',
    'a.example',
    'shop.example.',
    'a.example:80',
    'x',
    '[::1]:80',
  ),
  fields: fc.uniqueArray(
    fc.oneof(
      fc.tuple(oneOf('X-Tier', 'x-who'), oneOf('gold', 'silver', 'g', '')),
      fc.tuple(
        fc.constant('X-Forwarded-For'),
        oneOf('192.0.2.7', '192.0.2.7, 10.0.0.1', '127.1.0.9,127.2.0.1', 'fd00::1', 'somebody', '192.0.2.7, somebody'),
      ),
    ),
    { maxLength: 2, selector: ([name]) => name.toLowerCase() },
  ),
});
