import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import fc from 'fast-check';
import { type Candidate, createPicker } from './picker.ts';

interface Counted extends Candidate {
  readonly weight: number;
  active: number;
  picks: number;
}

const candidates = (weights: readonly number[]): Counted[] =>
  weights.map((weight) => ({ weight, active: 0, picks: 0 }));
const weightsOf = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 });

for (const balancer of ['least-request', 'round-robin', 'random'] as const) {
  describe(balancer, () => {
    test('idle endpoints are picked in proportion to their weights, weight 0 never', () => {
      fc.assert(
        fc.property(weightsOf, fc.integer(), (weights, seed) => {
          const all = candidates(weights);
          const picker = createPicker<Counted>(balancer, new SeededPrng(seed));
          picker.update(all);
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          const rounds = 4_000;
          for (let i = 0; i < rounds; i++) {
            const picked = picker.pick();
            if (picked === undefined) assert.equal(total, 0);
            else picked.picks++;
          }
          for (const { weight, picks } of all) {
            if (weight === 0) assert.equal(picks, 0);
            else
              assert.ok(Math.abs(picks / rounds - weight / total) < 0.06, `${picks} picks for ${weight} of ${total}`);
          }
        }),
        { numRuns: 30 },
      );
    });

    test('only what was given last is picked', () => {
      const picker = createPicker<Counted>(balancer, new SeededPrng(3));
      const [first, second] = [candidates([1, 2]), candidates([3, 4, 5])];
      picker.update(first);
      picker.pick();
      picker.update(second);
      for (let i = 0; i < 100; i++) {
        const picked = picker.pick();
        assert.ok(picked !== undefined && second.includes(picked));
      }
      picker.update([]);
      assert.equal(picker.pick(), undefined);
    });
  });
}

test('least request keeps away from an endpoint that is slow', () => {
  const all = candidates([1, 1, 1, 1]);
  const picker = createPicker<Counted>('least-request', new SeededPrng(5));
  picker.update(all);
  const [slow] = all;
  assert.ok(slow);
  for (let i = 0; i < 1_000; i++) {
    const picked = picker.pick();
    assert.ok(picked);
    picked.picks++;
    // The slow one never finishes, the others at once.
    if (picked === slow) slow.active++;
  }
  assert.ok(slow.picks < 100, `${slow.picks}`);
});
