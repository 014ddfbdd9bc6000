import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { encodeResource } from '@weft/policies/wire/resource';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { WireDoor } from './door.ts';

const address = encodeResource('address', '10.0.0.1', {
  kind: 'service',
  namespace: 'shop',
  name: 'cart',
  ports: [{ port: 80, protocol: 'http', routeConfiguration: 'r', cluster: 'c' }],
});

describe('the codec of the control plane', () => {
  test('is there when it is asked for, and gone when nobody has asked for half a minute', () => {
    const clock = new ManualClock();
    const door = new WireDoor(clock);
    assert.equal(door.loaded, false);
    door.wire();
    clock.advance(20_000);
    door.wire();
    clock.advance(20_000);
    assert.equal(door.loaded, true, '20 s after the last use');
    clock.advance(10_001);
    assert.equal(door.loaded, false);
    assert.equal(door.wire().decodeHeld(Buffer.alloc(3)), undefined);
    door.letGo();
    assert.equal(door.loaded, false);
  });

  test('hands over plain data: nothing that it has read keeps it alive', () => {
    const { wire } = new WireDoor(new ManualClock());
    const request = wire().encodeRequest(
      {
        typeUrl: typeUrls.address,
        subscribe: ['a'],
        unsubscribe: [],
        heldVersions: { b: '1' },
        nonce: 'n',
        refusal: 'x',
      },
      { id: 'me', cluster: 'c', clientFeatures: ['f'] },
    );
    assert.ok(request.length > 0);
    const resource = { name: '10.0.0.1', version: '1', bytes: address.bytes };
    const effect = { upserts: [resource, { ...resource, bytes: Buffer.from([0xff]) }], removals: ['gone'] };
    const decoded = wire().decodeEffect('address', typeUrls.address, effect);
    assert.equal(decoded.errors.length, 1);
    assert.equal(decoded.changes.length, 2);
    assert.deepEqual(structuredClone(decoded), decoded);
    const held = wire().encodeHeld(new Map([['address', new Map([['10.0.0.1', resource]])]]), () => typeUrls.address);
    const read = wire().decodeHeld(held);
    assert.deepEqual(structuredClone(read), read);
  });
});
