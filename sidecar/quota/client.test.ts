import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { QuotaClient, type QuotaGrant } from './client.ts';
import type { QuotaLease, QuotaUse } from './messages.ts';

const limit = 'shop/limits/all';

function rig() {
  const clock = new ManualClock();
  const asked: (readonly QuotaUse[])[] = [];
  const grants: QuotaGrant[] = [];
  const events: string[] = [];
  const state = { answer: undefined as QuotaLease | undefined, demand: 0, gate: Promise.resolve() };
  const client = new QuotaClient({
    clock,
    prng: new SeededPrng(1),
    count: (event) => events.push(event),
    lease: async (uses) => {
      asked.push(uses);
      await state.gate;
      if (state.answer === undefined) throw new Error('nobody there');
      return [state.answer];
    },
    threads: {
      quotas: async () => {
        const { demand } = state;
        state.demand = 0;
        return { [limit]: demand };
      },
      grant: (all) => grants.push(...all),
    },
  });
  /** Time passes, and promises with it. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left >= 0; left -= 100) {
      clock.advance(Math.min(100, left));
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
  };
  return { client, asked, grants, events, state, pass };
}

describe('leases of global limits', () => {
  test('are asked for at once, and again by what was asked for meanwhile', async () => {
    const { client, asked, grants, state, pass } = rig();
    state.answer = { limit, tokensPerSecond: 40, validMs: 10_000, holders: 2 };
    client.follow([limit]);
    await pass(0);
    assert.deepEqual(grants, [{ limit, tokensPerSecond: 40, holders: 2 }]);
    state.demand = 300;
    await pass(3_600);
    const uses = asked.at(-1);
    assert.equal(uses?.[0]?.leasedPerSecond, 40);
    const demand = asked.flat().map(({ demandPerSecond }) => demandPerSecond);
    assert.ok(Math.max(...demand) > 80 && Math.max(...demand) < 120, demand.join(' '));
  });

  test('end when the control plane is gone, and then each takes its even part', async () => {
    const { client, grants, events, state, pass } = rig();
    state.answer = { limit, tokensPerSecond: 40, validMs: 10_000, holders: 4 };
    client.follow([limit]);
    await pass(0);
    state.answer = undefined;
    await pass(9_000);
    assert.equal(grants.length, 1, 'the lease goes on');
    await pass(5_000);
    assert.deepEqual(grants.at(-1), { limit, tokensPerSecond: undefined, holders: 4 });
    assert.ok(events.includes('quota.lease_expired') && events.includes('quota.lease_failed'));
    state.answer = { limit, tokensPerSecond: 10, validMs: 10_000, holders: 4 };
    await pass(4_000);
    assert.deepEqual(grants.at(-1), { limit, tokensPerSecond: 10, holders: 4 });
  });

  test('are asked for no more once there is no such limit', async () => {
    const { client, asked, state, pass } = rig();
    state.answer = { limit, tokensPerSecond: 40, validMs: 10_000, holders: 2 };
    client.follow([limit]);
    await pass(0);
    client.follow([]);
    const before = asked.length;
    await pass(10_000);
    assert.equal(asked.length, before);
  });

  test('are asked for by one, however limits come and go while an answer is waited for', async () => {
    const { client, asked, state, pass } = rig();
    state.answer = { limit, tokensPerSecond: 40, validMs: 10_000, holders: 2 };
    client.follow([limit]);
    await pass(0);
    for (let i = 0; i < 5; i++) {
      let answer = (): void => undefined;
      state.gate = new Promise((resolve) => {
        answer = resolve;
      });
      await pass(3_500);
      client.follow([]);
      client.follow([limit]);
      await pass(100);
      answer();
      await pass(100);
    }
    const before = asked.length;
    await pass(60_000);
    assert.ok(asked.length - before <= 24, `${asked.length - before} times in a minute`);
  });

  test('that are no numbers are none', async () => {
    const { client, grants, state, pass } = rig();
    state.answer = { limit, tokensPerSecond: Number.NaN, validMs: 10_000, holders: 2 };
    client.follow([limit]);
    await pass(0);
    assert.deepEqual(grants, []);
  });
});
