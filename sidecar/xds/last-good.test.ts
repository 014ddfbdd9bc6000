import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSnapshot, sealSnapshot } from './last-good.ts';

test('a sealed snapshot is opened by its owner, whole, or not at all', () => {
  const body = new Uint8Array([1, 2, 3, 4]);
  const sealed = sealSnapshot('sidecar~a', body);
  assert.deepEqual(new Uint8Array(openSnapshot('sidecar~a', sealed) ?? []), body);
  assert.equal(openSnapshot('sidecar~b', sealed), undefined);
  for (let i = 0; i < sealed.length; i++) {
    const damaged = Uint8Array.from(sealed);
    damaged[i] = (damaged[i] ?? 0) ^ 1;
    assert.equal(openSnapshot('sidecar~a', damaged), undefined, `byte ${i}`);
    assert.equal(openSnapshot('sidecar~a', sealed.subarray(0, i)), undefined, `cut at ${i}`);
  }
});
