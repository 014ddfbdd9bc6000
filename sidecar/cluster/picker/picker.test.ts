import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { type Balancer, leastRequest, peakEwma, random, roundRobin } from '@weft/policies/model/balancer';
import fc from 'fast-check';
import { Hash64, xxHash64 } from './hash/xxhash64.ts';
import { createPicker, type Picker } from './picker.ts';
import { type FakeHost, fakeHosts } from './testing.ts';

const ringHash: Balancer = { kind: 'ring-hash', sizeMin: 1_024, sizeMax: 8_388_608, hashesSource: false };
const maglev: Balancer = { kind: 'maglev', tableSize: 65_537, hashesSource: false };
const loadReported: Balancer = {
  kind: 'load-reported',
  blackoutMs: 0,
  expirationMs: 0,
  updateMs: 1_000,
  errorPenalty: 1,
};
const all: readonly Balancer[] = [peakEwma, leastRequest, roundRobin, random, ringHash, maglev, loadReported];

const weightsOf = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 });
const create = (balancer: Balancer, seed: number, clock = new ManualClock()): Picker<FakeHost> =>
  createPicker<FakeHost>(balancer, { prng: new SeededPrng(seed), clock });

for (const balancer of all) {
  describe(balancer.kind, () => {
    test('idle endpoints are picked in proportion to their weights, weight 0 never', () => {
      fc.assert(
        fc.property(weightsOf, fc.integer(), (weights, seed) => {
          const hosts = fakeHosts(weights, balancer);
          // To peak EWMA they are all alike.
          for (const { latency } of hosts) latency?.observe(0, 1, false);
          const picker = create(balancer, seed);
          picker.update(hosts);
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          const rounds = 4_000;
          for (let i = 0; i < rounds; i++) {
            const picked = picker.pick(undefined, 0);
            if (picked === undefined) assert.equal(total, 0);
            else picked.picks++;
          }
          for (const { weight, picks } of hosts) {
            if (weight === 0) assert.equal(picks, 0);
            else {
              const off = Math.abs(picks / rounds - weight / total);
              assert.ok(
                off < (balancer.kind === 'ring-hash' ? 0.15 : 0.06),
                `${picks} picks for ${weight} of ${total}`,
              );
            }
          }
        }),
        { numRuns: balancer.kind === 'maglev' ? 15 : 30 },
      );
    });

    test('only what was given last is picked', () => {
      const picker = create(balancer, 3);
      const [first, second] = [fakeHosts([1, 2]), fakeHosts([3, 4, 5])];
      picker.update(first);
      picker.pick(undefined, 0);
      picker.update(second);
      for (let i = 0; i < 100; i++) {
        const picked = picker.pick(undefined, i % 3);
        assert.ok(picked !== undefined && second.includes(picked));
      }
      picker.update([]);
      assert.equal(picker.pick(undefined, 0), undefined);
    });

    test('the same endpoints that are new objects, or the same ones with other weights', () => {
      const picker = create(balancer, 5);
      picker.update(fakeHosts([1, 1]));
      const again = fakeHosts([1, 1]);
      picker.update(again);
      const picked = picker.pick(undefined, 0);
      assert.ok(picked !== undefined && again.includes(picked));
      const heavy = fakeHosts([0, 1]);
      picker.update(heavy);
      for (let i = 0; i < 20; i++) assert.equal(picker.pick(undefined, 0), heavy[1]);
    });
  });
}

for (const balancer of [leastRequest, { ...leastRequest, choices: 4 }]) {
  test(`least request of ${balancer.choices} keeps away from an endpoint that is slow`, () => {
    const hosts = fakeHosts([1, 1, 1, 1]);
    const picker = create(balancer, 5);
    picker.update(hosts);
    const [slow] = hosts;
    assert.ok(slow);
    for (let i = 0; i < 1_000; i++) {
      const picked = picker.pick(undefined, 0);
      assert.ok(picked);
      picked.picks++;
      // The slow one never finishes, the others at once.
      if (picked === slow) slow.active++;
    }
    assert.ok(slow.picks < 100, `${slow.picks}`);
  });
}

const hashOf = (key: string): Hash64 => {
  const hash = new Hash64();
  xxHash64(key, hash);
  return hash;
};

for (const balancer of [ringHash, maglev]) {
  describe(`${balancer.kind}, consistently`, () => {
    const keys = Array.from({ length: 5_000 }, (_, i) => hashOf(`key ${i}`));

    test('a key goes to the same endpoint, whatever the order of endpoints and whoever asks', () => {
      const hosts = fakeHosts(Array.from({ length: 10 }, () => 1));
      const [one, two] = [create(balancer, 1), create(balancer, 2)];
      one.update(hosts);
      two.update(hosts.toReversed());
      for (const key of keys) assert.equal(one.pick(key, 0), two.pick(key, 0));
    });

    test('when an endpoint leaves, its keys move and hardly any other', () => {
      const hosts = fakeHosts(Array.from({ length: 20 }, () => 1));
      const [gone, ...others] = hosts;
      const [before, after] = [create(balancer, 1), create(balancer, 1)];
      before.update(hosts);
      after.update(others);
      let moved = 0;
      let disturbed = 0;
      for (const key of keys) {
        const was = before.pick(key, 0);
        if (was === after.pick(key, 0)) continue;
        moved++;
        if (was !== gone) disturbed++;
      }
      assert.ok(moved < (2 * keys.length) / hosts.length, `${moved} keys moved`);
      // Maglev's price for its even spread (section 5.3 of its paper); the ring has more places for each that stays.
      assert.ok(disturbed < keys.length / hosts.length, `${disturbed} keys were disturbed`);
    });

    test('another attempt at the same key is another endpoint, sooner or later', () => {
      const hosts = fakeHosts([1, 1, 1]);
      const picker = create(balancer, 1);
      picker.update(hosts);
      for (const key of keys.slice(0, 200)) {
        const attempts = new Set(Array.from({ length: 24 }, (_, attempt) => picker.pick(key, attempt)));
        assert.ok(attempts.size > 1);
      }
    });
  });
}
