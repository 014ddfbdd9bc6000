import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { RecheckQueue } from './recheck-queue.ts';

test('changes in quick succession keep nobody from being looked at', () => {
  const clock = new ManualClock();
  const queue = new RecheckQueue(clock);
  const seen = new Set<number>();
  const connections = new Set(Array.from({ length: 2_000 }, (_, number) => ({ recheck: () => seen.add(number) })));
  for (let change = 0; change < 8; change++) {
    queue.all(connections);
    clock.advance(0);
  }
  assert.equal(seen.size, 2_000);
  queue.stop();
});

test('who has gone meanwhile is not looked at', () => {
  const clock = new ManualClock();
  const queue = new RecheckQueue(clock);
  let looks = 0;
  const connections = new Set([{ recheck: () => ++looks }]);
  queue.all(connections);
  connections.clear();
  queue.all(connections);
  clock.advance(0);
  assert.equal(looks, 0);
  queue.stop();
});
