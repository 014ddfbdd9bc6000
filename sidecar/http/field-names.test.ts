import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fieldNameAt, hashOf, lowerName } from './field-names.ts';

function find(text: string, start: number, end: number) {
  let hash = 0;
  for (let i = start; i < end; i++) hash = hashOf(hash, text.charCodeAt(i));
  return fieldNameAt(text, start, end, hash);
}

describe('field names', () => {
  test('any name within any text is itself, and its lower case', () => {
    const name = fc.oneof(
      fc.constantFrom('Host', 'host', 'HOST', 'Content-Length', 'content-lengtH', 'X-Request-Id'),
      fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}$/),
    );
    const property = fc.property(name, fc.string(), fc.string(), (written, before, after) => {
      for (let round = 0; round < 2; round++) {
        const found = find(before + written + after, before.length, before.length + written.length);
        assert.equal(found.name, written);
        assert.equal(found.lower, written.toLowerCase());
      }
      assert.equal(lowerName(written), written.toLowerCase());
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  test('a name that came once is found, not made again', () => {
    assert.equal(find('User-Agent', 0, 10), find('x: User-Agent', 3, 13));
  });

  test('names that meet in one place are told apart, however many', () => {
    // "Aa" and "BB" have the same hash, and so have all that are put together of them.
    const names = Array.from({ length: 64 }, (_, i) =>
      i.toString(2).padStart(6, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'),
    );
    for (const written of [...names, ...names]) assert.equal(find(written, 0, 12).name, written);
  });

  test('a text that is no field name has its lower case too', () => {
    assert.equal(lowerName('Größe'), 'größe');
    assert.equal(lowerName(''), '');
  });
});
