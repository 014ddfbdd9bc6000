/** The index finds what trying every policy in its order finds, whatever the policies and the requests. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Permission, Principal, Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import type { StringMatch } from '@weft/policies/model/match';
import fc from 'fast-check';
import { requestHead } from '../testing.ts';
import { RbacEngine, type Subject } from './engine.ts';
import { literalPrefix } from './keys.ts';

const id = (text: string) => `spiffe://cluster.local/ns/${text}`;
const identities = [id('a/sa/a'), id('a/sa/ab'), id('ab/sa/a'), id('b/sa/a'), 'spiffe://other.example/ns/a/sa/a'];
const paths = ['/', '/a', '/a/b', '/a/bc', '/ab', '/b', '/a;x', '/a;x/b', '/a/', '/A', '/a?/b', '/a/..', '//a'];
const hosts = ['a', 'a:80', 'A.', 'ab', 'b.a', ''];
const addresses = ['10.0.0.1', '10.1.0.1', '192.0.2.1', 'fd00::1', '::1'];

const pieces = fc.constantFrom(
  '',
  '/',
  '/a',
  '/a/',
  '/a/b',
  'b',
  id(''),
  id('a'),
  id('a/sa/'),
  ...identities,
  ...paths,
);
const patterns = fc.constantFrom(
  '/a/[^/]+',
  '/a/?',
  '/a|/b',
  `${id('a/')}.*`,
  '(/a)+',
  '/a\\/b',
  '/\\.a',
  '[/]a.*',
  '/ab*',
);
const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  {
    arbitrary: fc.record({ kind: fc.constantFrom('exact', 'prefix'), value: pieces, ignoreCase: fc.constant(false) }),
    weight: 4,
  },
  fc.record({
    kind: fc.constantFrom('exact', 'prefix', 'suffix', 'contains'),
    value: pieces,
    ignoreCase: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('regex'), value: patterns }),
);
const range = fc.constantFrom(
  { ip: '10.0.0.0', prefixBits: 8 },
  { ip: '10.1.0.0', prefixBits: 16 },
  { ip: '192.0.2.1', prefixBits: 32 },
  { ip: '0.0.0.0', prefixBits: 0 },
  { ip: 'fd00::', prefixBits: 8 },
  { ip: '::', prefixBits: 0 },
);
const header = fc.record({
  name: fc.constantFrom(':authority', ':path', ':method', 'x'),
  value: fc.oneof(
    fc.constant({ kind: 'present' as const }),
    fc.record({
      kind: fc.constantFrom('exact', 'prefix', 'suffix'),
      value: fc.constantFrom(...hosts, '/a', 'GET'),
      ignoreCase: fc.boolean(),
    }),
  ),
  invert: fc.boolean(),
});
const { permission } = fc.letrec<{ permission: Permission }>((tie) => ({
  permission: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    { arbitrary: fc.record({ kind: fc.constant('path'), match: stringMatch }), weight: 4 },
    fc.constant({ kind: 'any' }),
    fc.record({ kind: fc.constant('header'), match: header }),
    fc.record({ kind: fc.constant('destinationPort'), port: fc.constantFrom(80, 81) }),
    fc.record({
      kind: fc.constantFrom('and', 'or'),
      rules: fc.array(tie('permission'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('not'), rule: tie('permission') }),
  ),
}));
const { principal } = fc.letrec<{ principal: Principal }>((tie) => ({
  principal: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    {
      arbitrary: fc.record({ kind: fc.constant('authenticated'), match: fc.option(stringMatch, { nil: undefined }) }),
      weight: 4,
    },
    fc.constant({ kind: 'any' }),
    fc.record({ kind: fc.constantFrom('sourceIp', 'clientIp'), range }),
    fc.record({ kind: fc.constant('header'), match: header }),
    fc.constant({ kind: 'claim', path: ['sub'], value: { kind: 'present' } }),
    fc.record({ kind: fc.constantFrom('and', 'or'), ids: fc.array(tie('principal'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ kind: fc.constant('not'), id: tie('principal') }),
  ),
}));
const policy = fc.record({
  permissions: fc.array(permission, { minLength: 1, maxLength: 2 }),
  principals: fc.array(principal, { minLength: 1, maxLength: 2 }),
});
const rbac: fc.Arbitrary<Rbac> = fc.record({
  action: fc.constantFrom('allow', 'deny', 'log'),
  policies: fc
    .array(policy, { minLength: 1, maxLength: 24 })
    .map((all) => all.map((one, i): RbacPolicy => ({ name: `p${i}`, ...one }))),
});

function peer(spiffeId: string) {
  const parsed = parseSpiffeId(spiffeId);
  assert.ok(parsed.ok);
  const facts = {
    subjectAltNames: [spiffeId],
    fingerprint: 'AB',
    notAfterUnixMs: 0,
    notBeforeUnixMs: 0,
    serialHex: '',
  };
  return { spiffeId: parsed.value, ...facts };
}

const subject: fc.Arbitrary<Subject> = fc
  .record({
    identity: fc.option(fc.constantFrom(...identities), { nil: undefined }),
    path: fc.option(fc.constantFrom(...paths), { nil: undefined, freq: 8 }),
    authority: fc.constantFrom(...hosts),
    remoteIp: fc.constantFrom(...addresses),
    clientIp: fc.constantFrom(...addresses),
    port: fc.constantFrom(80, 81),
    token: fc.boolean(),
  })
  .map(({ identity, path, authority, remoteIp, clientIp, port, token }) => ({
    head: path === undefined ? undefined : requestHead({ path, authority }),
    connection: {
      remoteIp,
      destinationIp: '10.0.0.1',
      destinationPort: port,
      peer: identity === undefined ? undefined : peer(identity),
    },
    clientIp,
    jwt: token && path !== undefined ? { claims: { sub: 'x' }, issuer: 'i', subject: 'x', audiences: [] } : undefined,
  }));

describe('the index', () => {
  test('decides as trying all policies in their order, and names the same rule', () => {
    fc.assert(
      fc.property(rbac, fc.array(subject, { minLength: 1, maxLength: 8 }), (rules, subjects) => {
        const [indexed, linear] = [new RbacEngine('all', rules, 0), new RbacEngine('all', rules, Infinity)];
        for (const one of subjects) assert.deepEqual(indexed.decide(one), linear.decide(one));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a pattern is filed under what all that match begin with', () => {
    const prefixes = {
      '/a/[^/]+': '/a/',
      'a?b': '',
      'ab?': 'a',
      'a|b': '',
      '\\.a\\d': '.a',
      'a\\.*': 'a',
      '(a)': '',
      'a{2}': '',
      abc: 'abc',
    };
    for (const [pattern, prefix] of Object.entries(prefixes)) assert.equal(literalPrefix(pattern), prefix, pattern);
  });
});
