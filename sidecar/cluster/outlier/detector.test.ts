import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import { defaultOutlierDetection, type OutlierDetection } from '@weft/policies/model/outlier';
import fc from 'fast-check';
import { OutlierDetector } from './detector.ts';
import { CONNECT_FAILED, type HostMonitor, RESET, TIMED_OUT } from './monitor.ts';

class World {
  nowMs = 0;
  changes = 0;
  readonly detector: OutlierDetector;
  readonly hosts: readonly HostMonitor[];

  constructor(hosts: number, settings: Partial<OutlierDetection> = {}, seed = 1) {
    this.detector = new OutlierDetector(
      { ...defaultOutlierDetection, ejectionPercentMax: 100, ...settings },
      new SeededPrng(seed),
      () => this.nowMs,
      () => this.changes++,
    );
    this.hosts = Array.from({ length: hosts }, () => this.detector.add());
  }

  host(index: number): HostMonitor {
    const host = this.hosts[index];
    assert.ok(host);
    return host;
  }

  report(index: number, code: number, times: number): void {
    for (let i = 0; i < times; i++) this.host(index).report(code);
  }

  /** Intervals go by. */
  pass(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs += this.detector.settings.intervalMs;
      this.detector.tick();
    }
  }

  get ejected(): number[] {
    return this.hosts.flatMap((host, i) => (host.ejected ? [i] : []));
  }
}

describe('failures in a row', () => {
  test('five server errors eject, four and a success do not', () => {
    const world = new World(3);
    world.report(0, 500, 4);
    world.report(0, 404, 1);
    world.report(0, 500, 4);
    assert.deepEqual(world.ejected, []);
    world.report(0, 503, 1);
    assert.deepEqual(world.ejected, [0]);
    assert.equal(world.changes, 1);
    assert.equal(world.detector.counters.byCause.get('consecutive_5xx'), 1);
  });

  test('connection failures, resets and timeouts count as the status that the client gets', () => {
    for (const code of [CONNECT_FAILED, RESET, TIMED_OUT]) {
      const world = new World(2);
      world.report(1, code, 5);
      assert.deepEqual(world.ejected, [1]);
    }
  });

  test('split: answers say nothing of the connection, and the other way round', () => {
    const world = new World(3, { splitLocalErrors: true });
    for (let i = 0; i < 4; i++) {
      world.report(0, CONNECT_FAILED, 4);
      world.report(0, 200, 1);
    }
    assert.deepEqual(world.ejected, []);
    world.report(0, CONNECT_FAILED, 5);
    assert.equal(world.detector.counters.byCause.get('consecutive_local_origin_failure'), 1);
    world.report(1, 500, 4);
    world.report(1, RESET, 1);
    assert.deepEqual(world.ejected, [0]);
    world.report(1, 500, 1);
    assert.deepEqual(world.ejected, [0, 1]);
  });

  test('gateway errors alone, where they are enforced', () => {
    const { consecutive } = defaultOutlierDetection;
    const world = new World(2, {
      consecutive: {
        ...consecutive,
        serverErrors: { errorsMax: 100, enforcedPercent: 100 },
        gatewayErrors: { errorsMax: 3, enforcedPercent: 100 },
      },
    });
    world.report(0, 502, 2);
    world.report(0, 500, 1);
    world.report(0, 503, 2);
    assert.deepEqual(world.ejected, []);
    world.report(0, 504, 1);
    assert.deepEqual(world.ejected, [0]);
  });

  test('what is not enforced is counted', () => {
    const { consecutive } = defaultOutlierDetection;
    const world = new World(2, {
      consecutive: { ...consecutive, serverErrors: { errorsMax: 1, enforcedPercent: 30 } },
    });
    let ejections = 0;
    for (let i = 0; i < 1_000; i++) {
      world.report(0, 500, 1);
      if (world.host(0).ejected) {
        ejections++;
        world.nowMs += 1_000_000;
        world.detector.tick();
      }
    }
    assert.ok(ejections > 230 && ejections < 370, String(ejections));
    assert.equal(world.detector.counters.notEnforced, 1_000 - ejections);
  });
});

describe('how many and how long', () => {
  test('no more than the percentage, and one if always', () => {
    const few = new World(10, { ejectionPercentMax: 20 });
    for (let i = 0; i < 10; i++) few.report(i, 500, 5);
    assert.deepEqual(few.ejected, [0, 1]);
    assert.equal(few.detector.counters.overflow, 8);
    const none = new World(2, { ejectionPercentMax: 10 });
    none.report(0, 500, 5);
    assert.deepEqual(none.ejected, []);
    const one = new World(2, { ejectionPercentMax: 10, alwaysEjectOne: true });
    one.report(0, 500, 5);
    one.report(1, 500, 5);
    assert.deepEqual(one.ejected, [0]);
  });

  test('longer each time, and shorter again after good behaviour', () => {
    const world = new World(4);
    const awayMs = (): number => {
      world.report(0, 500, 5);
      assert.ok(world.host(0).ejected);
      const from = world.nowMs;
      while (world.host(0).ejected) world.pass(10_000);
      return world.nowMs - from;
    };
    assert.deepEqual([awayMs(), awayMs(), awayMs()], [30_000, 60_000, 90_000]);
    world.pass(20_000);
    assert.equal(awayMs(), 60_000);
  });

  test('never longer than the most', () => {
    const world = new World(4, { ejectionTimeMsMax: 50_000 });
    for (let i = 0; i < 10; i++) {
      world.report(0, 500, 5);
      world.pass(50_000);
      assert.equal(world.host(0).ejected, false);
    }
  });

  test('an endpoint that is gone frees its place', () => {
    const world = new World(2, { ejectionPercentMax: 50 });
    world.report(0, 500, 5);
    world.detector.remove(world.host(0));
    assert.equal(world.detector.ejectionsActive, 0);
    world.report(0, 500, 50);
    assert.equal(world.detector.ejectionsActive, 0);
  });
});

describe('compared with the others', () => {
  const patient = {
    ...defaultOutlierDetection.consecutive,
    serverErrors: { errorsMax: 1_000, enforcedPercent: 100 },
  };

  test('success rate: the one that falls out of the row', () => {
    const world = new World(6, { consecutive: patient });
    for (let i = 0; i < 6; i++) {
      world.report(i, 200, i === 3 ? 60 : 98);
      world.report(i, 500, i === 3 ? 40 : 2);
    }
    world.pass(10_000);
    assert.deepEqual(world.ejected, [3]);
    assert.equal(world.host(0).successRate, 98);
    assert.equal(world.detector.counters.byCause.get('success_rate'), 1);
  });

  test('too few endpoints or requests decide nothing', () => {
    const few = new World(4, { consecutive: patient });
    for (let i = 0; i < 4; i++) few.report(i, i === 0 ? 500 : 200, 100);
    few.pass(10_000);
    assert.deepEqual(few.ejected, []);
    const quiet = new World(6, { consecutive: patient });
    for (let i = 0; i < 6; i++) quiet.report(i, i === 0 ? 500 : 200, 99);
    quiet.pass(10_000);
    assert.deepEqual(quiet.ejected, []);
  });

  test('failure percentage', () => {
    const { failurePercentage, successRate } = defaultOutlierDetection;
    const world = new World(5, {
      consecutive: patient,
      successRate: { ...successRate, enforcedPercent: 0 },
      failurePercentage: { ...failurePercentage, enforcedPercent: 100, thresholdPercent: 30 },
    });
    for (let i = 0; i < 5; i++) {
      world.report(i, 200, i < 2 ? 35 : 36);
      world.report(i, 500, i < 2 ? 15 : 14);
    }
    world.pass(10_000);
    assert.deepEqual(world.ejected, [0, 1]);
  });
});

test('whatever happens: the bound on ejections holds, counters agree, and all come back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 100 }),
      fc.boolean(),
      fc.array(
        fc.tuple(fc.nat(), fc.constantFrom(200, 404, 500, 502, 503, 504, CONNECT_FAILED, RESET, TIMED_OUT), fc.nat(6)),
        { maxLength: 200 },
      ),
      (hosts, ejectionPercentMax, splitLocalErrors, steps) => {
        const world = new World(hosts, { ejectionPercentMax, splitLocalErrors }, steps.length);
        for (const [which, code, times] of steps) {
          if (times === 0) world.pass(10_000);
          else world.report(which % hosts, code, times);
          assert.equal(world.detector.ejectionsActive, world.ejected.length);
          assert.ok(world.ejected.length * 100 <= hosts * ejectionPercentMax);
        }
        world.pass(400_000);
        assert.deepEqual(world.ejected, []);
      },
    ),
    { numRuns: 200 },
  );
});
