import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { warmUp } from './warm-up.ts';

test('requests go through both paths, and nothing of it stays open', async () => {
  const before = process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')).length;
  const requests = await warmUp({ clock: systemClock, prng: systemPrng }, { budgetMs: 20_000 });
  assert.equal(requests, 100);
  // Sockets report their close in later turns of the event loop.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  const after = process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')).length;
  // Fewer, where the tests of another file have just closed theirs.
  assert.ok(after <= before, `${after} sockets are open, ${before} were before`);
});

test('it ends as soon as it is not wanted any more', async () => {
  let asked = 0;
  const requests = await warmUp(
    { clock: systemClock, prng: systemPrng },
    { budgetMs: 5_000, isWanted: () => ++asked < 10 },
  );
  assert.ok(requests < 100, String(requests));
});
