import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKubeClient } from '@weft/local/client/client';
import { parseKubeconfig } from '@weft/local/client/kubeconfig';
import type { Pod } from '@weft/local/client/objects';
import { paths } from '@weft/local/client/paths';
import { meshNamespaces } from '@weft/local/node/node';
import { processesInNamespaces } from '@weft/local/node/processes';
import { readMeshState, recordedMeshes } from '@weft/local/node/state';
import { downMesh } from '@weft/local/up';
import { isReady, startTestMesh, until } from '../support/local-mesh.ts';

const sleeper = { name: 'c', image: 'busybox', command: ['sleep', '3600'] };
const pod = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { terminationGracePeriodSeconds: 0, containers: [sleeper], volumes: [{ name: 'v', emptyDir: {} }] },
});

function leftOf(mesh: string): string[] {
  return [
    ...meshNamespaces(mesh),
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`/run/weft/${mesh}/`)),
    ...(existsSync(`/run/weft/${mesh}`) ? [`/run/weft/${mesh}`] : []),
  ];
}

test('two meshes side by side, each with its own addresses; closing leaves nothing', async () => {
  // At once, so that they compete for a slot.
  const started = await Promise.allSettled(['t-one', 't-two'].map(startTestMesh));
  const meshes = started.filter((item) => item.status === 'fulfilled').map((item) => item.value);
  const [one, two] = meshes;
  try {
    assert.ok(one !== undefined && two !== undefined);
    assert.notEqual(one.mesh.names.slot, two.mesh.names.slot);
    for (const mesh of [one, two]) {
      await mesh.apply(pod('same'));
      const ready = await mesh.podReady('same');
      const prefix = `10.${200 + mesh.mesh.names.slot}.`;
      assert.ok(ready.status?.podIP?.startsWith(prefix), ready.status?.podIP ?? 'no address');
    }
  } finally {
    await Promise.all(meshes.map((mesh) => mesh.close()));
  }
  for (const mesh of ['t-one', 't-two']) assert.deepEqual(leftOf(mesh), []);
  // Another file's mesh may have taken a slot by now.
  const others = recordedMeshes();
  const links = networkInterfaces();
  const taken = new Set([...others, ...recordedMeshes()].map(({ slot }) => slot));
  for (const slot of meshes.map((mesh) => mesh.mesh.names.slot))
    assert.ok(taken.has(slot) || links[`weft${slot}`] === undefined, `weft${slot} is left`);
});

test('kill -9 of the starter: its agent stops the pods, and `down` clears the rest; data survives', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-t-kill-'));
  const script = join(directory, 'up.ts');
  const up = new URL('../../local/up.ts', import.meta.url).href;
  writeFileSync(
    script,
    `import { upMesh } from ${JSON.stringify(up)};\nconst mesh = await upMesh({ mesh: 't-kill', weftDir: ${JSON.stringify(directory)} });\nconsole.log('up');\n`,
  );
  const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
  const start = async (): Promise<{ kill(signal: NodeJS.Signals): boolean }> => {
    const child = spawn(process.execPath, [...flags, script], { stdio: ['ignore', 'pipe', 'inherit'] } as const);
    await new Promise((resolve, reject) => {
      child.stdout?.once('data', resolve);
      child.once('exit', (code) => reject(new Error(`up ended with ${code}`)));
    });
    return child;
  };
  const ready = async (): Promise<Pod | undefined> => {
    const connection = parseKubeconfig(readFileSync(join(directory, 'kubeconfig'), 'utf8'));
    assert.ok(connection.ok);
    const client = createKubeClient(connection.connection);
    try {
      await client.create(paths.core('pods', 'default'), pod('kept'));
      return await until('pod runs', async () => {
        const got = await client.get<Pod>(paths.core('pods', 'default', 'kept'));
        return got.ok &&
          isReady(got.value) &&
          got.value.status?.podIP !== undefined &&
          readMeshState('t-kill') !== undefined
          ? got.value
          : undefined;
      });
    } finally {
      client.close();
    }
  };
  try {
    const first = await start();
    const before = await ready();
    assert.ok(meshNamespaces('t-kill').length >= 2);
    first.kill('SIGKILL');
    await until('no process is left', () =>
      processesInNamespaces(meshNamespaces('t-kill').map((name) => `/run/netns/${name}`)).length === 0
        ? true
        : undefined,
    );
    // Again, over what was left: the pod is the same object, its container a new run.
    const second = await start();
    const after = await until('the pod runs again', async () => {
      const got = await ready();
      return (got?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 ? got : undefined;
    });
    assert.equal(after.metadata.uid, before?.metadata.uid);
    second.kill('SIGKILL');
    const cleared = await downMesh('t-kill');
    assert.deepEqual(cleared.problems, []);
    assert.deepEqual(leftOf('t-kill'), []);
    assert.ok(readdirSync(join(directory, 't-kill')).includes('api.db'));
  } finally {
    await downMesh('t-kill');
    rmSync(directory, { recursive: true, force: true });
  }
});
