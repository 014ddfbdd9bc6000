import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileCaStore } from './ca-files.ts';

test('a command that is taken away while the folder is read does not make the authority disappear', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-ca-files-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const store = new FileCaStore(dir);
  assert.deepEqual(await store.load(), { ok: true, value: undefined });
  assert.deepEqual(await store.save(undefined, { 'ca.key': 'k', 'state.json': '{}' }), { ok: true, value: 'saved' });
  let over = false;
  const comesAndGoes = (async () => {
    while (!over) {
      await writeFile(join(dir, 'command.json'), '{}');
      await rm(join(dir, 'command.json'));
    }
  })();
  for (let i = 0; i < 300; i++) {
    const loaded = await store.load();
    assert.ok(loaded.ok && loaded.value !== undefined, loaded.ok ? 'nothing was found' : loaded.error);
  }
  over = true;
  await comesAndGoes;
});
