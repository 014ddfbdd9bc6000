import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decimalOf } from './decimal.ts';

describe('decimal numbers', () => {
  test('digits and nothing else', () => {
    assert.equal(decimalOf('0', 3), 0);
    assert.equal(decimalOf('007', 3), 7);
    assert.equal(decimalOf('999999999999999', 15), 999_999_999_999_999);
    for (const text of ['', '1000', '+1', '-1', ' 1', '1 ', '1.0', '0x1', '1e2', '/', ':', '١']) {
      assert.equal(decimalOf(text, 3), -1, JSON.stringify(text));
    }
  });

  test('the same as an expression says', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789/:+- '), maxLength: 17 }), (text) => {
        assert.equal(decimalOf(text, 15), /^\d{1,15}$/.test(text) ? Number(text) : -1);
      }),
    );
  });
});
