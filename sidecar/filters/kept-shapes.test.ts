import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attempt } from './attempt.ts';
import { keepShapes, kept } from './kept-shapes.ts';

test('of each direction a late request is kept, and one only, also of those that come in turns', () => {
  const made: Attempt[] = [];
  for (let i = 0; i < 500; i++) {
    const attempt = { number: i } as Attempt;
    made.push(attempt);
    keepShapes(attempt, i % 2 === 0 ? 'outbound' : 'inbound');
  }
  const { inbound, outbound } = kept;
  assert.ok(inbound !== undefined && outbound !== undefined);
  assert.equal(outbound.number % 2, 0);
  assert.equal(inbound.number % 2, 1);
  assert.ok(Math.min(inbound.number, outbound.number) >= made.length - 200);
});
