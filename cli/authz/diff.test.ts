import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Flow } from '@weft/control-plane/decisions/flows';
import type { MeshObject } from '@weft/control-plane/index/objects';
import { parseObjects } from '@weft/control-plane/static/objects';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { type Candidate, type Diff, diff } from './diff.ts';

function objects(yaml: string): readonly MeshObject[] {
  const parsed = parseObjects(yaml);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error);
  return parsed.value;
}

const pods = `
kind: Pod
metadata: { name: cart-1, namespace: shop, labels: { app: cart }, ownerReferences: [{ apiVersion: apps/v1, kind: StatefulSet, name: cart, uid: a, controller: true }] }
spec: { serviceAccountName: cart, containers: [{ name: app, ports: [{ containerPort: 8080 }] }] }
status: { podIP: 10.1.0.1 }
---
`;
const now = `${pods}
kind: AuthorizationPolicy
metadata: { name: allow, namespace: shop }
spec: { rules: [{ name: web, from: [{ serviceAccounts: [web] }] }, { name: load, from: [{ namespaces: [load] }] }] }
---
kind: AuthorizationPolicy
metadata: { name: headers, namespace: shop }
spec: { action: DENY, rules: [{ name: debug, when: [{ header: x-debug, values: ["*"] }] }] }
`;

const flow = (overrides: Partial<Flow>): Flow => ({
  workload: 'shop/cart',
  pod: 'shop/cart-1',
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  ip: '',
  method: 'GET',
  host: 'cart.shop',
  path: '/cart',
  example: '',
  port: 8080,
  denied: false,
  count: 3,
  lastUnixMs: 1_000,
  ...overrides,
});
const web = flow({});
const load = flow({ identity: 'spiffe://cluster.local/ns/load/sa/k6', path: '/admin/x', count: 9 });
const stranger = flow({ identity: '', ip: '192.0.2.1', denied: true });
const ids = flow({ path: '/orders/{}', example: '/orders/17' });

function diffOf(
  candidate: Partial<Candidate>,
  flows: readonly Flow[] = [web, load, stranger, ids],
  before = now,
): Diff {
  const trustDomain = parseTrustDomain('cluster.local');
  assert.ok(trustDomain.ok);
  const world = { meshNamespace: 'weft-system', trustDomain: trustDomain.value, objects: objects(before), flows };
  return diff(world, { apply: [], remove: [], ...candidate });
}
const brief = ({ rows }: Diff): readonly string[] => rows.map((row) => `${row.outcome} ${row.caller} ${row.path}`);

describe('a candidate against the flows of the last hours', () => {
  test('changes nothing for anybody: nothing is said', () => {
    assert.deepEqual(diffOf({ apply: objects(now) }).rows, []);
    assert.equal(diffOf({ apply: objects(now) }).requests, 18);
  });

  test('names who would lose access, and by which rule', () => {
    const apply = objects(`
kind: AuthorizationPolicy
metadata: { name: no-admin, namespace: shop }
spec: { action: DENY, rules: [{ name: admin, to: [{ paths: ["/admin/*"] }] }] }
`);
    const found = diffOf({ apply });
    assert.deepEqual(brief(found), ['loses spiffe://cluster.local/ns/load/sa/k6 /admin/x']);
    assert.deepEqual(found.rows[0]?.before, { kind: 'allowed', rule: 'shop/allow/load' });
    assert.deepEqual(found.rows[0]?.after, { kind: 'denied', rule: 'shop/no-admin/admin' });
    assert.equal(found.rows[0]?.requests, 9);
  });

  test('names who would gain access when a policy goes', () => {
    assert.deepEqual(brief(diffOf({ remove: ['shop/allow'] })), ['gains 192.0.2.1 (no identity) /cart']);
  });

  test('a template stands for one of its paths', () => {
    const apply = objects(`
kind: AuthorizationPolicy
metadata: { name: no-orders, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ paths: ["/orders/*"] }] }] }
`);
    assert.deepEqual(brief(diffOf({ apply })), ['loses spiffe://cluster.local/ns/shop/sa/web /orders/{}']);
  });

  test('says so where it cannot know', () => {
    const headers = objects(`
kind: AuthorizationPolicy
metadata: { name: versions, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ paths: [/cart] }], when: [{ header: x-version, values: ["1"] }] }] }
`);
    const found = diffOf({ apply: headers });
    assert.deepEqual(found.rows[0]?.unknown, ['headers']);
    assert.ok(
      brief(found).every((one) => one.startsWith('unknown') && one.endsWith(' /cart')),
      brief(found).join('\n'),
    );
    const ips = objects(`
kind: AuthorizationPolicy
metadata: { name: ips, namespace: shop }
spec: { action: DENY, rules: [{ from: [{ ipBlocks: [192.0.2.0/24] }] }] }
`);
    const byIp = diffOf({ apply: ips, remove: ['shop/allow'] }, [web, stranger]);
    assert.deepEqual(brief(byIp), ['unknown spiffe://cluster.local/ns/shop/sa/web /cart']);
  });

  test('an authorizer has the word', () => {
    const apply = objects(`
kind: AuthorizationPolicy
metadata: { name: ask, namespace: shop }
spec: { action: CUSTOM, provider: opa, rules: [{ to: [{ paths: ["/admin/*"] }] }] }
`);
    const found = diffOf({ apply });
    assert.deepEqual(brief(found), ['unknown spiffe://cluster.local/ns/load/sa/k6 /admin/x']);
    assert.deepEqual(found.rows[0]?.unknown, ['answer of the authorizer']);
  });

  test('STRICT keeps out who shows no identity', () => {
    const apply = objects(`
kind: AuthenticationPolicy
metadata: { name: strict, namespace: shop }
spec: { mtls: { mode: STRICT } }
`);
    const plain = flow({ identity: '', ip: '192.0.2.1' });
    const found = diffOf({ apply }, [web, plain], pods);
    assert.deepEqual(brief(found), ['loses 192.0.2.1 (no identity) /cart']);
  });

  test('connections whose requests are not looked at', () => {
    const tcp = flow({ method: '', path: '', host: '', port: 5432 });
    const apply = objects(`
kind: AuthorizationPolicy
metadata: { name: no-db, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ ports: [5432] }] }] }
`);
    // A rule about headers keeps out bytes that it cannot read, before as after.
    assert.deepEqual(brief(diffOf({ apply }, [tcp, web])), []);
    assert.deepEqual(brief(diffOf({ apply, remove: ['shop/headers'] }, [tcp, web], pods)), [
      'loses spiffe://cluster.local/ns/shop/sa/web ',
    ]);
  });

  test('flows of workloads that are gone are left out, and counted', () => {
    assert.equal(diffOf({}, [flow({ workload: 'shop/gone', pod: 'shop/gone-1' })]).skipped, 1);
  });
});
