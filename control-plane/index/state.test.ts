import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseObjects } from '../static/objects.ts';
import { shopObjects } from '../testing/shop.ts';
import type { MeshObject } from './objects.ts';
import { objectKey, objectKinds } from './objects.ts';
import { ClusterState } from './state.ts';
import { isTouched } from './touched.ts';

function objects(yaml: string): readonly MeshObject[] {
  const parsed = parseObjects(yaml);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

const all = objects(`${shopObjects}
---
kind: Node
metadata: { name: n1, labels: { topology.kubernetes.io/zone: a } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: own, namespace: shop }
spec: { parentRefs: [{ group: "", kind: Service, name: cart }], rules: [{ backendRefs: [{ name: cart-v2, port: 80 }] }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: foreign, namespace: desk }
spec: { parentRefs: [{ group: "", kind: Service, name: cart, namespace: shop }] }
---
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: p, namespace: desk }
spec: { targetRefs: [{ kind: Service, name: cart, namespace: shop }], timeouts: { request: 1s } }
`);

/** Everything that can be asked of a state, in words that can be compared. */
function dump(state: ClusterState): unknown {
  return {
    objects: objectKinds.map((kind) => state.keys(kind).sort()),
    byIp: ['10.96.0.10', 'fd00::10', '10.1.0.1', '10.1.0.2'].map((ip) => [
      [...state.services.keysBy('ip', ip)].sort(),
      [...state.pods.keysBy('ip', ip)].sort(),
    ]),
    byAccount: [...state.pods.keysBy('serviceAccount', 'shop/cart')].sort(),
    slices: [...state.endpointSlices.keysBy('service', 'shop/cart')].sort(),
    sliceOfPod: [...state.endpointSlices.keysBy('pod', 'shop/cart-a')].sort(),
    parents: [...state.routes.HTTPRoute.keysBy('parent', 'shop/cart')].sort(),
    targets: [...state.trafficPolicies.keysBy('target', 'Service:shop/cart')].sort(),
    consumer: ['shop', 'desk'].map((namespace) => state.hasConsumerConfig(namespace)),
    selected: [...state.services.values()]
      .map((service) => [
        objectKey(service.metadata),
        state.podsSelectedBy(service).map((pod) => objectKey(pod.metadata)),
      ])
      .sort(),
  };
}

describe('cluster state', () => {
  test('any order of events, with repetitions and detours, leads to the same state', () => {
    const straight = new ClusterState('weft-system');
    for (const object of all) straight.apply(object);
    const event = fc.record({ index: fc.nat(all.length - 1), gone: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.shuffledSubarray([...all], { minLength: all.length }),
        (detour, order) => {
          const state = new ClusterState('weft-system');
          for (const { index, gone } of detour) {
            const object = all[index];
            if (object === undefined) continue;
            if (gone) state.delete(object.kind, objectKey(object.metadata));
            else state.apply(object);
          }
          for (const object of order) state.apply(object);
          assert.deepEqual(dump(state), dump(straight));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('what is deleted leaves nothing in any index', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...all], { minLength: all.length }), (order) => {
        const state = new ClusterState('weft-system');
        for (const object of all) state.apply(object);
        for (const object of order) state.delete(object.kind, objectKey(object.metadata));
        assert.deepEqual(dump(state), dump(new ClusterState('weft-system')));
      }),
    );
  });

  test('the same again touches nothing', () => {
    const state = new ClusterState('weft-system');
    for (const object of all) state.apply(object);
    for (const object of objects(shopObjects))
      assert.equal(isTouched(state.apply(object)), false, objectKey(object.metadata));
  });

  test('an event says what it touches, before and after', () => {
    const state = new ClusterState('weft-system');
    for (const object of all) state.apply(object);
    const [moved] = objects(`
kind: Service
metadata: { name: cart, namespace: shop }
spec: { clusterIPs: [10.96.0.77], selector: { app: web }, ports: [{ name: http, port: 80 }] }
`);
    assert.ok(moved !== undefined);
    const touched = state.apply(moved);
    assert.deepEqual([...touched.services].sort(), ['shop/cart']);
    for (const ip of ['10.96.0.10', 'fd00::10', '10.96.0.77', '10.1.0.1', '10.1.0.3'])
      assert.ok(touched.addresses.has(ip), ip);
    for (const pod of ['shop/cart-a', 'shop/cart-b', 'shop/web-a']) assert.ok(touched.pods.has(pod), pod);
    const backend = state.delete('Service', 'shop/cart-v2');
    assert.ok(backend.services.has('shop/cart'), 'a route to cart names it');
  });

  test('a pod that has ended gives its addresses up; one on the host network never had them', () => {
    const state = new ClusterState('weft-system');
    for (const object of objects(`
kind: Pod
metadata: { name: done, namespace: a }
spec: { containers: [] }
status: { phase: Failed, podIP: 10.0.0.1 }
---
kind: Pod
metadata: { name: host, namespace: a }
spec: { hostNetwork: true, containers: [] }
status: { phase: Running, podIP: 10.0.0.2 }
`)) {
      state.apply(object);
    }
    assert.equal(state.pods.keysBy('ip', '10.0.0.1').size + state.pods.keysBy('ip', '10.0.0.2').size, 0);
  });
});

describe('opaque ports', () => {
  const pod = (annotation: string): readonly MeshObject[] =>
    objects(`
kind: Pod
metadata: { name: db-0, namespace: shop, labels: { app: db }, annotations: { ${annotation} } }
spec: { containers: [{ name: app }] }
status: { phase: Running, podIP: 10.1.7.1 }
`);
  const service = objects(`
kind: Service
metadata: { name: db, namespace: shop }
spec: { clusterIP: 10.96.7.1, selector: { app: db }, ports: [{ port: 3306 }] }
`);
  test('of a pod concern the clients of its Services, when they come and when they go', () => {
    const state = new ClusterState('weft-system');
    for (const object of [...service, ...pod('')]) state.apply(object);
    for (const annotation of ['proxy.weft.dev/opaque-ports: "3306"', '']) {
      const [object] = pod(annotation);
      assert.ok(object);
      const touched = state.apply(object);
      assert.deepEqual([...touched.services], ['shop/db']);
      assert.ok(touched.addresses.has('10.96.7.1'));
    }
  });
});
