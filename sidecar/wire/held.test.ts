import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import fc from 'fast-check';
import { decodeHeld, encodeHeld } from './held.ts';

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
