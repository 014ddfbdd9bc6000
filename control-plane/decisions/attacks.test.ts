import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { MeshControl } from '../mesh.ts';
import { parseObjects } from '../static/objects.ts';
import { pod } from '../testing/shop.ts';
import { Decisions } from './decisions.ts';
import { hitStatus } from './status.ts';

function world() {
  const clock = new ManualClock();
  const domain = parseTrustDomain('cluster.local');
  assert.ok(domain.ok);
  const mesh = new MeshControl({ meshNamespace: 'weft-system', trustDomain: domain.value, clock });
  const objects = parseObjects(`
${pod('cart-a', 'cart', '10.1.0.1', 'uid', '')}
---
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: all, namespace: weft-system }
spec: { action: ALLOW, rules: [{ name: web }] }
---
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: others, namespace: desk }
spec: { action: ALLOW, rules: [{ name: web }] }
`);
  assert.ok(objects.ok, JSON.stringify(objects));
  for (const object of objects.value) mesh.apply(object);
  const cart = mesh.state.pods.get('shop/cart-a');
  assert.ok(cart !== undefined);
  const decisions = new Decisions(mesh.state, clock);
  const tell = (hits: readonly { rule: string; hits: number }[]): void =>
    decisions.take(cart, { hits, flows: [], lost: 0 });
  return { mesh, decisions, tell };
}

test('rules that are not there take no room from those that are, and those of others are not believed', () => {
  const { mesh, decisions, tell } = world();
  tell(Array.from({ length: 200 }, (_, i) => ({ rule: `weft-system/all/made-up-${i}`, hits: 1 })));
  tell([
    { rule: 'desk/others/web', hits: 5 },
    { rule: 'weft-system/all/web', hits: 5 },
  ]);
  assert.deepEqual([...decisions.hits.policies()], ['weft-system/all']);
  assert.deepEqual(
    [...(decisions.hits.of('weft-system/all') ?? [])].map(([name, { hits }]) => [name, hits]),
    [['web', 5]],
  );
  mesh.stop();
});

test('no number makes what was counted before worthless', () => {
  const { mesh, decisions, tell } = world();
  for (let i = 0; i < 3; i++) tell([{ rule: 'weft-system/all/web', hits: Number.MAX_SAFE_INTEGER }]);
  assert.equal(decisions.hits.of('weft-system/all')?.get('web')?.hits, 3_000_000_000);
  const huge = { hits: Number.MAX_SAFE_INTEGER, rules: [{ name: 'web', hits: Number.MAX_SAFE_INTEGER, since: '' }] };
  const status = hitStatus(huge, ['web'], decisions.hits.of('weft-system/all'), 1_000);
  assert.ok(Number.isSafeInteger(status?.hits) && Number.isSafeInteger(status?.rules[0]?.hits));
  mesh.stop();
});
