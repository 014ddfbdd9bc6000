import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { warmUp, warmUpBudgetMs } from './warm-up.ts';

test('requests go through both paths, and nothing of it stays open', async () => {
  const before = process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')).length;
  const { requests } = await warmUp({ clock: systemClock, prng: systemPrng }, 5_000);
  assert.equal(requests, 600);
  // Sockets report their close in later turns of the event loop.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  const after = process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')).length;
  assert.equal(after, before);
});

test('a start that took long leaves less time for it, but some', () => {
  assert.equal(warmUpBudgetMs(50), 120);
  assert.equal(warmUpBudgetMs(150), 80);
  assert.equal(warmUpBudgetMs(1_000), 20);
});
