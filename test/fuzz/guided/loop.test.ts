import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from './loop.ts';
import { planted } from './planted.fixture.ts';
import type { Target } from './target.ts';

const target: Target = {
  name: 'planted',
  scripts: /planted\.fixture/,
  seeds: [Buffer.from('....')],
  words: [],
  bytesMax: 8,
  run: planted,
};

describe('the loop that is guided by coverage', () => {
  test('finds a fault step by step, and knows the input', { timeout: 60_000 }, async () => {
    let last: Buffer = Buffer.alloc(0);
    const exploring = explore(target, [], 50_000, 1, (input) => {
      last = input;
    });
    await assert.rejects(exploring, /the planted fault/);
    assert.equal(last.subarray(0, 4).toString(), 'weft');
  });

  test('begins where the corpus ended', async () => {
    let runs = 0;
    const exploring = explore(target, [Buffer.from('wef.'), Buffer.from('weft')], 0, 1, () => {
      runs++;
    });
    await assert.rejects(exploring, /the planted fault/);
    assert.equal(runs, 3);
  });
});
