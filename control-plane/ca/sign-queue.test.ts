import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SignQueue } from './sign-queue.ts';

const busy = (ms: number): void => {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; );
};

describe('queue of signatures', () => {
  test('the event loop runs between slices, and everything is done in order', async () => {
    const queue = new SignQueue({ waitingMax: 100, underWayMax: 100, sliceMs: 5 });
    const done: number[] = [];
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns += 1;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    const all = Array.from({ length: 20 }, (_, index) =>
      queue.run(async () => {
        busy(2);
        done.push(index);
      }),
    );
    await Promise.all(all);
    counting = false;
    assert.deepEqual(
      done,
      Array.from({ length: 20 }, (_, index) => index),
    );
    assert.ok(turns >= 5, `${turns} turns`);
    assert.equal(queue.depth, 0);
  });

  test('beyond the bound it refuses at once, and counts it', async () => {
    const queue = new SignQueue({ waitingMax: 2, underWayMax: 1, sliceMs: 5 });
    const one = queue.run(async () => 1);
    const two = queue.run(async () => Promise.reject(new Error('no token')));
    assert.equal(
      queue.run(async () => 3),
      undefined,
    );
    assert.equal(queue.counters.refused, 1);
    assert.equal(await one, 1);
    await assert.rejects(two ?? Promise.resolve(), /no token/);
    assert.equal(await queue.run(async () => 4), 4);
  });
});
