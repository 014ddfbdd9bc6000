import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { memoryReturner } from './give-back.ts';
import { heapReading } from './readings.ts';
import { trimWhenIdle } from './trim.ts';

const MB = 1_000_000;

describe('when memory is given back', () => {
  let clock: ManualClock;
  let connections: number;
  let accepted: number;
  let held: number;
  let given: number;
  let events: string[];
  let cancel: () => void;

  beforeEach(() => {
    clock = new ManualClock();
    [connections, accepted, held, given, events] = [0, 0, 20 * MB, 0, []];
    const listeners = () => [
      { name: 'one', addresses: [], connections: 0, accepted: 0 },
      { name: 'two', addresses: [], connections, accepted },
    ];
    const giveBack = (): void => {
      given++;
      held = 8 * MB;
    };
    cancel = trimWhenIdle(
      { clock, listeners, count: (event) => events.push(event) },
      { heldBytes: () => held, giveBack },
    );
  });

  /** What is asked for may come from other threads, and so later. */
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      clock.advance(1_000);
      await new Promise(setImmediate);
    }
  };

  test('a second after the start, once', async () => {
    clock.advance(999);
    await new Promise(setImmediate);
    assert.equal(given, 0);
    await pass(600);
    assert.equal(given, 1);
    assert.deepEqual(events, ['memory.given-back']);
  });

  test('not while there are connections, but half a minute after the last', async () => {
    connections = 1;
    await pass(100);
    assert.equal(given, 0);
    connections = 0;
    await pass(24);
    assert.equal(given, 0);
    await pass(11);
    assert.equal(given, 1);
  });

  test('not while connections come and go between two looks', async () => {
    await pass(1);
    held = 30 * MB;
    for (let i = 0; i < 20; i++) {
      accepted++;
      await pass(10);
    }
    assert.equal(given, 1);
    await pass(36);
    assert.equal(given, 2);
  });

  test('what can be had again is let go after the start, and left alone while it is in use', async () => {
    cancel();
    const spare = { loaded: true, times: 0, letGo: () => {} };
    spare.letGo = () => {
      spare.times++;
      spare.loaded = false;
    };
    const giveBack = (): void => {
      given++;
      held = 8 * MB;
    };
    cancel = trimWhenIdle(
      { clock, listeners: () => [], count: () => undefined, spare },
      { heldBytes: () => held, giveBack },
    );
    await pass(1);
    assert.deepEqual([spare.times, given], [1, 1]);
    spare.loaded = true;
    held = 12 * MB;
    await pass(60);
    assert.deepEqual([spare.times, given], [1, 1], 'an update has come');
    spare.loaded = false;
    await pass(36);
    assert.deepEqual([spare.times, given], [1, 2]);
  });

  test('again after a burst, when it has left something', async () => {
    await pass(1);
    connections = 3;
    await pass(10);
    connections = 0;
    held = 8 * MB + MB / 2;
    await pass(60);
    assert.equal(given, 1, 'not worth it');
    held = 30 * MB;
    connections = 1;
    await pass(10);
    connections = 0;
    await pass(20);
    assert.equal(given, 1, 'too early');
    await pass(15);
    assert.equal(given, 2);
  });

  test('never after it was cancelled, also in the middle of a look', async () => {
    clock.advance(1_000);
    cancel();
    await pass(100);
    assert.equal(given, 0);
  });
});

test('what is given back is the garbage, and again what came since', () => {
  const giveBack = memoryReturner();
  for (let round = 0; round < 2; round++) {
    let garbage: unknown[] | undefined = Array.from({ length: 200_000 }, (_, i) => ({ i }));
    assert.equal(garbage.length, 200_000);
    const before = heapReading().used;
    garbage = undefined;
    giveBack();
    assert.ok(heapReading().used < before - 2 * MB);
  }
});
