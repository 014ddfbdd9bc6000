import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeltaResponse, StateRequest, StateResponse } from './messages.ts';
import { StateStream } from './state-stream.ts';

const TYPE = 'type.googleapis.com/x.Y';
const nothing = { typeUrl: TYPE, subscribe: [], unsubscribe: [], heldVersions: {}, nonce: '', refusal: '' };
const node = { id: 'n', cluster: 'c', clientFeatures: [] };

function open() {
  const sent: string[] = [];
  const heard: DeltaResponse[] = [];
  const unreadable: string[] = [];
  let respond: (response: StateResponse) => void = () => undefined;
  const stream = new StateStream(
    (onResponse) => {
      respond = onResponse;
      return {
        send: ({ names, version, nonce, refusal }: StateRequest, by) =>
          sent.push(`${names} v${version} n${nonce} ${refusal}${by === undefined ? '' : ` by ${by.id}`}`),
        cancel: () => sent.push('cancelled'),
      };
    },
    {
      onAccepted: () => undefined,
      onMessage: (response) => heard.push(response),
      onUnreadable: (_type, reason) => unreadable.push(reason),
      onLost: () => undefined,
    },
  );
  const response = (version: string, nonce: string, ...names: readonly string[]): void =>
    responseOf(TYPE, version, nonce, ...names);
  const responseOf = (typeUrl: string, version: string, nonce: string, ...names: readonly string[]): void =>
    respond({
      typeUrl,
      version,
      nonce,
      resources: names.map((name) => ({ name, version, bytes: new Uint8Array() })),
    });
  return { stream, sent, heard, unreadable, response, responseOf };
}

test('every request has all names, the version that was accepted last, and the nonce of the last response', () => {
  const { stream, sent, heard, response } = open();
  stream.send({ ...nothing, subscribe: ['a', 'b'] }, node);
  response('1', 'x', 'a', 'b');
  stream.send({ ...nothing, nonce: 'x' }, undefined);
  stream.send({ ...nothing, subscribe: ['c'], unsubscribe: ['a'] }, undefined);
  response('2', 'y', 'c');
  stream.send({ ...nothing, nonce: 'y', refusal: 'no' }, undefined);
  stream.send({ ...nothing, subscribe: ['d'] }, undefined);
  stream.cancel();
  assert.deepEqual(sent, ['a,b v n  by n', 'a,b v1 nx ', 'b,c v1 nx ', 'b,c v1 ny no', 'b,c,d v1 ny ', 'cancelled']);
  assert.deepEqual(
    heard.map(({ nonce, removed, resources }) => [nonce, removed, resources.map(({ name }) => name)]),
    [
      ['x', [], ['a', 'b']],
      ['y', [], ['c']],
    ],
  );
});

test('two responses that are answered late are answered each with its own version', () => {
  const { stream, sent, response } = open();
  stream.send({ ...nothing, subscribe: ['a'] }, node);
  response('1', 'x', 'a');
  response('2', 'y', 'a');
  stream.send({ ...nothing, nonce: 'x' }, undefined);
  stream.send({ ...nothing, nonce: 'y' }, undefined);
  assert.deepEqual(sent.slice(1), ['a v1 nx ', 'a v2 ny ']);
});

test('a resource without a name is refused, and so is all that came with it', () => {
  const { stream, sent, heard, unreadable, response } = open();
  stream.send({ ...nothing, subscribe: ['a'] }, node);
  response('1', 'x', 'a', '');
  assert.deepEqual(heard, []);
  assert.equal(unreadable.length, 1);
  assert.deepEqual(sent.slice(1), [`a v nx ${unreadable[0]}`]);
});

test('a server that leaves the nonce empty is told which version was accepted', () => {
  const { stream, sent, response } = open();
  stream.send({ ...nothing, subscribe: ['a'] }, node);
  response('1', '', 'a');
  stream.send(nothing, undefined);
  response('2', '', 'a');
  stream.send({ ...nothing, refusal: 'no' }, undefined);
  assert.deepEqual(sent.slice(1), ['a v1 n ', 'a v1 n no']);
});

test('what nobody asked for is heard, and nothing is kept of it', () => {
  const { stream, sent, heard, unreadable, responseOf } = open();
  stream.send({ ...nothing, subscribe: ['a'] }, node);
  responseOf('other', '1', 'x', 'b', '');
  assert.deepEqual([heard.map(({ typeUrl }) => typeUrl), unreadable, sent.length], [['other'], [], 1]);
  stream.send({ ...nothing, typeUrl: 'other', subscribe: ['b'] }, undefined);
  assert.deepEqual(sent.slice(1), ['b v n ']);
});
