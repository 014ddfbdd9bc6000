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
const lists = <T>(...values: readonly T[]): fc.Arbitrary<T[] | undefined> =>
  fc.option(fc.uniqueArray(oneOf(...values), { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 2 });
const rarely = <T>(...values: readonly T[]): fc.Arbitrary<T[] | undefined> =>
  fc.option(fc.uniqueArray(oneOf(...values), { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 6 });

const hasAny = (value: object): boolean => Object.values(value).some((one) => one !== undefined);

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
const jwt = fc
  .record({
    token: fc.option(oneOf('Verified', 'Absent'), { nil: undefined, freq: 2 }),
    issuers: rarely(ISSUER, '*.example', 'other'),
    subjects: rarely('alice', 'bob', 'robot-*'),
    notSubjects: rarely('alice', 'robot-*', '*'),
    audiences: rarely('shop', 'desk', 's*'),
    scopes: rarely('orders:read', 'orders:write'),
    notScopes: rarely('orders:write'),
    claims: fc.option(fc.array(claim, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 2 }),
  })
  .filter(hasAny);
const source = fc
  .record({
    principals: rarely(...principals),
    notPrincipals: rarely(...principals),
    trustDomains: rarely(...domains),
    notTrustDomains: rarely(...domains),
    namespaces: lists(...namespaces),
    notNamespaces: rarely(...namespaces),
    serviceAccounts: rarely(...accounts),
    notServiceAccounts: rarely(...accounts),
    ipBlocks: rarely(...blocks),
    notIpBlocks: rarely(...blocks),
    remoteIpBlocks: rarely(...blocks),
    notRemoteIpBlocks: rarely(...blocks),
    jwt: fc.option(jwt, { nil: undefined, freq: 2 }),
  })
  .filter(hasAny);

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
const operation = fc
  .record({
    methods: rarely('GET', 'POST', 'PUT'),
    notMethods: rarely('POST'),
    paths: lists(...paths),
    notPaths: rarely(...paths),
    ports: rarely(OWN_PORT, 81),
    notPorts: rarely(OWN_PORT, 81),
    hosts: rarely(...hosts),
    notHosts: rarely(...hosts),
  })
  .filter(hasAny);
const condition = fc.oneof(
  fc.record({ header: oneOf('X-Tier', 'x-who'), values: oneOf(['gold'], ['g*'], ['*'], ['*d']) }),
  fc.record({ header: oneOf('X-Tier', 'x-who'), notValues: oneOf(['gold'], ['*'], ['s*']) }),
);
const rule = fc.record({
  from: fc.option(fc.array(source, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 3 }),
  to: fc.option(fc.array(operation, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 3 }),
  when: fc.option(fc.array(condition, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 6 }),
});
const policy = fc.record({
  action: oneOf('ALLOW', 'ALLOW', 'DENY', 'DENY', 'AUDIT'),
  rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  meshWide: fc.boolean(),
});

export interface AuthorizationSet {
  readonly trustedHops: number;
  readonly policies: readonly JsonObject[];
}

const clean = (value: object): JsonObject => JSON.parse(JSON.stringify(value));

export const authorizationSet: fc.Arbitrary<AuthorizationSet> = fc
  .record({ trustedHops: oneOf(0, 0, 1, 2), policies: fc.array(policy, { minLength: 1, maxLength: 4 }) })
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
