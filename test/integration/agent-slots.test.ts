import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SLOT_COUNT } from '@weft/local/node/names';
import { type RunningMesh, upMesh } from '@weft/local/up';
import { run, until } from '../support/local-mesh.ts';

test('a mesh keeps its slot; with another one its Services, its API and its pods have addresses that work', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-t-slots-'));
  const up = (): Promise<RunningMesh> => upMesh({ mesh: 't-slots', weftDir: directory });
  const kubectl = async (...args: string[]): Promise<string> => {
    const result = await run('kubectl', ['--kubeconfig', join(directory, 'kubeconfig'), ...args], '', {
      ...process.env,
      HOME: directory,
    });
    assert.equal(result.code, 0, result.stderr);
    return result.stdout;
  };
  const ready = (): Promise<true> =>
    until('the Deployment is available', async () =>
      (await kubectl('get', 'deployment', 'web', '-o', 'jsonpath={.status.readyReplicas}')) === '1' ? true : undefined,
    );
  const ips = (name: string): Promise<string> => kubectl('get', 'service', name, '-o', 'jsonpath={.spec.clusterIPs}');
  const file = join(directory, 't-slots', 'slot');
  // Other files' meshes begin with the lowest: nobody takes this one while the mesh is down.
  mkdirSync(join(directory, 't-slots'));
  writeFileSync(file, `${SLOT_COUNT - 4}\n`);
  try {
    const first = await up();
    try {
      await kubectl('create', 'deployment', 'web', '--image=nginx');
      await kubectl('expose', 'deployment', 'web', '--port=80');
      await ready();
    } finally {
      await first.close();
    }
    const before = await (async () => {
      const second = await up();
      try {
        assert.equal(second.names.slot, first.names.slot);
        await ready();
        return await ips('web');
      } finally {
        await second.close();
      }
    })();
    // As if another mesh had taken the slot meanwhile.
    assert.equal(readFileSync(file, 'utf8').trim(), String(first.names.slot));
    writeFileSync(file, `${(first.names.slot + SLOT_COUNT / 2) % SLOT_COUNT}\n`);
    const third = await up();
    try {
      assert.notEqual(third.names.slot, first.names.slot);
      const now: readonly string[] = JSON.parse(await ips('web'));
      assert.notDeepEqual(now, JSON.parse(before));
      assert.ok(now[0]?.startsWith(`10.${200 + third.names.slot}.`), String(now));
      assert.equal(JSON.parse(await ips('kubernetes'))[0], `10.${200 + third.names.slot}.128.1`);
      await until('the Service answers', async () => {
        const answer = await run('curl', [
          '-s',
          '-o',
          '/dev/null',
          '-w',
          '%{http_code}',
          '-m',
          '2',
          `http://${now[0]}/`,
        ]);
        return answer.stdout === '200' ? true : undefined;
      });
      const api = await run('curl', ['-sk', '-m', '5', `https://10.${200 + third.names.slot}.128.1/healthz`]);
      assert.equal(api.stdout, 'ok');
    } finally {
      await third.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
