import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';

test('a delay that is longer than timers take does not end at once', async (t) => {
  const over: string[] = [];
  const cancels = [
    systemClock.after(4_294_967_295, () => over.push('after')),
    systemClock.afterUnref(Number.MAX_SAFE_INTEGER, () => over.push('afterUnref')),
  ];
  t.after(() => {
    for (const cancel of cancels) cancel();
  });
  await new Promise<void>((resolve) => {
    systemClock.after(20, resolve);
  });
  assert.deepEqual(over, []);
});
