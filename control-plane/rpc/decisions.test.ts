import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ReportRequestSchema } from '@weft/policies/wire/gen/weft/authorization/v1/decisions_pb';
import { decisions } from '@weft/policies/wire/grpc';
import { callUnary, type Harness, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens } from '../testing/shop.ts';

const policies = `
---
kind: AuthorizationPolicy
metadata: { name: allow, namespace: shop }
spec: { selector: { matchLabels: { app: cart } }, rules: [{ name: web, from: [{ serviceAccounts: [web] }] }] }
---
kind: AuthorizationPolicy
metadata: { name: other, namespace: shop }
spec: { selector: { matchLabels: { app: other } }, rules: [{}] }
`;
const flow = {
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  method: 'GET',
  host: 'cart',
  path: '/cart',
  port: 8080,
  count: 4n,
};

describe('reports of decisions', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects + policies, tokens: shopTokens });
  });
  after(() => harness.stop());

  /** The code of the answer. */
  async function report(token: string, request: MessageInitShape<typeof ReportRequestSchema>): Promise<string> {
    const outcome = await callUnary(harness, { token }, decisions.Report, create(ReportRequestSchema, request));
    return outcome.ok ? 'OK' : outcome.code;
  }
  const flows = async (query = ''): Promise<{ flows: { workload: string; pod: string; count: number }[] }> =>
    (await fetch(`http://127.0.0.1:${harness.serving.monitoringPort}/debug/flows${query}`)).json() as never;

  test('who called is kept with the workload that the credential speaks for', async () => {
    assert.equal(await report('cart-token', create(ReportRequestSchema, { flows: [flow] })), 'OK');
    const [found, ...more] = (await flows()).flows;
    assert.equal(more.length, 0);
    assert.equal(found?.workload, 'shop/cart');
    assert.equal(found?.pod, 'shop/cart-a');
    assert.equal(found?.count, 4);
    assert.equal((await flows('?namespace=desk')).flows.length, 0);
    assert.equal((await flows('?since=2999-01-01T00:00:00Z')).flows.length, 0);
  });

  test('nobody without a credential is heard, and no more than a bound', async () => {
    assert.equal(await report('no-token', {}), 'UNAUTHENTICATED');
    const many = create(ReportRequestSchema, { flows: Array.from({ length: 1_001 }, () => flow) });
    assert.equal(await report('cart-token', many), 'PERMISSION_DENIED');
  });

  test('hits count for policies of the pod alone', async () => {
    const hits = create(ReportRequestSchema, {
      hits: [
        { rule: 'shop/allow/web', hits: 2n },
        { rule: 'shop/other/0', hits: 5n },
        { rule: 'desk/theirs/0', hits: 5n },
        { rule: 'weft.rbac.allow', hits: 5n },
      ],
    });
    assert.equal(await report('cart-token', hits), 'OK');
    assert.deepEqual([...harness.decisions.hits.policies()], ['shop/allow']);
    assert.equal(harness.decisions.hits.of('shop/allow')?.get('web')?.hits, 2);
  });
});
