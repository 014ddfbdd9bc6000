/** What fuzzing found once, against the parsers of today: each input ends, and breaks nothing that must always hold. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCorpus } from '../fuzz/guided/corpus.ts';
import { targets } from '../fuzz/guided/targets.ts';

describe('inputs that fuzzing found', () => {
  for (const target of targets) {
    test(target.name, { timeout: 30_000 }, async () => {
      const inputs = [...target.seeds, ...readCorpus(target.name)];
      assert.ok(inputs.length > target.seeds.length, 'no corpus');
      for (const input of inputs) {
        try {
          await target.run(input);
        } catch (error) {
          throw new Error(`input ${input.toString('hex')}`, { cause: error });
        }
      }
    });
  }
});
