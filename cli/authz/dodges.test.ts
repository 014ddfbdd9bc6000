/** Ways to be somebody, or to ask for something, that a rule names in another way: translated and judged as in the mesh. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ClusterState } from '@weft/control-plane/index/state';
import { parseObjects } from '@weft/control-plane/static/objects';
import { authorizationOf } from '@weft/control-plane/translate/authorization';
import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '@weft/policies/identity/spiffe-id';
import { RbacEngine, type Subject } from '@weft/sidecar/filters/rbac/engine';
import { Headers } from '@weft/sidecar/http/headers';

interface Asked {
  readonly caller?: string;
  readonly method?: string;
  readonly authority?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
}

const domain = parseTrustDomain('new.example');
assert.ok(domain.ok);
const trustDomain = domain.value;

function identity(text: string): SpiffeId {
  const parsed = parseSpiffeId(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

const certificateOf = (spiffeId: SpiffeId) => ({
  spiffeId,
  subjectAltNames: [spiffeId],
  fingerprint: '',
  notBeforeUnixMs: 0,
  notAfterUnixMs: 0,
  serialHex: '1',
});

function subjectOf({ caller, method = 'GET', authority = 'shop', claims }: Asked): Subject {
  const peer = caller === undefined ? undefined : certificateOf(identity(caller));
  return {
    connection: { remoteIp: '10.1.0.9', destinationIp: '10.1.0.1', destinationPort: 8080, peer },
    head: {
      method,
      scheme: 'http',
      authority,
      path: '/',
      protocol: undefined,
      headers: new Headers(),
      version: 11,
      contentLength: 0,
      expectContinue: false,
    },
    jwt: claims && { claims, issuer: 'i', subject: 's', audiences: [] },
  };
}

/** Whether a pod with this one policy lets a request in. */
function letsIn(action: 'ALLOW' | 'DENY', rule: object, asked: Asked): boolean {
  const policy = {
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'policy', namespace: 'shop' },
    spec: { action, rules: [rule] },
  };
  const parsed = parseObjects(`
kind: Pod
metadata: { name: web, namespace: shop, uid: u }
spec: { serviceAccountName: web, containers: [{ name: app }] }
status: { podIP: 10.1.0.1 }
---
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec: { trust: { aliases: [old.example] } }
---
${JSON.stringify(policy)}`);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error);
  const state = new ClusterState('weft-system');
  for (const object of parsed.value) state.apply(object);
  const pod = state.pods.get('shop/web');
  assert.ok(pod !== undefined);
  const { http } = authorizationOf({ state, trustDomain, isDrained: () => false }, pod);
  return http.every((rbac) => new RbacEngine('engine', rbac).decide(subjectOf(asked)).kind !== 'deny');
}

describe('a caller whose certificate has the older name of our trust domain', () => {
  const byNewName = { caller: 'spiffe://new.example/ns/shop/sa/cart' };
  const byOldName = { caller: 'spiffe://old.example/ns/shop/sa/cart' };
  const partner = { caller: 'spiffe://partner.example/ns/shop/sa/cart' };
  const sources = [
    { principals: ['spiffe://new.example/ns/shop/sa/cart'] },
    { principals: ['spiffe://new.example/ns/shop/*'] },
    { principals: ['spiffe://old.example/ns/shop/sa/cart'] },
    { trustDomains: ['new.example'] },
    { trustDomains: ['old.example'], namespaces: ['shop'] },
    { namespaces: ['shop'] },
    { serviceAccounts: ['cart'] },
  ];
  for (const source of sources) {
    test(`is meant by ${JSON.stringify(source)}, and a partner is not`, () => {
      const rule = { from: [source] };
      for (const asked of [byNewName, byOldName]) {
        assert.equal(letsIn('DENY', rule, asked), false);
        assert.equal(letsIn('ALLOW', rule, asked), true);
      }
      assert.equal(letsIn('DENY', rule, partner), true);
      assert.equal(letsIn('ALLOW', rule, partner), false);
    });
  }

  test('is not kept out by a rule for all others', () => {
    for (const source of [{ notTrustDomains: ['new.example'] }, { notPrincipals: [byNewName.caller] }]) {
      for (const asked of [byNewName, byOldName]) assert.equal(letsIn('DENY', { from: [source] }, asked), true);
      for (const asked of [partner, {}]) assert.equal(letsIn('DENY', { from: [source] }, asked), false);
    }
  });
});

describe('a request that is named in another way than by its rule', () => {
  test('a method in other letters, which WSGI servers write in capitals', () => {
    const rule = { to: [{ methods: ['POST'] }] };
    const others = { to: [{ notMethods: ['POST'] }] };
    for (const method of ['post', 'Post', 'pOST']) {
      assert.equal(letsIn('DENY', rule, { method }), false, method);
      assert.equal(letsIn('ALLOW', others, { method }), false, method);
    }
    assert.equal(letsIn('DENY', rule, { method: 'propfind' }), true);
    assert.equal(letsIn('DENY', { to: [{ ports: [81] }] }, { method: 'post' }), true);
  });

  test('a condition about Host is one about the authority, wherever it stood, with any port', () => {
    const rule = { when: [{ header: 'Host', values: ['admin.example'] }] };
    for (const authority of ['admin.example', 'ADMIN.example', 'admin.example:8080', 'admin.example.']) {
      assert.equal(letsIn('DENY', rule, { authority }), false, authority);
      const others = { when: [{ header: 'host', notValues: ['admin.example'] }] };
      assert.equal(letsIn('ALLOW', others, { authority }), false, authority);
    }
    assert.equal(letsIn('DENY', rule, { authority: 'shop.example' }), true);
  });

  test('a claim that lists numbers or booleans', () => {
    const rule = (value: string) => ({ from: [{ jwt: { claims: [{ path: ['groups'], values: [value] }] } }] });
    for (const groups of [7, '7', [7], ['7'], [1, 7]]) {
      assert.equal(letsIn('DENY', rule('7'), { claims: { groups } }), false, JSON.stringify(groups));
    }
    assert.equal(letsIn('DENY', rule('true'), { claims: { groups: [true] } }), false);
    for (const groups of [77, '77', [77], { 7: 7 }, [[7]]]) {
      assert.equal(letsIn('DENY', rule('7'), { claims: { groups } }), true, JSON.stringify(groups));
    }
  });
});
