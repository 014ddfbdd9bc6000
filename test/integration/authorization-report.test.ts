/** What a sidecar counted comes to the control plane, and from there to `weft authz diff`. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { diff } from '@weft/cli/authz/diff';
import { added } from '@weft/cli/authz/read';
import type { FlowAnswer } from '@weft/control-plane/decisions/decisions';
import { parseObjects } from '@weft/control-plane/static/objects';
import { startHarness, trustDomain } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { systemClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { DecisionBook } from '@weft/sidecar/authorization/book';
import { DecisionReporter } from '@weft/sidecar/authorization/reporter';
import { ControlChannel } from '@weft/sidecar/control-channel';
import { emptyRecord } from '@weft/sidecar/telemetry/record';
import { WireDoor } from '@weft/sidecar/wire/door';

const policies = `
---
kind: AuthorizationPolicy
metadata: { name: allow, namespace: shop }
spec: { selector: { matchLabels: { app: cart } }, rules: [{ name: web, from: [{ serviceAccounts: [web] }] }] }
`;
const candidate = `
kind: AuthorizationPolicy
metadata: { name: read-only, namespace: shop }
spec: { action: DENY, rules: [{ name: writes, to: [{ methods: [POST] }] }] }
`;

/** A control plane, and the way of the pod's sidecar to it. */
async function controlPlane(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'weft-report-'));
  const harness = await startHarness({ objects: shopObjects + policies, tokens: shopTokens });
  t.after(async () => {
    await harness.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, 'trust.pem'), harness.authority.trustBundlePem);
  writeFileSync(join(folder, 'token'), 'cart-token');
  const channel = new ControlChannel({
    target: harness.address,
    serverName: 'weft-control-plane.weft-system.svc',
    trustFile: join(folder, 'trust.pem'),
    tokenFile: join(folder, 'token'),
    clock: systemClock,
    wire: new WireDoor(systemClock).wire,
  });
  t.after(() => channel.close());
  const answer = async (): Promise<FlowAnswer> =>
    (
      await fetch(`http://127.0.0.1:${harness.serving.monitoringPort}/debug/flows?namespace=shop`)
    ).json() as Promise<FlowAnswer>;
  return { harness, channel, answer };
}

test('a request that a sidecar let in is one that a candidate would refuse', async (t) => {
  const { harness, channel, answer } = await controlPlane(t);
  const book = new DecisionBook(() => undefined);
  book.keepsFlows = true;
  const record = {
    ...emptyRecord('inbound'),
    authority: 'cart',
    path: '/cart?x=1',
    remote: '10.1.0.3:40000',
    destination: '10.1.0.1:8080',
    sourceIdentity: 'spiffe://cluster.local/ns/shop/sa/web',
  };
  for (const method of ['GET', 'POST', 'POST']) {
    book.hit('shop/allow/web', 'ALLOW');
    book.observe({ ...record, method });
  }
  let way = channel;
  const failures: string[] = [];
  const reporter = new DecisionReporter({
    decisions: async () => book.take(),
    send: (report) => way.report('sidecar~10.1.0.1~cart-a.shop~cluster.local', report),
    clock: systemClock,
    prng: new SeededPrng(1),
    count: (event) => failures.push(event),
  });
  // What is left is told at the end.
  await reporter.close();
  assert.deepEqual(failures, []);
  assert.equal(harness.decisions.hits.of('shop/allow')?.get('web')?.hits, 3);
  const { flows } = await answer();
  const [objects, apply] = [parseObjects(shopObjects + policies), parseObjects(candidate)];
  assert.ok(objects.ok && apply.ok);
  const world = { meshNamespace: 'weft-system', trustDomain: trustDomain(), objects: objects.value, flows };
  const { rows, requests } = diff(world, { apply: apply.value, remove: [] });
  assert.equal(requests, 3);
  assert.deepEqual(
    rows.map(({ outcome, method, requests: count, before, after }) => [
      outcome,
      method,
      count,
      before.rule,
      after.rule,
    ]),
    [['loses', 'POST', 2, 'shop/allow/web', 'shop/read-only/writes']],
  );

  const anew = await controlPlane(t);
  way = anew.channel;
  reporter.connected();
  await reporter.close();
  assert.deepEqual(failures, []);
  const [before, after] = [await answer(), await anew.answer()];
  const count = (...answers: readonly FlowAnswer[]): number =>
    added(answers).flows.reduce((sum, one) => sum + one.count, 0);
  assert.equal(count(after), 3, 'one that has begun anew knows what the sidecar told before');
  assert.equal(count(before, after), 3, 'and where the other one is still there nothing counts twice');
});
