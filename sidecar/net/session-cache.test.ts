import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SessionCache } from './session-cache.ts';

const HOUR_MS = 3_600_000;

function session(name: string, clock: ManualClock) {
  const peer = {
    spiffeId: undefined,
    subjectAltNames: [],
    fingerprint: '',
    notAfterUnixMs: clock.unixMs() + HOUR_MS,
    notBeforeUnixMs: 0,
    serialHex: '',
  };
  return { session: Buffer.from(name), peer };
}

describe('sessions for resumption', () => {
  test('the newest of a peer, under its own key alone', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    for (const name of ['one', 'two']) cache.keep('cart', session(name, clock));
    assert.equal(cache.find('web'), undefined);
    assert.equal(cache.find('cart')?.session.toString(), 'two');
    assert.equal(cache.size, 1);
  });

  test('none outlives the certificate that was verified', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    cache.keep('cart', session('one', clock));
    clock.advance(HOUR_MS - 1);
    assert.notEqual(cache.find('cart'), undefined);
    clock.advance(1);
    assert.equal(cache.find('cart'), undefined);
    assert.equal(cache.size, 0);
  });

  test('one that a connection failed with is dropped, a newer one is not', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    const [old, newer] = [session('old', clock), session('newer', clock)];
    cache.keep('cart', old);
    cache.keep('cart', newer);
    cache.drop('cart', old);
    assert.equal(cache.find('cart'), newer);
    cache.drop('cart', newer);
    assert.equal(cache.find('cart'), undefined);
  });

  test('bounded, the oldest goes first', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    cache.keep('cart', session('one', clock));
    for (let i = 0; i < 1_024; i++) cache.keep(`peer ${i}`, session(String(i), clock));
    assert.equal(cache.size, 1_024);
    assert.equal(cache.find('cart'), undefined);
    assert.equal(cache.find('peer 1023')?.session.toString(), '1023');
  });
});
