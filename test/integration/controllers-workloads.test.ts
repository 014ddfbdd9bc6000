import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Pod } from '@weft/local/client/objects';
import { paths } from '@weft/local/client/paths';
import { startTestMesh, type TestMesh, until } from '../support/local-mesh.ts';

describe('controllers', () => {
  let mesh: TestMesh;
  before(async () => {
    mesh = await startTestMesh('t-ctrl');
  });
  after(() => mesh.close());

  const template = (app: string, command: readonly string[], extra: object = {}): object => ({
    metadata: { labels: { app } },
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'busybox', command }], ...extra },
  });
  const podsOf = async (app: string): Promise<readonly Pod[]> => {
    const list = await mesh.client.get<{ items: Pod[] }>(`${paths.core('pods', 'default')}?labelSelector=app%3D${app}`);
    return list.ok ? list.value.items : [];
  };
  const count = (app: string, wanted: number): Promise<boolean> =>
    until(`${wanted} pods of ${app}`, async () => ((await podsOf(app)).length === wanted ? true : undefined));

  test('every namespace gets its ServiceAccount and root certificate', async () => {
    assert.equal((await mesh.kubectl(['create', 'namespace', 'fresh'])).code, 0);
    await until('defaults', async () => {
      const account = await mesh.client.get(paths.core('serviceaccounts', 'fresh', 'default'));
      const root = await mesh.client.get<{ data: Record<string, string> }>(
        paths.core('configmaps', 'fresh', 'kube-root-ca.crt'),
      );
      return account.ok && root.ok && root.value.data['ca.crt'] === mesh.mesh.caPem ? true : undefined;
    });
  });

  test('a ReplicaSet replaces lost pods, adopts orphans, lets go of relabelled ones', async () => {
    await mesh.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'orphan', namespace: 'default', labels: { app: 'set' } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'c', image: 'busybox', command: ['sleep', '3600'] }],
      },
    });
    await mesh.apply({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: 'set', namespace: 'default' },
      spec: { replicas: 3, selector: { matchLabels: { app: 'set' } }, template: template('set', ['sleep', '3600']) },
    });
    await count('set', 3);
    assert.equal((await mesh.pod('orphan'))?.metadata.ownerReferences?.[0]?.name, 'set');
    await mesh.client.remove(paths.core('pods', 'default', 'orphan'), { gracePeriodSeconds: 0 });
    await until('replacement', async () => {
      const pods = await podsOf('set');
      return pods.length === 3 && !pods.some((pod) => pod.metadata.name === 'orphan') ? true : undefined;
    });
    const [first] = await podsOf('set');
    assert.ok(first);
    await mesh.kubectl(['label', 'pod', first.metadata.name, 'app=free', '--overwrite']);
    await count('set', 3);
    await until('released', async () =>
      ((await mesh.pod(first.metadata.name))?.metadata.ownerReferences?.length ?? 0) === 0 ? true : undefined,
    );
    await mesh.kubectl(['delete', 'replicaset', 'set', '--cascade=foreground', '--wait=false']);
    await count('set', 0);
  });

  test('Recreate never runs two versions, history is numbered, a bad image leaves the old pods', async () => {
    const deployment = (command: readonly string[], strategy: object): object => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'app', namespace: 'default' },
      spec: { replicas: 2, strategy, selector: { matchLabels: { app: 'app' } }, template: template('app', command) },
    });
    await mesh.apply(deployment(['sleep', '1001'], { type: 'Recreate' }));
    assert.equal((await mesh.kubectl(['rollout', 'status', 'deployment/app', '--timeout=20s'])).code, 0);
    let mixed = false;
    let watching = true;
    const watcher = (async () => {
      while (watching) {
        const active = (await podsOf('app')).filter(
          (pod) => pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined,
        );
        mixed ||= new Set(active.map((pod) => pod.metadata.labels?.['pod-template-hash'])).size > 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await mesh.apply(deployment(['sleep', '1002'], { type: 'Recreate' }));
    assert.equal((await mesh.kubectl(['rollout', 'status', 'deployment/app', '--timeout=20s'])).code, 0);
    watching = false;
    await watcher;
    assert.equal(mixed, false);
    assert.match((await mesh.kubectl(['rollout', 'history', 'deployment/app'])).stdout, /^1 [\s\S]*^2 /m);
    await mesh.kubectl([
      'patch',
      'deployment',
      'app',
      '--type=merge',
      '-p',
      JSON.stringify({
        spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } },
      }),
    ]);
    await mesh.kubectl(['set', 'image', 'deployment/app', 'c=nowhere:1']);
    await until('the new pod waits', async () =>
      (await podsOf('app')).some(
        (pod) => pod.status?.containerStatuses?.[0]?.state.waiting?.reason === 'ImagePullBackOff',
      )
        ? true
        : undefined,
    );
    const running = (await podsOf('app')).filter((pod) => pod.status?.phase === 'Running');
    assert.equal(running.length, 2);
    assert.equal((await mesh.kubectl(['rollout', 'undo', 'deployment/app'])).code, 0);
    assert.equal((await mesh.kubectl(['rollout', 'status', 'deployment/app', '--timeout=20s'])).code, 0);
    assert.equal((await mesh.kubectl(['delete', 'deployment', 'app'])).code, 0);
    await count('app', 0);
  });

  test('a Job runs until it has succeeded once', async () => {
    await mesh.apply({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'once', namespace: 'default' },
      spec: { template: template('once', ['sh', '-c', 'echo done'], { restartPolicy: 'Never' }) },
    });
    const waited = await mesh.kubectl(['wait', 'job/once', '--for=condition=Complete', '--timeout=20s']);
    assert.equal(waited.code, 0, waited.stderr);
    assert.equal((await mesh.kubectl(['logs', 'job/once'])).stdout.trim(), 'done');
  });

  test('deleting a namespace ends its pods', async () => {
    await mesh.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'gone', namespace: 'fresh' },
      spec: { replicas: 2, selector: { matchLabels: { app: 'gone' } }, template: template('gone', ['sleep', '3600']) },
    });
    await until('pods', async () => {
      const list = await mesh.client.get<{ items: Pod[] }>(paths.core('pods', 'fresh'));
      return list.ok && list.value.items.length === 2 ? true : undefined;
    });
    const deleted = await mesh.kubectl(['delete', 'namespace', 'fresh', '--timeout=45s']);
    assert.equal(deleted.code, 0, deleted.stderr);
  });
});
