import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { encodeResource } from '@weft/policies/wire/resource';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { controlWire } from '../wire/codec.ts';
import { type AdsListener, XdsClient } from './client.ts';
import type { DeltaRequest, DeltaResponse } from './messages.ts';

test('the control plane is there when it lets the stream in, also with nothing to say, and each time that it does', () => {
  const clock = new ManualClock();
  const streams: AdsListener[] = [];
  const client = new XdsClient({
    open: (listener) => {
      streams.push(listener);
      return { send: () => undefined, cancel: () => undefined };
    },
    wire: () => assert.fail('there is nothing to read'),
    nodeId: 'sidecar~10.0.0.1~web.shop~cluster.local',
    clock,
    prng: new SeededPrng(1),
    store: { load: () => undefined, save: () => undefined },
    count: () => undefined,
    log: () => undefined,
    listeners: [],
    waitersMax: 1,
    namesMax: 1,
  });
  let connected = 0;
  client.onConnected(() => {
    connected += 1;
  });
  client.start();
  assert.deepEqual([client.status().connected, connected], [false, 0]);
  streams[0]?.onAccepted();
  streams[0]?.onAccepted();
  assert.deepEqual([client.status().connected, connected], [true, 1]);
  streams[0]?.onLost('gone');
  assert.equal(client.status().connected, false);
  clock.advance(5_200);
  assert.equal(streams.length, 2);
  streams[1]?.onAccepted();
  assert.deepEqual([client.status().connected, connected], [true, 2]);
  client.close();
});

test('a response of a type that was not asked for is counted, and not answered: that would ask for all of it', () => {
  const sent: string[] = [];
  const counted: string[] = [];
  let server: AdsListener | undefined;
  const client = new XdsClient({
    open: (listener) => {
      server = listener;
      return { send: ({ typeUrl }) => sent.push(typeUrl), cancel: () => undefined };
    },
    wire: () => assert.fail('nothing is to be read'),
    nodeId: 'edge',
    clock: new ManualClock(),
    prng: new SeededPrng(1),
    store: { load: () => undefined, save: () => undefined },
    count: (event) => counted.push(event),
    log: () => undefined,
    listeners: ['web'],
    waitersMax: 1,
    namesMax: 1,
  });
  client.start();
  server?.onMessage({ typeUrl: typeUrls.cluster, nonce: 'n', resources: [], removed: [] });
  assert.deepEqual([sent, counted], [[typeUrls.listener], ['xds_unknown_type']]);
  client.close();
});

test('what the server says is gone stays where that is said to somebody, and is sent again to the next stream', () => {
  const sent: DeltaRequest[] = [];
  const removed: (readonly string[])[] = [];
  const streams: AdsListener[] = [];
  const clock = new ManualClock();
  const client = new XdsClient({
    open: (listener) => {
      streams.push(listener);
      return { send: (request) => sent.push(request), cancel: () => undefined };
    },
    wire: () => controlWire,
    nodeId: 'edge',
    clock,
    prng: new SeededPrng(1),
    store: undefined,
    count: () => undefined,
    log: () => undefined,
    listeners: [],
    waitersMax: 0,
    namesMax: 1,
    onRemoved: (names) => removed.push(names),
  });
  client.source.lookup('endpoints', 'cart');
  client.start();
  const answer = (nonce: string, more: Partial<DeltaResponse>): void =>
    streams.at(-1)?.onMessage({ typeUrl: typeUrls.endpoints, nonce, resources: [], removed: [], ...more });
  const { bytes } = encodeResource('endpoints', 'cart', { clusterName: 'cart', endpoints: [] });
  const held = (): string => client.source.current().get('endpoints', 'cart').state;
  answer('1', { resources: [{ name: 'cart', version: '7', bytes }] });
  answer('2', { removed: ['cart', 'never asked for'] });
  assert.deepEqual([held(), removed], ['found', [['cart']]]);
  assert.deepEqual([sent.at(-1)?.nonce, sent.at(-1)?.refusal], ['2', '']);
  streams[0]?.onLost('gone');
  clock.advance(5_200);
  assert.deepEqual([sent.at(-1)?.subscribe, sent.at(-1)?.heldVersions], [['cart'], {}]);
  assert.equal(held(), 'found');
  client.close();
});
