import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FirstOctets } from './first-octets.ts';

test('each view has as many octets as were asked for, of the same memory, whatever was asked before', () => {
  const bytes = Buffer.alloc(256);
  const first = new FirstOctets(bytes);
  // 1, 65 and 129 share a place, and so do the whole memory and nothing of it.
  for (const count of [1, 65, 1, 129, 256, 0, 64, 256, 1]) {
    const view = first.of(count);
    assert.equal(view.length, count);
    assert.equal(view.buffer, bytes.buffer);
    assert.equal(view.byteOffset, bytes.byteOffset);
  }
});

test('the same length is the same view', () => {
  const first = new FirstOctets(Buffer.alloc(100));
  assert.equal(first.of(42), first.of(42));
  assert.notEqual(first.of(42), first.of(43));
});
