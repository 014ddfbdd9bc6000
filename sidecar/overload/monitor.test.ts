import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { OverloadMonitor, type Reading } from './monitor.ts';

function make(readings: Record<Reading['what'], number>) {
  const clock = new ManualClock();
  const events: string[] = [];
  const lines: string[] = [];
  const changes: boolean[] = [];
  let reclaimed = 0;
  const monitor = new OverloadMonitor({
    clock,
    read: () => [
      { what: 'memory', used: readings.memory, max: 100 },
      { what: 'heap', used: readings.heap, max: Number.POSITIVE_INFINITY },
      { what: 'descriptors', used: readings.descriptors, max: 1_000 },
    ],
    count: (event) => events.push(event),
    log: (line) => lines.push(line),
    reclaim: () => {
      reclaimed++;
    },
    onChange: (shed) => changes.push(shed),
  });
  monitor.start();
  return { clock, monitor, events, lines, changes, reclaimed: () => reclaimed };
}

describe('overload', () => {
  test('sheds from 90 % on, and until it is below 85 %', () => {
    const readings = { memory: 89, heap: 1e9, descriptors: 0 };
    const { clock, monitor, events, changes } = make(readings);
    clock.advance(1_000);
    assert.equal(monitor.shouldShed, false);
    readings.memory = 90;
    clock.advance(250);
    assert.equal(monitor.shouldShed, true);
    readings.memory = 85;
    clock.advance(250);
    assert.equal(monitor.shouldShed, true);
    readings.memory = 84;
    clock.advance(250);
    assert.equal(monitor.shouldShed, false);
    assert.deepEqual(changes, [true, false]);
    assert.deepEqual(events, ['overload.memory']);
  });

  test('garbage is collected when memory is short, now and then, and not for descriptors', () => {
    const readings = { memory: 0, heap: 0, descriptors: 950 };
    const { clock, monitor, reclaimed, lines } = make(readings);
    clock.advance(10_000);
    assert.equal(monitor.shouldShed, true);
    assert.equal(reclaimed(), 0);
    assert.match(lines[0] ?? '', /descriptors 950 of 1000/);
    readings.memory = 99;
    clock.advance(10_000);
    assert.ok(reclaimed() >= 2 && reclaimed() <= 3, String(reclaimed()));
  });

  test('what another thread found holds until it says otherwise', () => {
    const { clock, monitor } = make({ memory: 0, heap: 0, descriptors: 0 });
    monitor.tell(true);
    clock.advance(1_000);
    assert.equal(monitor.shouldShed, true);
    monitor.tell(false);
    assert.equal(monitor.shouldShed, false);
  });

  test('looks no more after it was closed', () => {
    const readings = { memory: 0, heap: 0, descriptors: 0 };
    const { clock, monitor } = make(readings);
    monitor.close();
    readings.memory = 100;
    clock.advance(10_000);
    assert.equal(monitor.shouldShed, false);
  });
});
