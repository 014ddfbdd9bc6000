import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptedDurationMs, durationMs, formatDuration } from './duration.ts';

test('reads durations as GEP-2257 says', () => {
  const table: readonly (readonly [string, number | undefined])[] = [
    ['0s', 0],
    ['5ms', 5],
    ['1h', 3_600_000],
    ['1h30m10s20ms', 5_410_020],
    ['1m5ms', 60_005],
    ['10s10s', 20_000],
    ['99999h', 359_996_400_000],
    ['', undefined],
    ['10', undefined],
    ['1.5s', undefined],
    ['-1s', undefined],
    ['123456s', undefined],
    ['1s1s1s1s1s', undefined],
    ['1d', undefined],
    ['1s ', undefined],
  ];
  for (const [text, expected] of table) assert.equal(durationMs(text), expected, text);
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 359_996_400_000 }), (value) => {
      assert.equal(durationMs(formatDuration(value)), value);
    }),
  );
});

test('a duration that no schema accepted is a bug', () => {
  assert.throws(() => acceptedDurationMs('soon'));
});
