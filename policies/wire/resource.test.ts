import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ResourceKind, ResourceMap } from '../model/snapshot.ts';
import type { TrustSecret } from '../model/trust.ts';
import { arbitraryResources } from './arbitrary-resources.testing.ts';
import { decodeResource, encodeResource, resourceVersion } from './resource.ts';
import { secretName } from './secret.ts';
import { resourceKinds, typeUrls } from './type-urls.ts';

const isTrust = (value: ResourceMap[ResourceKind]): value is TrustSecret =>
  'kind' in value && (value.kind === 'bundles' || value.kind === 'rules');

const nameOf = (value: ResourceMap[ResourceKind]): string => {
  if ('clusterName' in value) return value.clusterName;
  if (!('kind' in value)) return value.name;
  return isTrust(value) ? secretName(value) : '';
};

describe('a resource comes back as it was', () => {
  for (const kind of resourceKinds) {
    test(kind, () => {
      fc.assert(
        fc.property<[ResourceMap[ResourceKind]]>(arbitraryResources[kind], (value) => {
          const encoded = encodeResource(kind, nameOf(value), value);
          const decoded = decodeResource(encoded.typeUrl, encoded.bytes);
          assert.deepEqual(decoded, { ok: true, value: { kind, name: nameOf(value), value, unknownFields: 0 } });
          const again = encodeResource(kind, nameOf(value), structuredClone(value));
          assert.deepEqual(again.bytes, encoded.bytes);
          assert.equal(resourceVersion(again.bytes), resourceVersion(encoded.bytes));
        }),
        { numRuns: 200 },
      );
    });
  }
});

describe('bytes from outside', () => {
  test('any bytes give a value or errors, never a throw', () => {
    fc.assert(
      fc.property(fc.constantFrom(...resourceKinds), fc.uint8Array({ maxLength: 200 }), (kind, bytes) => {
        const decoded = decodeResource(typeUrls[kind], bytes);
        assert.ok(decoded.ok || decoded.error.length > 0);
      }),
      { numRuns: 1_000 },
    );
  });

  test('a changed byte of a good resource gives a value or errors, never a throw', () => {
    fc.assert(
      fc.property(arbitraryResources.listener, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, flip) => {
        const { typeUrl, bytes } = encodeResource('listener', value.name, value);
        const changed = Uint8Array.from(bytes);
        const index = at % changed.length;
        changed[index] = (changed[index] ?? 0) ^ flip;
        const decoded = decodeResource(typeUrl, changed);
        assert.ok(decoded.ok || decoded.error.length > 0);
      }),
      { numRuns: 300 },
    );
  });

  test('an unknown type is an error', () => {
    const decoded = decodeResource('type.googleapis.com/envoy.config.core.v3.Node', new Uint8Array(0));
    assert.ok(!decoded.ok && decoded.error[0]?.message.includes('is not known'));
  });
});
