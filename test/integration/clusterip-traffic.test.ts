import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import type { EndpointSlice, Pod, Service } from '@weft/local/client/objects';
import { paths } from '@weft/local/client/paths';
import { startTestMesh, type TestMesh, until } from '../support/local-mesh.ts';

/** One request on a connection of its own; the status, or the error's code. */
function get(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const call = request({ host, port, agent: false, timeout: 10_000 }, (response) => {
      response.resume();
      response.on('end', () => resolve(String(response.statusCode)));
      response.on('error', (error) => resolve(error.message));
    });
    call.on('timeout', () => call.destroy(new Error('timeout')));
    call.on('error', (error) => resolve(error.message));
    call.end();
  });
}

describe('cluster IPs and rollouts', () => {
  let mesh: TestMesh;
  let vips: readonly string[];
  before(async () => {
    mesh = await startTestMesh('t-vip');
    await mesh.apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web', namespace: 'default' },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' } },
            spec: {
              terminationGracePeriodSeconds: 6,
              containers: [
                {
                  name: 'nginx',
                  image: 'nginx',
                  ports: [{ name: 'http', containerPort: 80 }],
                  readinessProbe: { httpGet: { port: 'http' }, periodSeconds: 1 },
                  // Whoever keeps the rules of the node may be stopped for a while by a busy machine.
                  lifecycle: { preStop: { sleep: { seconds: 2 } } },
                },
              ],
            },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: 'default' },
        spec: {
          ipFamilyPolicy: 'RequireDualStack',
          selector: { app: 'web' },
          ports: [{ name: 'http', port: 8080, targetPort: 'http' }],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'client', namespace: 'default' },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'c', image: 'busybox', command: ['sleep', '3600'] }],
        },
      },
    );
    const status = await mesh.kubectl(['rollout', 'status', 'deployment/web', '--timeout=30s']);
    assert.equal(status.code, 0, status.stderr);
    const service = await mesh.client.get<Service>(paths.core('services', 'default', 'web'));
    assert.ok(service.ok);
    vips = service.value.spec.clusterIPs ?? [];
    assert.equal(vips.length, 2);
    // The Deployment is available before the slices of its Service say so, and those before the rules of the node.
    await until('both endpoints in both families', async () =>
      (await slices()).length === 2 && (await slices()).every(({ endpoints }) => endpoints?.length === 2)
        ? true
        : undefined,
    );
    for (const vip of vips)
      await until(`${vip} answers`, async () => ((await get(vip, 8080)) === '200' ? true : undefined));
  });
  after(() => mesh.close());

  const slices = async (): Promise<readonly EndpointSlice[]> => {
    const list = await mesh.client.get<{ items: EndpointSlice[] }>(
      `${paths.discovery('endpointslices', 'default')}?labelSelector=kubernetes.io%2Fservice-name%3Dweb`,
    );
    assert.ok(list.ok);
    return list.value.items;
  };

  const webPods = async (): Promise<readonly Pod[]> => {
    const list = await mesh.client.get<{ items: Pod[] }>(`${paths.core('pods', 'default')}?labelSelector=app%3Dweb`);
    return list.ok ? list.value.items : [];
  };

  test('a pod, the host and the backend itself reach the Service in IPv4 and IPv6', async () => {
    const client = await mesh.podReady('client');
    const [backend] = await webPods();
    assert.ok(backend);
    for (const vip of vips) {
      const host = vip.includes(':') ? `[${vip}]` : vip;
      const curl = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-m', '5', `http://${host}:8080/`];
      assert.equal((await mesh.inPod(client, 'curl', curl)).stdout, '200', `from a pod to ${vip}`);
      assert.equal(await get(vip, 8080), '200', `from the host to ${vip}`);
      // The choice is random: among eight tries some surely go back to the pod itself.
      for (let round = 0; round < 8; round++) {
        assert.equal((await mesh.inPod(backend, 'curl', curl)).stdout, '200', `from a backend to ${vip}`);
      }
    }
  });

  test('a port or Service that is not there is refused at once', async () => {
    assert.match(await get(vips[0] ?? '', 9), /ECONNREFUSED/);
    assert.match(await get(vips[1] ?? '', 9), /ECONNREFUSED/);
    assert.match(await get(mesh.mesh.names.serviceCidrs[0].replace('.0/17', '.250'), 80), /ECONNREFUSED/);
  });

  test('slices of both families name ready pods, with node and target', async () => {
    const found = await slices();
    assert.deepEqual(found.map((slice) => slice.addressType).sort(), ['IPv4', 'IPv6']);
    for (const slice of found) {
      assert.equal(slice.endpoints?.length, 2);
      for (const endpoint of slice.endpoints ?? []) {
        assert.deepEqual(endpoint.conditions, { ready: true, serving: true, terminating: false });
        assert.equal(endpoint.targetRef?.kind, 'Pod');
        assert.equal(endpoint.nodeName, mesh.mesh.names.nodeName);
      }
    }
  });

  test('rollout restart and undo lose no request in either family', async () => {
    const answers = new Map<string, number>();
    let running = true;
    const load = async (vip: string): Promise<void> => {
      while (running) {
        const answer = await get(vip, 8080);
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
    };
    const before = (await webPods()).map((item) => item.metadata.name);
    const loads = vips.map(load);
    for (const verb of ['restart', 'undo']) {
      assert.equal((await mesh.kubectl(['rollout', verb, 'deployment/web'])).code, 0);
      const status = await mesh.kubectl(['rollout', 'status', 'deployment/web', '--timeout=30s']);
      assert.equal(status.code, 0, status.stderr);
    }
    await until('old pods are gone', async () => {
      const names = (await webPods()).map((item) => item.metadata.name);
      return names.length === 2 && !names.some((name) => before.includes(name)) ? true : undefined;
    });
    running = false;
    await Promise.all(loads);
    assert.deepEqual([...answers.keys()], ['200'], JSON.stringify([...answers]));
    assert.ok((answers.get('200') ?? 0) > 100);
  });

  test('scaled to nothing it refuses, and comes back', async () => {
    const [vip = ''] = vips;
    assert.equal((await mesh.kubectl(['scale', 'deployment/web', '--replicas=0'])).code, 0);
    await until('refused', async () => (/ECONNREFUSED/.test(await get(vip, 8080)) ? true : undefined));
    assert.equal((await mesh.kubectl(['scale', 'deployment/web', '--replicas=1'])).code, 0);
    await until('served', async () => ((await get(vip, 8080)) === '200' ? true : undefined));
  });
});
