/** What status says at the moments when it would be easy to claim too much. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { kinds } from '@weft/policies/crds/kinds';
import { structural } from '@weft/policies/crds/structural';
import { z } from 'zod';
import type { NotTaken } from '../kube/intake.ts';
import { type Harness, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { DeltaClient } from '../testing/xds-client.ts';
import { type Observed, type StatusKind, type StatusParts, statusFor } from './build.ts';

const cart = 'outbound/shop/cart/80';
const moment = '2026-03-01T00:00:00Z';
const condition = z.looseObject({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() });
const routeStatus = z.object({ parents: z.array(z.looseObject({ conditions: z.array(condition) })) });
const ownStatus = z.looseObject({ conditions: z.array(condition) });

const route = (generation: number, parent = 'cart'): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: shop, generation: ${generation} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${parent} }]
  rules: [{ backendRefs: [{ name: cart, port: 80, weight: ${generation} }, { name: cart-v2, port: 80 }] }]
`;

describe('status', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  });
  after(() => harness.stop());

  const parts = (reconnecting = false): StatusParts => {
    const { context, hub } = harness.mesh;
    return { context, hub, nowIso: () => moment, replica: 'one', reconnecting };
  };
  const observed = (generation: number, status: unknown = undefined): Observed => ({
    generation,
    status,
    invalid: undefined,
  });
  const programmed = (status: unknown) =>
    routeStatus.parse(status).parents[0]?.conditions.find((one) => one.type === 'weft.dev/Programmed');
  const ofRoute = (generation: number, before: unknown = undefined, reconnecting = false) =>
    statusFor(parts(reconnecting), 'HTTPRoute', 'shop/r', observed(generation, before));

  test('a route that no sidecar uses says so', () => {
    harness.apply(route(1));
    const { status, reason, message } = programmed(ofRoute(1)) ?? {};
    assert.deepEqual([status, reason], ['True', 'NoClients']);
    assert.equal(message, 'generation 1 is served; no sidecar connected to one uses it yet');
  });

  test('while sidecars come back nothing is claimed, and what was found before stays', () => {
    harness.apply(route(1));
    const fresh = programmed(ofRoute(1, undefined, true));
    assert.deepEqual([fresh?.status, fresh?.reason], ['Unknown', 'Reconnecting']);
    assert.match(
      fresh?.message ?? '',
      /live on 0 of 0 sidecars connected to one, to which others are still coming back/,
    );
    const found = routeStatus.parse(ofRoute(1));
    const conditions = found.parents[0]?.conditions.map((one) =>
      one.type === 'weft.dev/Programmed' ? { ...one, status: 'False', reason: 'Pending', message: 'as it was' } : one,
    );
    const earlier = { parents: [{ ...found.parents[0], conditions }] };
    assert.equal(ofRoute(1, earlier, true), undefined, 'a restart writes nothing');
    harness.apply(route(2));
    assert.equal(programmed(ofRoute(2, earlier, true))?.reason, 'Reconnecting', 'another generation is another matter');
  });

  test('who comes back and holds it all counts at once, with nothing sent', async (t) => {
    harness.apply(route(3));
    const first = DeltaClient.open(harness, webToken, web);
    first.subscribe('route', [cart]);
    const response = await first.next();
    first.close();
    const settled = new Promise<void>((resolve) => {
      const stop = harness.mesh.hub.onSettled(() => {
        if (programmed(ofRoute(3))?.message !== 'generation 3 live on 1 of 1 sidecars connected to one') return;
        stop();
        resolve();
      });
    });
    const second = DeltaClient.open(harness, webToken, web);
    t.after(() => second.close());
    second.subscribe('route', [cart], { [cart]: response.resources[0]?.version ?? '' });
    await settled;
    assert.equal(second.received.length, 0);
  });

  test('a route for HTTP/2 alone is not programmed where sidecars pass HTTP/2 through', async (t) => {
    harness.apply(`
kind: Service
metadata: { name: rpc, namespace: shop }
spec: { clusterIPs: [10.96.0.20], ports: [{ name: grpc, port: 9000 }] }
---
${route(4, 'rpc')}`);
    const old = DeltaClient.open(harness, webToken, web);
    t.after(() => old.close());
    old.subscribe('cluster', [cart]);
    await old.next();
    const { status, reason, message } = programmed(ofRoute(4)) ?? {};
    assert.deepEqual([status, reason], ['False', 'UnsupportedBySidecars']);
    assert.match(message ?? '', /outbound\/shop\/rpc\/9000 speaks HTTP\/2, which 1 of the connected sidecars/);
  });

  test('of a route only our entries change, and PartiallyInvalid is there only while it holds', () => {
    const calls = (generation: number, service: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: calls, namespace: shop, generation: ${generation} }
spec:
  parentRefs: [{ group: "", kind: Service, name: cart }, { name: some-gateway }]
  rules:
    - { backendRefs: [{ name: cart, port: 80 }] }
    - { matches: [{ method: { type: RegularExpression, service: "${service}" } }] }
`;
    const of = (generation: number, before: unknown) =>
      statusFor(parts(), 'GRPCRoute', 'shop/calls', observed(generation, before));
    const foreign = { parentRef: { name: 'some-gateway' }, controllerName: 'example.com/gateway', conditions: [] };
    harness.apply(calls(1, '('));
    const broken = of(1, { parents: [foreign] });
    assert.deepEqual(z.object({ parents: z.array(z.unknown()) }).parse(broken).parents[0], foreign);
    const ours = (status: unknown) => {
      const all = z.object({ parents: z.array(z.looseObject({ controllerName: z.string() })) }).parse(status).parents;
      const own = all.filter((one) => one.controllerName === 'weft.dev/control-plane');
      return routeStatus
        .parse({ parents: own })
        .parents.map(({ conditions }) =>
          conditions
            .filter((one) => one.type !== 'weft.dev/Programmed')
            .map((one) => `${one.type} ${one.status} ${one.reason} ${one['observedGeneration']}`),
        );
    };
    assert.deepEqual(ours(broken), [
      ['Accepted True Accepted 1', 'ResolvedRefs True ResolvedRefs 1', 'PartiallyInvalid True UnsupportedValue 1'],
    ]);
    harness.apply(calls(2, 'shop.*'));
    assert.deepEqual(ours(of(2, broken)), [['Accepted True Accepted 2', 'ResolvedRefs True ResolvedRefs 2']]);
  });

  test('the Mesh has every field of its status', () => {
    harness.apply('apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: default, generation: 5 }\n');
    const status = statusFor(parts(), 'Mesh', 'default', observed(5));
    const schema = kinds.Mesh.status;
    assert.ok(schema !== undefined);
    assert.deepEqual(
      Object.keys(status ?? {}).sort(),
      Object.keys(structural(schema, 'status').properties ?? {}).sort(),
    );
    assert.equal(status?.['trustDomain'], 'cluster.local');
    assert.deepEqual(
      ownStatus.parse(status).conditions.map((one) => [one.type, one.status, one.reason]),
      [
        ['Accepted', 'True', 'Accepted'],
        ['weft.dev/Programmed', 'True', 'NoClients'],
      ],
    );
  });

  test('a stored route that cannot be read tells its parents, and keeps what served before', () => {
    const parentRefs = [{ group: '', kind: 'Service', name: 'cart' }];
    const told = (name: string, holds: NotTaken['holds']) =>
      routeStatus
        .parse(
          statusFor(parts(), 'HTTPRoute', name, {
            generation: 9,
            status: undefined,
            invalid: { reason: 'spec.rules: no', holds },
            parentRefs,
          }),
        )
        .parents[0]?.conditions.find((one) => one.type === 'Accepted')?.message;
    assert.equal(told('shop/never-read', 'nothing'), 'spec.rules: no; nothing of it is served');
    harness.apply(route(6));
    assert.equal(told('shop/r', 'the last good version'), 'spec.rules: no; the last good generation goes on serving');
  });

  for (const kind of ['Mesh', 'TrafficPolicy', 'AuthorizationPolicy'] as const satisfies readonly StatusKind[]) {
    test(`a stored ${kind} that cannot be read gets its own condition`, () => {
      harness.mesh.delete('Mesh', 'default');
      const key = kind === 'Mesh' ? 'default' : 'shop/broken';
      const invalid = { reason: 'spec.x: no', holds: 'nothing' } as const;
      const status = statusFor(parts(), kind, key, { generation: 2, status: undefined, invalid });
      assert.deepEqual(
        ownStatus.parse(status).conditions.map((one) => [one.type, one.status, one.reason, one.message]),
        [['Accepted', 'False', 'Invalid', 'spec.x: no; nothing of it is served']],
      );
    });
  }
});
