import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { Refusals } from './refusals.ts';

test('a flood of strangers is counted whole, written in part, and hides nobody who is known', () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const counters = { refused: 0, unlogged: 0 };
  const refusals = new Refusals((event, fields) => lines.push(`${event} ${JSON.stringify(fields)}`), clock, counters);
  for (let i = 0; i < 10_000; i++) refusals.tell('certificate refused', 'stranger', { reason: 'no credential' });
  refusals.tell('certificate refused', 'caller', { spiffeId: 'spiffe://cluster.local/ns/shop/sa/web' });
  assert.equal(lines.length, 51);
  assert.match(lines.at(-1) ?? '', /sa\/web/);
  assert.deepEqual(counters, { refused: 10_001, unlogged: 9_950 });
  clock.advance(1_000);
  assert.equal(lines.at(-1), 'refusals not written one by one {"of":"stranger","count":9950}');
  refusals.tell('certificate refused', 'stranger', {});
  assert.equal(lines.length, 53);
  clock.advance(1_000);
  assert.equal(lines.length, 53, 'nothing is left to be told');
});
