import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const script = join(here, '../../scripts/boundaries.ts');

test('every import rule catches the violation planted for it', () => {
  const { stdout, status } = spawnSync(process.execPath, [script, join(here, 'planted')], { encoding: 'utf8' });
  assert.equal(status, 1, stdout);
  const caught = new Set(stdout.split('\n').map((line) => line.slice(0, line.indexOf(':'))));
  const { forbidden } = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as {
    forbidden: { name: string }[];
  };
  const blind = forbidden.filter((rule) => !caught.has(rule.name)).map((rule) => rule.name);
  assert.deepEqual(blind, [], 'rules that saw nothing wrong');
});
