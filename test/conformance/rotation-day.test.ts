/** Leaves, root and an outage of the control plane under constant load, with a clock that runs twelve times as fast. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';

test('no request fails', { timeout: 300_000 }, async (t) => {
  const node = process.execPath;
  const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
  const fixture = join(import.meta.dirname, 'rotation-day.fixture.ts');
  const child = spawn('faketime', ['-f', '+0 x12', node, ...flags, fixture], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => void child.kill('SIGKILL'));
  let said = '';
  let complaints = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, `${said}\n${complaints}`);
  const outcome = JSON.parse(said.trim().split('\n').at(-1) ?? '{}');
  assert.deepEqual(outcome.failures, [], JSON.stringify(outcome, undefined, 2));
  assert.equal(outcome.failed, 0);
  assert.ok(outcome.renewed >= 2, `leaves were renewed ${outcome.renewed} times`);
  assert.ok(outcome.answered > 2_000, `${outcome.answered} requests were answered`);
  t.diagnostic(`${outcome.answered} requests, none failed`);
});
