import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execInPod } from '../support/exec-in-pod.ts';
import type { TestMesh } from '../support/mesh.ts';
import type { Shop } from '../support/shop.ts';
import { startTraceStore } from '../support/trace-store.ts';
import { missingHops, traceTree } from '../support/trace-tree.ts';
import { waitFor } from '../support/wait.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const HOPS = [
  { from: 'web', to: 'cart' },
  { from: 'cart', to: 'catalog' },
  { from: 'catalog', to: 'pricing' },
];

/** A trace across four services at a real collector; the mesh joins the trace that a caller began. */
export function traceTests(context: () => { readonly mesh: TestMesh; readonly shop: Shop }): void {
  test('a trace across four services arrives by OTLP with the right parents', async () => {
    const { mesh, shop } = context();
    const host = /Pods reach this machine at ([\d.]+)/.exec(mesh.output())?.[1];
    assert.ok(host, mesh.output());
    const store = await startTraceStore({ host, port: 0 });
    try {
      await mesh.kubectl.apply(`
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec:
  tracing: { otlpEndpoint: "${store.endpoint}", protocol: http, samplingPercent: 100 }
`);
      const [load] = await shop.pods('load');
      assert.ok(load);
      const spans = await waitFor(
        'every hop of the trace',
        async () => {
          const header = `traceparent: 00-${TRACE}-${CALLER}-01`;
          await execInPod(mesh.name, load.metadata.uid, ['curl', '-s', '-H', header, 'http://web.shop.svc/']);
          const stored = await store.spans();
          return missingHops(traceTree(stored, TRACE, CALLER), HOPS).length === 0 ? stored : undefined;
        },
        60_000,
        500,
      );
      const own = spans.filter((span) => span.traceId === TRACE);
      assert.deepEqual(new Set(own.map((span) => span.service)), new Set(['web', 'cart', 'catalog', 'pricing']));
    } finally {
      await mesh.kubectl('delete', 'mesh', 'default');
      await store.stop();
    }
  });
}
