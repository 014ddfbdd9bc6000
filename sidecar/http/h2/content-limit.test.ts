import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo } from '../h1/server.fixture.ts';
import { serve } from './testing.ts';

const limits = { requestBodyBytesMax: 5 };

test('content within the limit is taken, declared or not', async () => {
  const { peer } = serve(echo, limits);
  peer.send(
    peer.post(1, 'content-length', '5'),
    peer.data(1, 'hello', true),
    peer.post(3),
    peer.data(3, 'hello', true),
  );
  await peer.untilLog('DATA 3 END');
  assert.deepEqual(
    peer.heads.map(({ fields }) => fields[0]),
    [':status: 200', ':status: 200'],
  );
});

test('what declares more is answered with 413 and reaches nobody', async () => {
  let dispatched = 0;
  const { peer, recorder } = serve((exchange) => {
    dispatched++;
    echo(exchange);
  }, limits);
  peer.send(peer.post(1, 'content-length', '6'));
  const log = await peer.untilLog('DATA 1 END');
  assert.deepEqual(peer.heads[0]?.fields[0], ':status: 413', log.join(', '));
  assert.equal(dispatched, 0);
  assert.deepEqual(recorder.events, ['http2_downstream_content-too-large']);
  assert.equal(recorder.records[0]?.status, 413);
  peer.send(peer.get(3));
  await peer.untilLog('DATA 3 END');
});

test('what turns out to be more is answered with 413, its exchange is reset, and the connection goes on', async () => {
  const told: string[] = [];
  const { peer, recorder } = serve((exchange) => {
    if (exchange.endOfRequest) {
      echo(exchange);
      return;
    }
    exchange.receiver = {
      onData: (chunk) => told.push(String(chunk)),
      onTrailers: () => undefined,
      onReset: (error) => told.push(`${error.flag} ${error.status}`),
      onWritable: () => undefined,
      onDone: () => told.push('done'),
    };
  }, limits);
  peer.send(peer.post(1), peer.data(1, 'abc'), peer.data(1, 'def'));
  const log = await peer.untilLog('RST_STREAM 1 NO_ERROR');
  assert.deepEqual(peer.heads[0]?.fields[0], ':status: 413', log.join(', '));
  assert.deepEqual(told, ['abc', 'DPE 413', 'done']);
  assert.deepEqual(recorder.events, ['http2_downstream_content-too-large']);
  peer.send(peer.get(3));
  await peer.untilLog('DATA 3 END');
});

test('after the answer has begun only a reset is left', async () => {
  const told: string[] = [];
  const { peer } = serve((exchange) => {
    exchange.receiver = {
      onData: () => undefined,
      onTrailers: () => undefined,
      onReset: (error) => told.push(`${error.flag} ${error.status}`),
      onWritable: () => undefined,
      onDone: () => told.push('done'),
    };
    exchange.respond({ status: 200, reason: '', headers: exchange.head.headers, contentLength: -1 }, false);
  }, limits);
  peer.send(peer.post(1), peer.data(1, 'abcdef'));
  await peer.untilLog('RST_STREAM 1 ENHANCE_YOUR_CALM');
  assert.deepEqual(told, ['DPE 413', 'done']);
});
