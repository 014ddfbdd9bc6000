import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Attributes, type PolicyRule, ruleAllows } from './rbac.ts';

const rule = (part: Partial<PolicyRule>): PolicyRule => ({
  verbs: ['get'],
  apiGroups: [''],
  resources: [],
  resourceNames: [],
  nonResourceURLs: [],
  ...part,
});
const ask = (part: Partial<Attributes>): Attributes => ({
  verb: 'get',
  group: '',
  resource: 'pods',
  subresource: '',
  name: '',
  namespace: 'n',
  path: '',
  ...part,
});

describe('RBAC rules', () => {
  const cases: readonly [string, PolicyRule, Attributes, boolean][] = [
    ['resource', rule({ resources: ['pods'] }), ask({}), true],
    ['other verb', rule({ resources: ['pods'] }), ask({ verb: 'list' }), false],
    ['other group', rule({ resources: ['pods'] }), ask({ group: 'apps' }), false],
    ['a resource is not its subresources', rule({ resources: ['pods'] }), ask({ subresource: 'log' }), false],
    ['subresource', rule({ resources: ['pods/log'] }), ask({ subresource: 'log' }), true],
    ['subresource of any resource', rule({ resources: ['*/scale'] }), ask({ subresource: 'scale' }), true],
    [
      'everything',
      rule({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }),
      ask({ verb: 'x', group: 'y', subresource: 'z' }),
      true,
    ],
    ['name', rule({ resources: ['pods'], resourceNames: ['a'] }), ask({ name: 'a' }), true],
    ['other name', rule({ resources: ['pods'], resourceNames: ['a'] }), ask({ name: 'b' }), false],
    ['names do not allow lists', rule({ resources: ['pods'], resourceNames: ['a'] }), ask({}), false],
    ['path', rule({ nonResourceURLs: ['/healthz'] }), ask({ resource: '', path: '/healthz' }), true],
    ['path prefix', rule({ nonResourceURLs: ['/api/*'] }), ask({ resource: '', path: '/api/v1' }), true],
    ['another path', rule({ nonResourceURLs: ['/api/*'] }), ask({ resource: '', path: '/apis' }), false],
    ['a path rule gives no resource', rule({ nonResourceURLs: ['*'], apiGroups: [] }), ask({}), false],
  ];
  for (const [name, given, wanted, allowed] of cases)
    test(name, () => assert.equal(ruleAllows(given, wanted), allowed));
});
