import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alpnList } from './alpn.ts';

test('protocols in the form of TLS, made once for each list', () => {
  const protocols = ['weft-h2', 'http/1.1'];
  assert.equal(alpnList(protocols).toString('latin1'), '\x07weft-h2\x08http/1.1');
  assert.equal(alpnList(protocols), alpnList(protocols));
});

test('names that TLS has no room for are left out', () => {
  assert.equal(alpnList(['', 'x'.repeat(256), 'h2']).toString('latin1'), '\x02h2');
  assert.equal(alpnList(['', 'x'.repeat(256)]).length, 0);
});
