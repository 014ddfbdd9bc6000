import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatHop, parseHop } from './header.ts';

test('what is told is understood, with at most a millisecond lost', () => {
  const left = fc.oneof(fc.double({ min: 1, max: 1e9, noNaN: true }), fc.constant(Number.POSITIVE_INFINITY));
  fc.assert(
    fc.property(left, fc.integer({ min: 1, max: 999 }), fc.boolean(), (leftMs, attempt, retried) => {
      const hop = parseHop(formatHop(leftMs, attempt, retried), 1_000);
      assert.equal(hop?.deadlineMs, leftMs === Number.POSITIVE_INFINITY ? leftMs : 1_000 + Math.floor(leftMs));
      assert.equal(hop?.attempt, attempt);
      assert.equal(hop?.retried, retried);
    }),
  );
});

test('what has another form says nothing', () => {
  const wrong = [
    '',
    'left=5',
    'left=-1, attempt=1',
    'left=1.5, attempt=1',
    'left=99999999999, attempt=1',
    'left=5, attempt=0',
    'left=5, attempt=1000',
    'left=5,attempt=1',
    ' left=5, attempt=1',
    'left=5, attempt=1, retried=1',
    'left=5, attempt=1, retried, x',
    'left=5, attempt=1\nleft=6, attempt=1',
  ];
  for (const text of wrong) assert.equal(parseHop(text, 0), undefined, text);
  assert.deepEqual(parseHop('left=none, attempt=2, retried', 0), {
    deadlineMs: Number.POSITIVE_INFINITY,
    attempt: 2,
    retried: true,
  });
});

test('no text does harm', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseHop(text, 0);
    }),
  );
});
