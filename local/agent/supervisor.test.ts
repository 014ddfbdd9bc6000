import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentResult } from './process.ts';
import { superviseAgent } from './supervisor.ts';

/** Agents whose end the test decides. */
function agents(): { readonly start: () => Promise<AgentResult>; readonly ends: ((code: number) => void)[] } {
  const ends: ((code: number) => void)[] = [];
  return {
    ends,
    start: async () => {
      const pid = ends.length + 1;
      const exited = new Promise<number>((resolve) => ends.push(resolve));
      return { ok: true, agent: { pid, exited, close: async () => ends[pid - 1]?.(0) } };
    },
  };
}

const limits = { backoffMsMin: 1, backoffMsMax: 4, healthyMs: 60_000, failuresInRowMax: 3 };

async function next(started: readonly number[], count: number): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (started.length < count) {
    if (performance.now() > deadline) assert.fail(`only ${started.length} agents were started`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('the agent supervisor', () => {
  test('an agent that ends is started again, and given up when that does not help', async () => {
    const { start, ends } = agents();
    const started: number[] = [];
    const reports: string[] = [];
    const result = await superviseAgent(
      start,
      { started: (pid) => started.push(pid), report: (message) => reports.push(message) },
      limits,
    );
    assert.ok(result.ok);
    for (let i = 1; i <= 3; i++) {
      ends[i - 1]?.(137);
      await next(started, i + 1);
      assert.equal(result.agent.pid, i + 1);
    }
    ends[3]?.(137);
    assert.match(await result.agent.gaveUp, /ended with code 137, for the 4th time/);
    assert.deepEqual(
      reports.map((line) => /in (\d+) ms/.exec(line)?.[1]),
      ['1', '2', '4'],
    );
  });

  test('closing ends it for good, also while it waits to start the next one', async () => {
    const { start, ends } = agents();
    const started: number[] = [];
    const slow = { ...limits, backoffMsMin: 60_000, backoffMsMax: 60_000 };
    let report: () => void = () => {};
    const reported = new Promise<void>((resolve) => {
      report = resolve;
    });
    const result = await superviseAgent(start, { started: (pid) => started.push(pid), report }, slow);
    assert.ok(result.ok);
    ends[0]?.(1);
    await reported;
    await result.agent.close();
    assert.deepEqual(started, [1]);
  });

  test('a first agent that does not start is no success', async () => {
    const hooks = { started: () => assert.fail(), report: () => assert.fail() };
    const result = await superviseAgent(async () => ({ ok: false, message: 'no' }), hooks, limits);
    assert.deepEqual(result, { ok: false, message: 'no' });
  });
});
