import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { catchesSigterm } from './signals.ts';

test('a handler for SIGTERM is seen when it is there, and a process that is gone is told from one without', async () => {
  const child = spawn('sh', ['-c', 'echo bare; read x; trap "exit 0" TERM; echo handled; read y']);
  try {
    const { pid } = child;
    assert.ok(pid !== undefined);
    await once(child.stdout, 'data');
    assert.equal(catchesSigterm(pid), false);
    child.stdin.write('go\n');
    await once(child.stdout, 'data');
    assert.equal(catchesSigterm(pid), true);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    assert.equal(catchesSigterm(pid), undefined);
  } finally {
    child.kill('SIGKILL');
  }
});
