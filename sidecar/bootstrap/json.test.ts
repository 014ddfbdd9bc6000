import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseJsonObject } from './json.ts';

test('whatever JSON.stringify writes is read, with or without space', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }));
  fc.assert(
    fc.property(object, fc.constantFrom(undefined, ' ', '\n\t'), (value, space) => {
      const text = JSON.stringify(value, undefined, space);
      assert.deepEqual(parseJsonObject(text), JSON.parse(text));
    }),
  );
});

test('a member that is there twice is not passed over', () => {
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":{"b":[{"c":1,"c" :1}]}}',
    '{"a":1,"\\u0061":1}',
    '{"\\"":1,"\\"":"\\":"}',
    '{"__proto__":1,"__proto__":1}',
  ]) {
    assert.equal(parseJsonObject(text), undefined, text);
  }
  assert.deepEqual(parseJsonObject('{"a":"\\"b\\":","c":["d:"]}'), { a: '"b":', c: ['d:'] });
});

test('what is not a JSON object is left to others', () => {
  for (const text of ['', '[]', '"a"', 'a: 1', '{a: 1}', '{"a":1}\n---\n{}', '{"a":1', '# {}', '{"a":01}']) {
    assert.equal(parseJsonObject(text), undefined, text);
  }
});

test('nesting is bounded', () => {
  const nested = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  assert.notEqual(parseJsonObject(nested(98)), undefined);
  for (const depth of [100, 100_000]) assert.equal(parseJsonObject(nested(depth)), undefined);
});
