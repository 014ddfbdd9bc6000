import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execInPod } from '../support/exec-in-pod.ts';
import type { TestMesh } from '../support/mesh.ts';
import type { ShopPod } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const workload = (name: string, container: string, port: number): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: others }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: others }
spec:
  ipFamilyPolicy: RequireDualStack
  selector: { app: ${name} }
  ports: [{ name: http, port: 80, targetPort: ${port} }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: others }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      serviceAccountName: ${name}
      terminationGracePeriodSeconds: 5
      containers:
        - name: ${name}
          ${container}
          readinessProbe: { tcpSocket: { port: ${port} }, periodSeconds: 1 }
`;

/** Programs that know nothing of the mesh, called by curl from a pod in it, in both address families. */
export function workloadTests(context: () => { readonly mesh: TestMesh }): void {
  test('nginx and Python behind sidecars answer curl in IPv4 and IPv6', async () => {
    const { mesh } = context();
    await mesh.kubectl.apply(`
apiVersion: v1
kind: Namespace
metadata: { name: others, labels: { weft.dev/inject: enabled } }
`);
    await waitFor('the default service account', () =>
      mesh.kubectl('get', 'serviceaccount', '-n', 'others', 'default'),
    );
    await mesh.kubectl.apply(workload('nginx', 'image: nginx', 80));
    await mesh.kubectl.apply(
      workload('python', 'image: python\n          args: ["-m", "http.server", "--bind", "::", "8000"]', 8000),
    );
    for (const name of ['nginx', 'python']) {
      await mesh.kubectl('rollout', 'status', `deployment/${name}`, '-n', 'others', '--timeout=60s');
    }
    const { items: pods } = await mesh.kubectl.json<{ items: ShopPod[] }>('get', 'pods', '-n', 'others');
    const byName = (name: string): ShopPod => {
      const found = pods.find((pod) => pod.metadata.name.startsWith(name));
      assert.ok(found, name);
      return found;
    };
    for (const [caller, callee, says] of [
      ['python', 'nginx', /nginx/i],
      ['nginx', 'python', /Directory listing/],
    ] as const) {
      for (const family of ['-4', '-6']) {
        const answer = await execInPod(mesh.name, byName(caller).metadata.uid, [
          'curl',
          '-sS',
          '-i',
          family,
          '--max-time',
          '10',
          `http://${callee}.others.svc/`,
        ]);
        assert.match(answer, /^HTTP\/1\.1 200/, `${caller} to ${callee} with ${family}`);
        assert.match(answer, says);
      }
      const principal = `spiffe://cluster.local/ns/others/sa/${caller}`;
      await waitFor(`both requests of ${caller} in the metrics of ${callee}`, async () => {
        const metrics = await (
          await fetch(`http://${byName(callee).status.podIP}:15020/metrics`, { signal: AbortSignal.timeout(5_000) })
        ).text();
        const seen = [...metrics.matchAll(/^weft_requests_total\{(direction="inbound"[^}]*)\} (\d+)$/gm)]
          .filter(
            ([, labels = '']) => labels.includes(`source_principal="${principal}"`) && labels.includes('mtls="true"'),
          )
          .reduce((sum, [, , count]) => sum + Number(count), 0);
        assert.equal(seen, 2, metrics);
        return true;
      });
    }
    await mesh.kubectl('delete', 'namespace', 'others', '--timeout=60s');
  });
}
