/** What is wrong is told where it is wrong: at the target that is missing, and of the route that a sidecar refuses. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { type Harness, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { DeltaClient } from '../testing/xds-client.ts';
import { type StatusKind, statusFor } from './build.ts';

const cart = 'outbound/shop/cart/80';
const condition = z.looseObject({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() });
const conditions = z.array(condition);
const told = z.looseObject({
  conditions: conditions.default([]),
  parents: z.array(z.looseObject({ conditions })).default([]),
  ancestors: z.array(z.looseObject({ ancestorRef: z.looseObject({ name: z.string() }), conditions })).default([]),
});
type Conditions = z.infer<typeof conditions>;

const short = (all: Conditions | undefined): string[] =>
  (all ?? []).map(({ type, status, reason }) => `${type.replace('weft.dev/', '')} ${status} ${reason}`);

const objects = `${shopObjects}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: first, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: cart }]
  rules: [{ matches: [{ path: { type: Exact, value: /first } }], backendRefs: [{ name: cart, port: 80 }] }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: second, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: cart }]
  rules: [{ backendRefs: [{ name: cart, port: 80 }] }]
---
kind: TrafficPolicy
metadata: { name: service, namespace: shop }
spec: { targetRefs: [{ group: "", kind: Service, name: cart }], timeouts: { request: 9s } }
---
kind: FaultPolicy
metadata: { name: second, namespace: shop }
spec: { targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: second }], delay: { fixed: 1s } }
`;

const waitMsMax = 5_000;

async function until(holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + waitMsMax; !holds(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    assert.ok(Date.now() < endMs, `not within ${waitMsMax} ms`);
  }
}

describe('blame', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects, tokens: shopTokens });
  });
  after(() => harness.stop());

  const statusOf = (kind: StatusKind, name: string) => {
    const { context, hub } = harness.mesh;
    const parts = { context, hub, nowIso: () => '2026-03-01T00:00:00Z', replica: 'one', reconnecting: false };
    const observed = { generation: 1, status: undefined, invalid: undefined };
    return told.parse(statusFor(parts, kind, `shop/${name}`, observed));
  };

  test('a target that is not there is told of as that target, and does not stand for the policy', () => {
    harness.apply(`
kind: TrafficPolicy
metadata: { name: several, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: gone }, { group: "", kind: Service, name: cart-v2 }]
  timeouts: { request: 3s }
`);
    const { conditions: all, ancestors } = statusOf('TrafficPolicy', 'several');
    assert.deepEqual(
      ancestors.map((one) => [one.ancestorRef.name, ...short(one.conditions)]),
      [
        ['gone', 'Accepted False TargetNotFound', 'Programmed False NotAccepted'],
        ['cart-v2', 'Accepted True Accepted', 'Programmed True NoClients'],
      ],
    );
    assert.deepEqual(short(all), ['Accepted True Accepted', 'Programmed True NoClients']);
    assert.match(all[0]?.message ?? '', /; 1 of 2 targets are left out: there is no Service shop\/gone$/);
  });

  test('a policy none of whose targets is there is not accepted', () => {
    harness.apply(`
kind: TrafficPolicy
metadata: { name: nowhere, namespace: shop }
spec: { targetRefs: [{ group: "", kind: Service, name: gone }], timeouts: { request: 3s } }
`);
    const { conditions: all } = statusOf('TrafficPolicy', 'nowhere');
    assert.deepEqual(short(all), ['Accepted False TargetNotFound', 'Programmed False NotAccepted']);
  });

  const programmed = (all: Conditions | undefined): string => {
    const found = all?.find(({ type }) => type === 'weft.dev/Programmed');
    return `${found?.reason}: ${found?.message.replace(/^.*connected to one; /, '')}`;
  };

  /** What is said of each object once the only sidecar has refused its routes so. */
  async function refused(t: { after(fn: () => void): void }, message: string): Promise<Record<string, string>> {
    const client = DeltaClient.open(harness, webToken, web);
    t.after(() => client.close());
    client.subscribe('route', [cart]);
    const response = await client.next();
    client.nack('route', response, message);
    // Clients of earlier tests may still be on their way out.
    await until(() => {
      const nacks = [...harness.mesh.hub.subscribersOf('route', cart)].map(({ subscription }) => subscription.nack);
      return nacks.length === 1 && nacks[0]?.message === message;
    });
    return {
      first: programmed(statusOf('HTTPRoute', 'first').parents[0]?.conditions),
      second: programmed(statusOf('HTTPRoute', 'second').parents[0]?.conditions),
      policy: programmed(statusOf('TrafficPolicy', 'service').ancestors[0]?.conditions),
      fault: programmed(statusOf('FaultPolicy', 'second').ancestors[0]?.conditions),
    };
  }

  test('a refusal of the matches of one route is that route’s; what had to stay behind says for whom', async (t) => {
    const message = `${cart}: virtual_hosts[0].routes[0].match.connect_matcher: is not known`;
    const heldBack = `Pending: shop/web-a refused ${cart}, which has it too, for what route shop/first says`;
    assert.deepEqual(await refused(t, message), {
      first: `Rejected: shop/web-a refused it: ${message}`,
      second: heldBack,
      policy: heldBack,
      fault: heldBack,
    });
  });

  test('a refusal of what becomes of the requests of a route may be a policy’s that is for them', async (t) => {
    const message = `${cart}: virtual_hosts[0].routes[1].route.retry_policy: is not known`;
    const rejected = `Rejected: shop/web-a refused it: ${message}`;
    const all = await refused(t, message);
    assert.match(all['first'] ?? '', /^Pending: .* for what route shop\/second says$/);
    assert.deepEqual([all['second'], all['policy'], all['fault']], [rejected, rejected, rejected]);
  });

  test('a refusal that says nothing of a place is everybody’s', async (t) => {
    const all = await refused(t, `RouteConfiguration ${cart}: no`);
    for (const one of Object.values(all)) assert.match(one, /^Rejected: /);
  });
});
