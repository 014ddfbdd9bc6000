import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table } from './command.ts';

test('what others have written moves no cursor, starts no line and turns no text around', () => {
  const hostile = 'GET /\u001b[2J\u001b]0;owned\u0007\r\nshop/cart\u009b1A\u202etxt.exe';
  const text = table(['CALLER', 'REQUEST'], [['spiffe://cluster.local/ns/shop/sa/web', hostile]]);
  assert.equal(text.split('\n').length, 2);
  assert.doesNotMatch(text.replace('\n', ''), /[\p{Cc}\p{Cf}]/u);
  assert.match(text, /GET \/\\u\{1b\}\[2J/);
});
