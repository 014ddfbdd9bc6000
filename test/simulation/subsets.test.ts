import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SubsetChooser } from '../../sidecar/cluster/picker/subset.ts';
import { loadOf, moves, servers, subsetsOf } from './subsets.testing.ts';

const SIZE = 20;

for (const count of [1_000, 50_000]) {
  describe(`${count} clients over ${count} servers, ${SIZE} each`, () => {
    const all = servers(count);
    const subsets = subsetsOf(count, all, SIZE);

    test('are what each client chooses for itself', () => {
      for (let client = 7; client < count; client += Math.ceil(count / 20)) {
        assert.deepEqual(new SubsetChooser(SIZE, client).choose(all, count), subsets[client]);
      }
    });

    test('the fullest server has at most a quarter more than the mean, and none is left out', () => {
      const load = loadOf(subsets, all);
      assert.ok(load.max <= 1.25 * load.mean, `${load.max} of ${load.mean}`);
      assert.equal(load.histogram.get(0), undefined);
      const sizes = subsets.map(({ length }) => length);
      assert.ok(Math.min(...sizes.slice(0, 1_000)) >= SIZE / 2 && Math.max(...sizes.slice(0, 1_000)) <= 2.5 * SIZE);
    });

    test('when a server leaves, no more than twice its share of connections moves', () => {
      const left = all.filter((_, i) => i !== 123);
      const { ended, begun } = moves(subsets, subsetsOf(count, left, SIZE));
      const { connections } = loadOf(subsets, all);
      assert.ok(
        ended > 0 && Math.max(ended, begun) <= (2 * connections) / count,
        `${ended} and ${begun} of ${connections}`,
      );
    });
  });
}
