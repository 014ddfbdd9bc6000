import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DeltaTypeState } from './delta-state.ts';
import type { DeltaResponse } from './messages.ts';

const TYPE = 'type.googleapis.com/weft.v1.Address';

const response = (names: readonly string[], removed: readonly string[] = []): DeltaResponse => ({
  typeUrl: TYPE,
  nonce: 'n1',
  resources: names.map((name) => ({ name, version: `${name}-v`, bytes: new Uint8Array([1]) })),
  removed,
});

describe('DeltaTypeState', () => {
  test('tells the server each change of subscription once', () => {
    const state = new DeltaTypeState('address', TYPE);
    state.subscribe('a');
    state.subscribe('b');
    assert.deepEqual(state.nextRequest()?.subscribe, ['a', 'b']);
    assert.equal(state.nextRequest(), undefined);
    state.unsubscribe('a');
    const request = state.nextRequest();
    assert.deepEqual(request?.unsubscribe, ['a']);
    assert.deepEqual(request?.subscribe, []);
  });

  test('a new stream is told what is held, so that only what differs comes back', () => {
    const state = new DeltaTypeState('address', TYPE);
    state.subscribe('a');
    state.subscribe('b');
    state.nextRequest();
    state.applied(state.receive(response(['a'])).upserts, []);
    state.restart();
    const request = state.nextRequest();
    assert.deepEqual(request?.subscribe, ['a', 'b']);
    assert.deepEqual(request?.heldVersions, { a: 'a-v' });
  });

  test('a refused resource keeps its old version', () => {
    const state = new DeltaTypeState('address', TYPE);
    state.subscribe('a');
    state.nextRequest();
    state.receive(response(['a']));
    state.applied([], []);
    state.restart();
    assert.deepEqual(state.nextRequest()?.heldVersions, {});
  });

  test('a response that crossed an unsubscription is left out', () => {
    const state = new DeltaTypeState('address', TYPE);
    state.subscribe('a');
    state.unsubscribe('a');
    assert.deepEqual(state.receive(response(['a'], ['a'])), { upserts: [], removals: [] });
  });

  test('an acknowledgement carries the nonce, a refusal also the reason', () => {
    const state = new DeltaTypeState('address', TYPE);
    const ack = state.acknowledge('n1', []);
    assert.equal(ack.nonce, 'n1');
    assert.equal(ack.refusal, '');
    assert.match(state.acknowledge('n2', ['a: x: bad']).refusal, /a: x: bad/);
  });
});
