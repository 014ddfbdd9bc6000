import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { FirstAnswers } from './first-answers.ts';

function waiting(...expected: readonly (readonly [name: string, timeoutMs: number])[]) {
  const clock = new ManualClock();
  const overdue: (readonly string[])[] = [];
  const answers = new FirstAnswers({ clock, onOverdue: (names) => overdue.push(names) });
  for (const [name, timeoutMs] of expected) answers.expect(name, timeoutMs);
  let over = false;
  void answers.wait().then(() => {
    over = true;
  });
  const isOver = async (): Promise<boolean> => {
    await Promise.resolve();
    return over;
  };
  return { clock, overdue, answers, isOver };
}

const DAY_MS = 86_400_000;

test('each service is waited for as long as it says', async () => {
  const { clock, overdue, answers, isOver } = waiting(['a', 500], ['b', 500], ['c', 2_000], ['d', 500]);
  clock.advance(499);
  answers.answered(['d', 'somebody else']);
  assert.deepEqual(overdue, []);
  clock.advance(1);
  assert.deepEqual(overdue, [['a', 'b']]);
  assert.equal(await isOver(), false);
  clock.advance(1_500);
  assert.deepEqual(overdue, [['a', 'b'], ['c']]);
  assert.equal(await isOver(), true);
});

test('0 is as long as it takes', async () => {
  const { clock, overdue, answers, isOver } = waiting(['a', 0], ['b', 500]);
  clock.advance(DAY_MS);
  assert.deepEqual(overdue, [['b']]);
  assert.equal(await isOver(), false);
  answers.answered(['a']);
  assert.equal(await isOver(), true);
});

test('of several clusters with one service, the longest counts', async () => {
  const { clock, overdue, isOver } = waiting(['a', 500], ['a', 2_000], ['a', 700], ['b', 500], ['b', 0], ['b', 700]);
  clock.advance(1_999);
  assert.deepEqual(overdue, []);
  clock.advance(DAY_MS);
  assert.deepEqual(overdue, [['a']]);
  assert.equal(await isOver(), false);
});

test('when all is answered nothing is overdue later; and nobody waits for nothing, or for what is closed', async () => {
  const { clock, overdue, answers, isOver } = waiting(['a', 500], ['b', 700]);
  answers.answered(['a', 'b']);
  assert.equal(await isOver(), true);
  clock.advance(DAY_MS);
  assert.deepEqual(overdue, []);
  assert.equal(await waiting().isOver(), true);
  const closed = waiting(['a', 0]);
  closed.answers.close();
  assert.equal(await closed.isOver(), true);
});
