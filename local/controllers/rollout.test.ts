import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nextSizes, rolloutBounds, type SetView } from './rollout.ts';

interface Sim {
  desired: number;
  available: number;
}

const view = (name: string, sim: Sim): SetView => ({
  name,
  desired: sim.desired,
  replicas: sim.desired,
  ready: sim.available,
  available: sim.available,
});

describe('rollout', () => {
  test('percentages: surge up, unavailable down, never both 0', () => {
    assert.deepEqual(rolloutBounds(undefined, 4), { maxSurge: 1, maxUnavailable: 1 });
    assert.deepEqual(rolloutBounds({ maxSurge: '10%', maxUnavailable: '10%' }, 5), { maxSurge: 1, maxUnavailable: 0 });
    assert.deepEqual(rolloutBounds({ maxSurge: 0, maxUnavailable: 0 }, 3), { maxSurge: 0, maxUnavailable: 1 });
    assert.deepEqual(rolloutBounds({ maxSurge: 1, maxUnavailable: 0 }, 1), { maxSurge: 1, maxUnavailable: 0 });
  });

  test('Recreate starts the new set only when every old pod is gone', () => {
    const input = {
      replicas: 2,
      bounds: { maxSurge: 0, maxUnavailable: 1 },
      recreate: true,
      current: view('new', { desired: 0, available: 0 }),
      old: [view('old', { desired: 2, available: 2 })],
    };
    assert.deepEqual(
      [...nextSizes({ ...input, oldPods: 2 })],
      [
        ['new', 0],
        ['old', 0],
      ],
    );
    assert.equal(nextSizes({ ...input, oldPods: 0 }).get('new'), 2);
  });

  test('from any start it ends at the goal, within surge and availability all the way', () => {
    const parameters = fc.record({
      replicas: fc.integer({ min: 0, max: 20 }),
      surge: fc.integer({ min: 0, max: 5 }),
      unavailable: fc.integer({ min: 0, max: 5 }),
      seed: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    });
    fc.assert(
      fc.property(parameters, ({ replicas, surge, unavailable, seed }) => {
        const bounds = rolloutBounds({ maxSurge: surge, maxUnavailable: unavailable }, replicas);
        const old: Sim = { desired: replicas, available: replicas };
        const current: Sim = { desired: 0, available: 0 };
        for (let step = 0; step < 400; step++) {
          const sizes = nextSizes({
            replicas,
            bounds,
            recreate: false,
            current: view('new', current),
            old: [view('old', old)],
            oldPods: old.desired,
          });
          current.desired = sizes.get('new') ?? 0;
          old.desired = sizes.get('old') ?? 0;
          current.available = Math.min(current.available, current.desired);
          old.available = Math.min(old.available, old.desired);
          assert.ok(current.desired + old.desired <= replicas + bounds.maxSurge, 'surge');
          assert.ok(current.available + old.available >= replicas - bounds.maxUnavailable, 'availability');
          // Some of the waiting pods become available.
          const waiting = current.desired - current.available;
          if (waiting > 0) current.available += Math.max(1, Math.floor(waiting * (seed.next().value ?? 0)));
          if (current.available === replicas && old.desired === 0) return;
        }
        assert.fail('no end');
      }),
    );
  });
});
