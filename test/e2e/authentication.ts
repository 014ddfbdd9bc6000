import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestMesh } from '../support/mesh.ts';
import type { Shop } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const policy = (name: string, spec: string): string => `
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;

const PLAINTEXT = /^weft_plaintext_connections_total\{[^}]*source="([^"]*)"[^}]*\} ([1-9]\d*)/gm;

/** The way to strict mutual TLS, on the demo under the load of a caller that is not of the mesh. */
export function authenticationTests(context: () => { readonly mesh: TestMesh; readonly shop: Shop }): void {
  const programmed = (name: string): Promise<true> =>
    waitFor(`${name} on all sidecars`, () =>
      context().shop.condition('authenticationpolicy', name, 'weft.dev/Programmed'),
    );

  test('the metrics say who still speaks plaintext', async () => {
    const { shop } = context();
    const sources = async (app: string): Promise<ReadonlyMap<string, number>> => {
      const text = await shop.metrics(await shop.pod(app));
      return new Map([...text.matchAll(PLAINTEXT)].map((match) => [match[1] ?? '', Number(match[2])]));
    };
    const [load] = await shop.pods('load');
    await waitFor('the load generator among them', async () => {
      const found = [...(await sources('web')).keys()];
      return found.some((one) => one === load?.status.podIP || one.startsWith('load/')) ? true : undefined;
    });
    const { stdout } = await context().mesh.weft('mtls', '--namespace', 'shop', '--output', 'json');
    assert.match(stdout, /"destination": "shop\/web"/);
    await waitFor('the warning of kubectl apply', async () => {
      const warned = await context().mesh.kubectl.warnings(policy('strict', '{ mtls: { mode: STRICT } }'));
      return /^Warning: STRICT refuses callers .* load\/\S+ to shop\/web:\d+ \(\d+\)/m.test(warned) ? true : undefined;
    });
    // While they moved in, they called each other without.
    const before = await sources('cart');
    await shop.servedWithoutFailure(20);
    assert.deepEqual(await sources('cart'), before, 'callers in the mesh use its TLS');
  });

  test('under STRICT all is ready and nothing fails; a plaintext caller is refused, counted and logged', async () => {
    const { mesh, shop } = context();
    const before = await shop.stats();
    await mesh.kubectl.apply(policy('door', '{ selector: { matchLabels: { app: web } }, mtls: { mode: PERMISSIVE } }'));
    await programmed('door');
    await mesh.kubectl.apply(policy('strict', '{ mtls: { mode: STRICT } }'));
    await programmed('strict');
    await shop.servedWithoutFailure(20);
    await mesh.kubectl('rollout', 'restart', 'deployment/pricing', '-n', 'shop');
    await mesh.kubectl('rollout', 'status', 'deployment/pricing', '-n', 'shop', '--timeout=60s');
    for (const pod of await shop.pods('shop')) assert.ok(shop.isReady(pod), pod.metadata.name);
    assert.equal(await shop.successOf('pricing', '/price/7', 3, 1), 0);
    const pricing = await shop.pod('pricing');
    await waitFor('the refusal in metrics and log', async () => {
      const counted = /^weft_tls_refused_total\{[^}]*reason="plaintext"[^}]*\} [1-9]/m.test(
        await shop.metrics(pricing),
      );
      const log = await mesh.kubectl('logs', '-n', 'shop', pricing.metadata.name, '-c', 'weft-proxy');
      return counted && /plaintext to a port that takes mutual TLS/.test(log) ? true : undefined;
    });
    await shop.servedWithoutFailure(20);
    const now = await shop.stats();
    assert.equal(now.failed - before.failed, 0, now.errors.join('\n'));
  });

  test('modes change under load without a failed request', async () => {
    const { mesh, shop } = context();
    const before = await shop.stats();
    for (const mode of ['DISABLED', 'STRICT', 'PERMISSIVE']) {
      await mesh.kubectl.apply(policy('strict', `{ mtls: { mode: ${mode} } }`));
      await programmed('strict');
      await shop.servedWithoutFailure(30);
    }
    await mesh.kubectl('delete', 'authenticationpolicy', '-n', 'shop', 'strict', 'door');
    await shop.servedWithoutFailure(20);
    const now = await shop.stats();
    assert.equal(now.failed - before.failed, 0, now.errors.join('\n'));
  });
}
