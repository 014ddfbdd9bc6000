import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResponseReceiver } from '../exchange.ts';
import { Headers } from '../headers.ts';
import * as F from './frames.ts';
import { connect, frame, settings, uint32 } from './testing.ts';

const receiver: ResponseReceiver = {
  onInterim: () => undefined,
  onHead: () => undefined,
  onData: () => undefined,
  onTrailers: () => undefined,
  onReset: () => undefined,
  onWritable: () => undefined,
};
const head = {
  method: 'GET',
  scheme: 'http',
  authority: 'a.test',
  path: '/',
  protocol: undefined,
  headers: new Headers(),
  version: 20,
  contentLength: 0,
  expectContinue: false,
} as const;
const error = { source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'given up' } as const;
const STREAMS = 1_000;

/** All clients behind a connection give up at once, while the answers to all of them are on their way. */
test('answers to requests that were given up do not end the connection, however many they are', async () => {
  for (const rounds of [1, 6]) {
    const { peer, connection, recorder } = connect({ silent: true });
    peer.send(settings(3, STREAMS), frame(F.SETTINGS, F.FLAG_ACK, 0));
    await peer.untilLog('SETTINGS ACK');
    const ids: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < STREAMS; i++) {
        ids.push(2 * ids.length + 1);
        connection.open({ ...head, headers: new Headers() }, true, receiver).reset(error);
      }
    }
    await peer.untilLog(`RST_STREAM ${ids.at(-1)} CANCEL`);
    // Those of the first round are remembered, or forgotten long ago.
    for (const id of ids.slice(0, rounds === 1 ? STREAMS : 400)) {
      peer.send(peer.headers(id, false, ':status', '200'), peer.data(id, 'late', true));
    }
    const payload = Buffer.concat([uint32(1), uint32(2)]);
    peer.send(frame(F.PING, 0, 0, payload));
    await peer.untilLog('PING ACK');
    assert.equal(peer.goaway, undefined);
    assert.equal(connection.closed, false);
    assert.equal(connection.available, STREAMS);
    assert.deepEqual(
      recorder.events.filter((event) => event.startsWith('http2_')),
      [],
    );
    connection.destroy();
  }
});
