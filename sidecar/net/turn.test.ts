import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atEndOfTurn, beginRead, endRead, turnClock } from './turn.ts';

test('within a read what waits runs at its end, in its order, with what it asks for itself', () => {
  const ran: string[] = [];
  beginRead();
  atEndOfTurn(() => {
    ran.push('first');
    atEndOfTurn(() => ran.push('asked for by the first'));
  });
  atEndOfTurn(() => ran.push('second'));
  assert.deepEqual(ran, []);
  endRead();
  assert.deepEqual(ran, ['first', 'second', 'asked for by the first']);
  beginRead();
  endRead();
  assert.equal(ran.length, 3);
});

test('what runs at the end of a read runs once, also when another read comes meanwhile', () => {
  const ran: string[] = [];
  beginRead();
  atEndOfTurn(() => {
    ran.push('first');
    if (ran.length > 1) return;
    beginRead();
    atEndOfTurn(() => ran.push('of the other'));
    endRead();
    ran.push('first is done');
  });
  atEndOfTurn(() => ran.push('second'));
  endRead();
  assert.deepEqual(ran, ['first', 'first is done', 'second', 'of the other']);
});

test('elsewhere it runs when the present callback is done', async () => {
  const ran: string[] = [];
  atEndOfTurn(() => ran.push('waited'));
  ran.push('callback');
  await Promise.resolve();
  assert.deepEqual(ran, ['callback', 'waited']);
});

test('time stands still within a read and goes on after it', () => {
  const before = turnClock.nowMs();
  beginRead();
  const within = turnClock.nowMs();
  const untilMs = performance.now() + 2;
  while (performance.now() < untilMs);
  assert.equal(turnClock.nowMs(), within);
  endRead();
  assert.ok(within >= before);
  assert.ok(turnClock.nowMs() >= within + 2);
});
