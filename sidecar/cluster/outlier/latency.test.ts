import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import { defaultOutlierDetection, type LatencyOutliers } from '@weft/policies/model/outlier';
import fc from 'fast-check';
import { OutlierDetector } from './detector.ts';
import { LatencyWindow, latencyOutliers } from './latency.ts';

const settings: LatencyOutliers = {
  factor: 3,
  percentile: 50,
  differenceMsMin: 10,
  hostsMin: 3,
  requestsMin: 5,
  enforcedPercent: 100,
};

describe('a window of times', () => {
  test('a percentile is within 5 % of the exact one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 99 }),
        (times, percent) => {
          const window = new LatencyWindow();
          for (const ms of times) window.add(ms);
          const exact = times.toSorted((a, b) => a - b)[Math.ceil((percent / 100) * times.length) - 1] ?? Number.NaN;
          const found = window.percentile(percent);
          assert.ok(Math.abs(found / exact - 1) < 0.05, `${found} for ${exact}`);
        },
      ),
    );
  });

  test('takes what no clock should give, and forgets', () => {
    const window = new LatencyWindow();
    for (const ms of [0, -1, 1e9]) window.add(ms);
    assert.equal(window.total, 3);
    window.clear();
    assert.ok(Number.isNaN(window.percentile(50)));
  });
});

describe('outliers', () => {
  const found = (times: readonly number[], more: Partial<LatencyOutliers> = {}) =>
    latencyOutliers(
      times.map((ms, of) => ({ of, ms })),
      { ...settings, ...more },
    );

  test('one, or two, that are far slower than the others', () => {
    assert.deepEqual(found([10, 12, 100, 11]), [2]);
    assert.deepEqual(found([10, 12, 100, 11, 300]), [4, 2]);
    assert.deepEqual(found([10, 12, 29, 11]), []);
  });

  test('none where they differ by little, or are few, or most are slow', () => {
    assert.deepEqual(found([1, 1, 9]), []);
    assert.deepEqual(found([10, 100]), []);
    assert.deepEqual(found([10, 100], { hostsMin: 2 }), [1]);
    assert.deepEqual(found([10, 100, 100]), []);
  });

  test('never the fastest, never all of them', () => {
    const times = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 3, maxLength: 20 });
    fc.assert(
      fc.property(times, (all) => {
        const slow = found(all);
        assert.ok(slow.length < all.length);
        const left = all.filter((_, i) => !slow.includes(i));
        for (const i of slow) assert.ok((all[i] ?? 0) > Math.min(...left) * settings.factor);
      }),
    );
  });
});

describe('ejection by latency', () => {
  function world(latency: Partial<LatencyOutliers> = {}) {
    const now = { ms: 0 };
    const detector = new OutlierDetector(
      { ...defaultOutlierDetection, ejectionPercentMax: 50, latency: { ...settings, ...latency } },
      new SeededPrng(1),
      () => now.ms,
      () => undefined,
    );
    const hosts = [1, 2, 3, 4].map(() => detector.add());
    const interval = (slowMs: number) => {
      for (const [i, host] of hosts.entries()) {
        for (let k = 0; k < 10; k++) if (!host.ejected) host.report(200, i === 2 ? slowMs : 20 + k);
      }
      now.ms += detector.settings.intervalMs;
      detector.tick();
      return hosts.map(({ ejected }) => ejected);
    };
    return { detector, interval };
  }

  test('the slow endpoint is left out for its time, comes back, and is judged anew', () => {
    const { detector, interval } = world();
    assert.deepEqual(interval(25), [false, false, false, false]);
    assert.deepEqual(interval(500), [false, false, true, false]);
    assert.equal(detector.counters.byCause.get('latency'), 1);
    for (let i = 0; i < 2; i++) assert.equal(interval(500)[2], true);
    // 30 s of base ejection time are over.
    assert.equal(interval(25)[2], false);
    assert.equal(interval(25)[2], false);
    assert.equal(interval(500)[2], true);
  });

  test('what is not enforced is counted alone', () => {
    const { detector, interval } = world({ enforcedPercent: 0 });
    assert.equal(interval(500)[2], false);
    assert.equal(detector.counters.notEnforced, 1);
    assert.equal(detector.counters.detectedByCause.get('latency'), 1);
    assert.equal(detector.counters.byCause.size, 0);
  });
});
