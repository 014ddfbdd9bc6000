import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileLinearRegex, REGEX_CHARACTERS_MAX } from './linear-regex.ts';

test('matches the whole string', () => {
  const regex = compileLinearRegex('/v[0-9]+|/api/.*');
  assert.ok(regex.ok);
  assert.equal(regex.value.test('/v12'), true);
  assert.equal(regex.value.test('/api/a\nb'), true);
  assert.equal(regex.value.test('x/v12'), false);
  assert.equal(regex.value.test('/v12/x'), false);
});

test('a pattern that would backtrack runs in linear time', () => {
  for (const pattern of ['(a|a|aa)*b', '(a+)+b', '.*a.*a.*a.*b', '(.*)*b']) {
    const regex = compileLinearRegex(pattern);
    assert.ok(regex.ok, pattern);
    const began = process.cpuUsage();
    // The backtracking engine would need minutes at the least.
    assert.equal(regex.value.test('a'.repeat(20_000)), false);
    assert.ok(process.cpuUsage(began).user < 2_000_000, pattern);
  }
});

test('an escaped parenthesis is no look-around', () => {
  const regex = compileLinearRegex('a\\(?=b');
  assert.ok(regex.ok);
  assert.equal(regex.value.test('a(=b'), true);
});

test('what cannot run in linear time, or is no pattern, is refused with the reason', () => {
  for (const pattern of ['(a)\\1', '(?=a)b', '(?<=a)b', '(?<!a)b', '(', 'a)(b', 'a'.repeat(REGEX_CHARACTERS_MAX + 1)]) {
    const regex = compileLinearRegex(pattern);
    assert.ok(!regex.ok && regex.error.startsWith('pattern'), pattern);
  }
});
