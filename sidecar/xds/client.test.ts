import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { type AdsListener, XdsClient } from './client.ts';

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
