import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adaptive, CAPACITY, classes, play } from './overload.testing.ts';

/** What the server gets done when it is asked for just what it can do. */
const peak = play({ filters: adaptive(), senders: [{ rate: CAPACITY }], seconds: 8, fromSecond: 2 }).goodput;

describe('a server that is asked for twice of what it can do', () => {
  test('without a policy it answers nobody in time', () => {
    const { goodput } = play({ filters: [], senders: [{ rate: 2 * CAPACITY }], seconds: 4, fromSecond: 2 });
    assert.ok(goodput < 0.1 * peak, `${goodput} of ${peak}`);
  });

  test('with adaptive concurrency it goes on at 90 % of its peak or more', () => {
    const run = play({ filters: adaptive(), senders: [{ rate: 2 * CAPACITY }], seconds: 10, fromSecond: 2 });
    assert.ok(peak > 0.85 * CAPACITY, `${peak}`);
    assert.ok(run.goodput >= 0.9 * peak, `${run.goodput} of ${peak}`);
    for (const second of run.perSecond.slice(2)) assert.ok(second > 0.75 * peak, run.perSecond.join(' '));
    const [all] = run.senders;
    assert.ok(all !== undefined && all.good + all.refused === all.sent, 'everybody else is told at once');
  });

  test('99 % of high priority are answered, as long as they are no more than it can do', () => {
    const senders = [{ rate: 0.3 * CAPACITY, priority: 'high' }, { rate: 1.7 * CAPACITY }];
    const { goodput, senders: tallies } = play({ filters: adaptive(classes), senders, seconds: 10, fromSecond: 2 });
    const [high] = tallies;
    assert.ok(high !== undefined && high.good >= 0.99 * high.sent, JSON.stringify(tallies));
    assert.ok(goodput >= 0.9 * peak, `${goodput} of ${peak}`);
  });

  test('without classes they are shed like all others', () => {
    const senders = [{ rate: 0.3 * CAPACITY, priority: 'high' }, { rate: 1.7 * CAPACITY }];
    const [high] = play({ filters: adaptive(), senders, seconds: 5, fromSecond: 2 }).senders;
    assert.ok(high !== undefined && high.good < 0.8 * high.sent, JSON.stringify(high));
  });

  test('a caller within its fair share is served, whoever else sends ten times as much', () => {
    const senders = [
      { rate: 0.2 * CAPACITY, identity: '192.0.2.1' },
      { rate: 2 * CAPACITY, identity: '192.0.2.2' },
    ];
    const [modest, greedy] = play({ filters: adaptive(), senders, seconds: 8, fromSecond: 2 }).senders;
    assert.ok(modest !== undefined && modest.good >= 0.98 * modest.sent, JSON.stringify(modest));
    assert.ok(greedy !== undefined && greedy.good > 0.65 * CAPACITY * 6, 'what is left is for the other');
  });
});

test('a server that stood still for ten seconds is back as soon as it works again', () => {
  const run = play({
    filters: adaptive(),
    senders: [{ rate: 0.6 * CAPACITY }],
    seconds: 20,
    workersAt: (second) => (second >= 4 && second < 14 ? 0 : 10),
  });
  assert.ok(
    run.perSecond.slice(5, 13).every((good) => good === 0),
    'it stood still',
  );
  // Well within five seconds.
  for (const good of run.perSecond.slice(16)) assert.ok(good > 0.5 * CAPACITY, run.perSecond.join(' '));
});
