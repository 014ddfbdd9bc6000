import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileReplacement } from './linear-replace.ts';

const replaced = (pattern: string, substitution: string, text: string): string => {
  const made = compileReplacement(pattern, substitution);
  assert.ok(made.ok, made.ok ? '' : made.error);
  return made.value(text);
};

describe('replacements', () => {
  for (const [pattern, substitution, text, wanted] of [
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['/(a)?(b)', '/\\1-\\2', '/b/ab', '/-b/a-b'],
    ['b', '$1$&\\\\', 'abc', 'a$1$&\\c'],
    ['b+', '<\\0>', 'abbc', 'a<bb>c'],
    ['x', 'y', '/none', '/none'],
  ] as const) {
    test(`${pattern} by ${substitution}`, () => assert.equal(replaced(pattern, substitution, text), wanted));
  }

  for (const [pattern, substitution] of [
    ['(a)', '\\2'],
    ['a', '\\x'],
    ['a', 'b\\'],
    ['(a', 'b'],
    ['(?=a)', 'b'],
    ['(a)\\1', 'b'],
  ] as const) {
    test(`refused: ${pattern} by ${substitution}`, () =>
      assert.equal(compileReplacement(pattern, substitution).ok, false));
  }

  test('does not backtrack for long', () => {
    const began = process.cpuUsage();
    replaced('(?:a+)+b', 'c', `/${'a'.repeat(5_000)}`);
    assert.ok(process.cpuUsage(began).user < 2_000_000);
  });
});
