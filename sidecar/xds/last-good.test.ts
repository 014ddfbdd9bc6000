import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import fc from 'fast-check';
import { decodeHeld, encodeHeld, openSnapshot, sealSnapshot } from './last-good.ts';

const typeUrlOf = (kind: ResourceKind): string => `type/${kind}`;

test('what was held is read back', () => {
  const resource = fc.record(
    {
      name: fc.string(),
      version: fc.string(),
      bytes: fc.uint8Array({ maxLength: 64 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.uniqueArray(resource, { selector: (r) => r.name }), (resources) => {
      const held = new Map([['cluster' as const, new Map(resources.map((r) => [r.name, r]))]]);
      const decoded = decodeHeld(encodeHeld(held, typeUrlOf));
      assert.deepEqual(decoded?.get('type/cluster'), resources);
    }),
  );
});

test('a cut file is refused, whatever the place', () => {
  const held = new Map([
    ['cluster' as const, new Map([['a', { name: 'a', version: '1', bytes: new Uint8Array([1, 2, 3]) }]])],
  ]);
  const bytes = encodeHeld(held, typeUrlOf);
  for (let length = 1; length < bytes.length; length++) {
    assert.equal(decodeHeld(bytes.subarray(0, length)), undefined, `${length} bytes`);
  }
});

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
