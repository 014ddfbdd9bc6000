import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SessionCache } from './session-cache.ts';

const HOUR_MS = 3_600_000;

function session(name: string, clock: ManualClock, fingerprint = 'AB') {
  const peer = { spiffeId: undefined, subjectAltNames: [], fingerprint, notAfterUnixMs: clock.unixMs() + HOUR_MS };
  return { session: Buffer.from(name), peer };
}

describe('sessions for resumption', () => {
  test('each is taken once, the newest first, and only under its own key', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    for (const name of ['one', 'two']) cache.keep('cart', session(name, clock));
    assert.equal(cache.take('web'), undefined);
    assert.equal(cache.take('cart')?.session.toString(), 'two');
    assert.equal(cache.take('cart')?.session.toString(), 'one');
    assert.equal(cache.take('cart'), undefined);
    assert.equal(cache.size, 0);
  });

  test('none outlives the certificate that was verified', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    for (const name of ['one', 'two']) cache.keep('cart', session(name, clock));
    clock.advance(HOUR_MS);
    assert.equal(cache.take('cart'), undefined);
    assert.equal(cache.size, 0);
  });

  test('a renewed certificate ends the sessions of the one before', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    for (const name of ['one', 'two']) cache.keep('cart', session(name, clock));
    cache.keep('cart', session('three', clock, 'CD'));
    assert.equal(cache.take('cart')?.session.toString(), 'three');
    assert.equal(cache.take('cart'), undefined);
    assert.equal(cache.size, 0);
  });

  test('bounded for each peer and for all, the oldest go first', () => {
    const clock = new ManualClock();
    const cache = new SessionCache(clock);
    for (let i = 0; i < 40; i++) cache.keep('cart', session(String(i), clock));
    assert.equal(cache.size, 16);
    for (let i = 0; i < 2_000; i++) cache.keep(`peer ${i}`, session(String(i), clock));
    assert.ok(cache.size <= 1_024);
    assert.equal(cache.take('cart'), undefined);
    assert.equal(cache.take('peer 1999')?.session.toString(), '1999');
  });
});
