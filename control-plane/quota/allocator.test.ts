import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LEASE_VALID_MS, QuotaAllocator } from './allocator.ts';

const limitPerSecond = 100;
/** A control plane that has been there for a while. */
const settled = (): QuotaAllocator => new QuotaAllocator(-LEASE_VALID_MS);
const asking = (holder: string, demandPerSecond: number, candidates = 2) => ({
  holder,
  demandPerSecond,
  leasedPerSecond: 0,
  limitPerSecond,
  candidates,
});

describe('quota leases', () => {
  test('follow demand', () => {
    const allocator = settled();
    let [a, b] = [0, 0];
    for (let round = 0; round < 5; round++) {
      a = allocator.ask(asking('a', 300), round * 500).tokensPerSecond;
      b = allocator.ask(asking('b', 100), round * 500 + 1).tokensPerSecond;
    }
    assert.ok(Math.abs(a - 75) < 1e-6 && Math.abs(b - 25) < 1e-6, `${a} ${b}`);
  });

  test('are together never more than the limit, whatever is asked and when', () => {
    const step = fc.tuple(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 1_000 }),
      fc.integer({ min: 0, max: 3_000 }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 100 }), (steps) => {
        const allocator = settled();
        const leases = new Map<string, { readonly tokens: number; readonly untilMs: number }>();
        let nowMs = 0;
        for (const [who, demand, gap] of steps) {
          nowMs += gap;
          const { tokensPerSecond } = allocator.ask(asking(`${who}`, demand, 5), nowMs);
          leases.set(`${who}`, { tokens: tokensPerSecond, untilMs: nowMs + LEASE_VALID_MS });
          let sum = 0;
          for (const { tokens, untilMs } of leases.values()) if (untilMs > nowMs) sum += tokens;
          assert.ok(sum <= limitPerSecond + 1e-6, `${sum}`);
        }
      }),
    );
  });

  test('of one that is gone are given to others', () => {
    const allocator = settled();
    allocator.ask(asking('a', 100, 1), 0);
    assert.ok(allocator.ask(asking('b', 100, 1), 1).tokensPerSecond < 1);
    assert.equal(allocator.ask(asking('b', 100, 1), LEASE_VALID_MS + 1).tokensPerSecond, 100);
  });

  test('what nobody asks for is for who comes first', () => {
    const allocator = settled();
    assert.equal(allocator.ask(asking('a', 0, 1), 0).tokensPerSecond, 100);
  });

  test('after a restart go on as they were, until all have told what they have', () => {
    const allocator = new QuotaAllocator(0);
    const a = allocator.ask({ ...asking('a', 500), leasedPerSecond: 70 }, 10);
    const b = allocator.ask(asking('b', 500), 20);
    assert.deepEqual([a.tokensPerSecond, b.tokensPerSecond], [70, 50]);
  });

  test('leave room for the sidecars of other replicas', () => {
    const allocator = settled();
    assert.equal(allocator.ask(asking('a', 500, 4), 0).tokensPerSecond, 25);
  });
});
