import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import fc from 'fast-check';
import { TimeoutEntry, Timeouts, type TimeoutTarget } from './queue.ts';

test('one that is armed again when it expires does not hold up those that wait', () => {
  const clock = new ManualClock();
  const timeouts = new Timeouts(clock);
  const fired: string[] = [];
  const again: TimeoutEntry = new TimeoutEntry(
    {
      onTimeout: () => {
        fired.push(`first at ${clock.nowMs()}`);
        if (fired.length === 1) timeouts.arm(again, 1_000);
      },
    },
    'hedge',
  );
  timeouts.arm(again, 1_000);
  clock.advance(10);
  timeouts.arm(new TimeoutEntry({ onTimeout: () => fired.push(`second at ${clock.nowMs()}`) }, 'hedge'), 1_000);
  clock.advance(5_000);
  assert.deepEqual(fired, ['first at 1000', 'second at 1010', 'first at 2000']);
});

test('whatever is armed, moved and disarmed, each timeout fires exactly when it is due', () => {
  const step = fc.record({
    entry: fc.integer({ min: 0, max: 5 }),
    action: fc.constantFrom('arm', 'disarm'),
    delayMs: fc.constantFrom(5, 10, 30),
    thenMs: fc.integer({ min: 0, max: 12 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new ManualClock();
      const timeouts = new Timeouts(clock);
      const fired: string[] = [];
      const due = new Map<number, number>();
      const expected: string[] = [];
      const entries = Array.from({ length: 6 }, (_, index) => {
        const target: TimeoutTarget = { onTimeout: () => fired.push(`${index} at ${clock.nowMs()}`) };
        return new TimeoutEntry(target, 'idle');
      });
      const advance = (ms: number): void => {
        const untilMs = clock.nowMs() + ms;
        for (const [index, atMs] of [...due]) {
          if (atMs > untilMs) continue;
          expected.push(`${index} at ${atMs}`);
          due.delete(index);
        }
        clock.advance(ms);
      };
      for (const { entry, action, delayMs, thenMs } of steps) {
        const target = entries[entry];
        assert.ok(target);
        if (action === 'arm') {
          timeouts.arm(target, delayMs);
          due.set(entry, clock.nowMs() + delayMs);
        } else {
          target.disarm();
          due.delete(entry);
        }
        advance(thenMs);
      }
      advance(100);
      assert.deepEqual(fired.toSorted(), expected.toSorted());
    }),
  );
});
