import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActiveCalls } from './calls.ts';

const keys = (requestId: string, traceId = '') => ({ requestId, traceId });
const limits = (deadlineMs: number, retried = false) => ({ deadlineMs, attempt: 1, retried });

test('a call is found by either key while it is answered', () => {
  const calls = new ActiveCalls();
  calls.enter(keys('r', 't'), limits(100), 0);
  assert.equal(calls.find(keys('r'))?.deadlineMs, 100);
  assert.equal(calls.find(keys('other', 't'))?.deadlineMs, 100);
  assert.equal(calls.find(keys('other', 'other')), undefined);
  calls.leave(keys('r', 't'), true, 10);
  assert.equal(calls.find(keys('r', 't')), undefined);
  assert.equal(calls.size, 0);
});

test('several calls of one trace have the widest limits of them', () => {
  const calls = new ActiveCalls();
  calls.enter(keys('a', 't'), limits(100, true), 0);
  calls.enter(keys('b', 't'), limits(200), 0);
  assert.equal(calls.find(keys('', 't'))?.deadlineMs, 200);
  assert.equal(calls.find(keys('', 't'))?.retried, true);
  assert.equal(calls.find(keys('a', 't'))?.deadlineMs, 100);
  calls.leave(keys('a', 't'), true, 10);
  assert.equal(calls.find(keys('', 't'))?.deadlineMs, 200);
  calls.leave(keys('b', 't'), true, 10);
  assert.equal(calls.size, 0);
});

test('one that was given up is known for a while, unless another begins', () => {
  const calls = new ActiveCalls();
  calls.enter(keys('a'), limits(100), 0);
  calls.leave(keys('a'), false, 100);
  assert.equal(calls.find(keys('a'))?.deadlineMs, 100);
  calls.enter(keys('a'), limits(500), 400);
  assert.equal(calls.find(keys('a'))?.deadlineMs, 500);
  calls.leave(keys('a'), false, 500);
  calls.lift(keys('a'));
  assert.equal(calls.find(keys('a')), undefined);
  calls.enter(keys('b'), limits(600), 500);
  calls.leave(keys('b'), false, 600);
  calls.enter(keys('c'), limits(99_999), 20_000);
  assert.equal(calls.find(keys('b')), undefined);
  assert.equal(calls.size, 1);
});

test('a request without limits lifts those of its trace', () => {
  const calls = new ActiveCalls();
  calls.enter(keys('a', 't'), limits(100), 0);
  calls.lift(keys('b', 't'));
  assert.equal(calls.find(keys('b', 't'))?.deadlineMs, Number.POSITIVE_INFINITY);
  assert.equal(calls.find(keys('a', 't'))?.deadlineMs, 100);
});

test('what is remembered is bounded, whoever gives up', () => {
  const calls = new ActiveCalls();
  let entered = 0;
  for (let i = 0; i < 50_000; i++) {
    if (!calls.enter(keys(`r${i}`, `t${i}`), limits(i + 100), i / 100)) continue;
    entered++;
    calls.leave(keys(`r${i}`, `t${i}`), false, i / 100);
  }
  assert.ok(entered < 20_000 && calls.size <= 16_386, `${entered} ${calls.size}`);
  assert.equal(calls.enter(keys('late'), limits(1e9), 1e8), true);
  assert.equal(calls.size, 1);
});

test('a caller that claims to have months keeps nothing for others from being forgotten', () => {
  const calls = new ActiveCalls();
  const months = 9_999_999_999;
  calls.enter(keys('hostile'), limits(months), 0);
  calls.leave(keys('hostile'), false, 0);
  for (let i = 0; i < 100; i++) {
    calls.enter(keys(`r${i}`), limits(i + 100), i);
    calls.leave(keys(`r${i}`), false, i);
  }
  calls.enter(keys('late'), limits(months), 600_000);
  assert.equal(calls.size, 1);
});

test('one key that is given up over and over takes the memory of one, and keeps no other', () => {
  const calls = new ActiveCalls();
  calls.enter(keys('again'), limits(100), 0);
  calls.leave(keys('again'), false, 0);
  calls.enter(keys('other'), limits(100), 1);
  calls.leave(keys('other'), false, 1);
  for (let nowMs = 2; nowMs < 60_000; nowMs++) {
    calls.enter(keys('again'), limits(nowMs + 100), nowMs);
    calls.leave(keys('again'), false, nowMs);
    assert.ok(calls.remembered <= 2, `${calls.remembered} at ${nowMs}`);
  }
  assert.equal(calls.find(keys('other')), undefined);
  assert.equal(calls.find(keys('again'))?.deadlineMs, 60_099);
});
