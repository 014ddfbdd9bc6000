import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { MemoryJwtKeyStore } from './jwt-key-stores.ts';
import { JwtKeys } from './jwt-keys.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web' as SpiffeId;
const hourMs = 3_600_000;
const newClock = () => new ManualClock(1_800_000_000_000);

async function open(store = new MemoryJwtKeyStore(), clock = newClock()) {
  const keys = new JwtKeys(store, clock);
  assert.ok((await keys.refresh()).ok);
  return { keys, store, clock };
}
const sign = async (keys: JwtKeys, wishMs = 0) => {
  const signed = await keys.sign(web, ['https://bank.example'], wishMs);
  assert.ok(signed.ok);
  return signed.value;
};
const verify = (keys: JwtKeys, token: string, clock: ManualClock) =>
  // General-purpose verifiers take keys of another use for none of theirs.
  jwtVerify(token, createLocalJWKSet({ keys: keys.publicKeys().map(({ use: _, ...key }) => key) }), {
    audience: 'https://bank.example',
    currentDate: new Date(clock.unixMs()),
  });

describe('keys for JWT-SVIDs', () => {
  test('sign what a verifier with the published keys takes: subject, audience, an early end', async () => {
    const { keys, clock } = await open();
    const { token, kid } = await sign(keys);
    const { payload, protectedHeader } = await verify(keys, token, clock);
    assert.deepEqual(protectedHeader, { alg: 'ES256', kid, typ: 'JWT' });
    assert.deepEqual([payload.sub, payload.aud], [web, ['https://bank.example']]);
    assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 300);
    assert.deepEqual(Object.keys(keys.publicKeys()[0] ?? {}), ['kty', 'crv', 'x', 'y', 'kid', 'use']);
    const long = await sign(keys, 100 * hourMs);
    assert.equal(long.expiresUnixMs - long.issuedUnixMs, hourMs);
  });

  test('replicas that start together have one key', async () => {
    const store = new MemoryJwtKeyStore();
    const clock = newClock();
    const all = Array.from({ length: 5 }, () => new JwtKeys(store, clock));
    const done = await Promise.all(all.map((one) => one.refresh()));
    assert.ok(done.every((one) => one.ok));
    assert.equal(new Set(all.map((one) => one.publicKeys()[0]?.kid)).size, 1);
  });

  test('a key is published before it signs, and after, for as long as its tokens live', async () => {
    const { keys, store, clock } = await open();
    const other = await open(store, clock);
    const first = await sign(keys);
    clock.advance(24 * hourMs);
    await keys.refresh();
    assert.equal(keys.publicKeys().length, 2);
    const last = await sign(keys, hourMs);
    assert.equal(last.kid, first.kid, 'no verifier knows the new one yet');
    await other.keys.refresh();
    clock.advance(16 * 60_000);
    const second = await sign(keys);
    assert.notEqual(second.kid, first.kid);
    for (const token of [last.token, second.token]) await verify(other.keys, token, clock);
    clock.advance(2 * hourMs);
    await keys.refresh();
    assert.deepEqual(
      keys.publicKeys().map((one) => one.kid),
      [second.kid],
    );
  });

  test('stored nonsense is named, and the keys that are held go on signing', async () => {
    const { keys, store } = await open();
    const held = await store.load();
    assert.ok(held.ok);
    await store.save('{"keys": [{}]}', held.value?.version);
    const refreshed = await keys.refresh();
    assert.ok(!refreshed.ok && /malformed/.test(refreshed.error));
    await sign(keys);
  });
});
