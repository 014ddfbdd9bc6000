/** A request that goes wrong after its head: what the client and the record are told, over both codecs. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultHttpLimits, type HttpLimits } from '@weft/policies/model/listener';
import type { ForwardAction } from '@weft/policies/model/route';
import type { Dispatch } from '../http/exchange.ts';
import { serve as serveOne } from '../http/h1/server.fixture.ts';
import { serveHttp1 } from '../http/h1/server.ts';
import { duplexPair, testConnection } from '../http/h1/testing.ts';
import * as F from '../http/h2/frames.ts';
import { serveHttp2 } from '../http/h2/server.ts';
import { frame, RawPeer, serve as serveTwo, settings } from '../http/h2/testing.ts';
import { Headers } from '../http/headers.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from './testing.ts';
import type { Handler } from './testing-peers.ts';

const GRPC = ['content-type', 'application/grpc', 'te', 'trailers'] as const;

/** The path of requests behind either codec, with an application that does not answer unless told. */
function served(limits: Partial<HttpLimits>, action: Partial<ForwardAction> = {}, handler: Handler = () => 'hang') {
  const world = new World();
  world.source.cluster(testCluster('app'));
  world.source.assignment('app', [testEndpoint('10.0.0.1', 80)]);
  world.server('10.0.0.1', 80, handler);
  const all = { ...defaultHttpLimits, ...limits };
  const hcm = testHcm({ kind: 'inline', config: routes('r', forwardTo('app', action)) }, { limits: all });
  const { clock, recorder } = world;
  const options = { limits: all, dispatch: world.dispatch(hcm), clock, recorder, direction: 'outbound' } as const;
  return {
    ...world,
    world,
    http1() {
      const [client, socket] = duplexPair();
      let text = '';
      client.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      client.on('error', () => undefined);
      serveHttp1(socket, testConnection, options);
      return { client, text: () => text };
    },
    http2() {
      const [client, socket] = duplexPair();
      serveHttp2(socket, testConnection, options);
      const peer = new RawPeer(client);
      peer.send(F.PREFACE, settings(), frame(F.SETTINGS, F.FLAG_ACK, 0));
      return peer;
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, 'state not reached in time');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a request that goes wrong after its head', () => {
  test('HTTP/1: a broken chunk is answered, recorded with that answer, and is the last of the connection', async () => {
    const { http1, recorder } = served({});
    const { client, text } = http1();
    client.write(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    await until(() => recorder.records.length > 0);
    assert.match(text(), /^HTTP\/1\.1 400 .*\r\nConnection: close\r\n/s);
    assert.equal(text().split('HTTP/1.1').length, 2);
    assert.equal(recorder.records[0]?.status, 400);
    assert.equal(recorder.records[0]?.flag, 'DPE');
    assert.match(recorder.records[0]?.detail ?? '', /RFC 9112 section 7\.1/);
  });

  test('HTTP/1: a body that is too slow or too large is recorded with the status that the client gets', async () => {
    const { http1, recorder, clock } = served({ requestTimeoutMs: 1_000, requestBodyBytesMax: 5 });
    const late = http1();
    late.client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nh');
    await settle();
    clock.advance(1_100);
    await until(() => late.text() !== '');
    const large = http1();
    large.client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello!\r\n');
    await until(() => recorder.records.length === 2);
    assert.match(late.text(), /^HTTP\/1\.1 408 /);
    assert.match(large.text(), /^HTTP\/1\.1 413 /);
    assert.deepEqual(
      recorder.records.map(({ status, flag }) => [status, flag]),
      [
        [408, 'DT'],
        [413, 'DPE'],
      ],
    );
  });

  test('HTTP/2: the same, and a malformed rest with the status before its reset', async () => {
    const { http2, recorder, clock } = served({ requestTimeoutMs: 1_000 });
    const peer = http2();
    peer.send(peer.post(1), peer.data(1, 'x'));
    await settle();
    clock.advance(1_100);
    await peer.until(() => peer.heads.length > 0);
    await until(() => recorder.records.length === 1);
    assert.equal(peer.heads[0]?.fields[0], ':status: 408');
    assert.equal(recorder.records[0]?.status, 408);
    peer.send(peer.post(3, 'content-length', '1'), peer.data(3, 'xy', true));
    await peer.untilLog('RST_STREAM 3 PROTOCOL_ERROR');
    await until(() => recorder.records.length === 2);
    assert.equal(peer.heads[1]?.fields[0], ':status: 400');
    assert.equal(recorder.records[1]?.status, 400);
  });

  test('HTTP/2: a call of gRPC gets a status that it can read', async () => {
    const { http2, recorder, clock } = served({ requestTimeoutMs: 1_000 });
    const peer = http2();
    peer.send(peer.post(1, ...GRPC), peer.data(1, 'x'));
    await settle();
    clock.advance(1_100);
    await peer.until(() => peer.heads.length > 0);
    const fields = peer.heads[0]?.fields ?? [];
    assert.ok(fields.includes(':status: 200'), fields.join());
    assert.ok(fields.includes('grpc-status: 4'), fields.join());
    await until(() => recorder.records.length === 1);
    assert.deepEqual([recorder.records[0]?.status, recorder.records[0]?.grpcStatus], [200, 4]);
  });

  test('HTTP/2: what ends a connection without a request is recorded, and what ends one with requests in each of them', async () => {
    const { http2, recorder } = served({});
    const idle = http2();
    idle.send(frame(F.PING, 0, 0, 'short'));
    await idle.untilLog('GOAWAY FRAME_SIZE_ERROR');
    await until(() => recorder.records.length === 1);
    const peer = http2();
    peer.send(peer.get(1), frame(F.PING, 0, 0, 'short'));
    await peer.untilLog('GOAWAY FRAME_SIZE_ERROR');
    await until(() => recorder.records.length === 2);
    for (const { status, flag, detail } of recorder.records) {
      assert.deepEqual([status, flag], [0, 'DPE']);
      assert.match(detail, /RFC 9113 section 4\.2/);
    }
    assert.equal(recorder.records[1]?.path, '/');
  });
});

test('HTTP/2: a head that does not come in time is recorded as late, not as malformed', async () => {
  const { http2, recorder, clock } = served({ headTimeoutMs: 1_000 });
  const peer = http2();
  peer.send(Buffer.from([0, 0, 5, F.HEADERS, 0]));
  await settle();
  clock.advance(1_100);
  await peer.untilLog('GOAWAY ENHANCE_YOUR_CALM');
  await until(() => recorder.records.length === 1);
  const [record] = recorder.records;
  assert.deepEqual([record?.status, record?.flag], [0, 'DT']);
  assert.match(record?.detail ?? '', /^a frame or header block was not complete in time/);
});

describe('the time for a whole request', () => {
  const answersEarly: Dispatch = (exchange) => {
    const none = (): void => undefined;
    exchange.receiver = { onData: none, onTrailers: none, onReset: none, onWritable: none, onDone: none };
    const status = exchange.head.protocol === undefined ? 200 : 101;
    exchange.respond({ status, reason: '', headers: new Headers(), contentLength: -1 }, false);
  };

  test('ends with the beginning of the response: streams and tunnels live on', async () => {
    const one = serveOne(answersEarly, { requestTimeoutMs: 1_000 });
    one.client.write('GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    const { peer, clock } = serveTwo(answersEarly, { requestTimeoutMs: 1_000 });
    peer.send(peer.post(1, ...GRPC), peer.data(1, 'x'));
    await peer.until(() => peer.heads.length > 0);
    await one.until('101');
    one.clock.advance(1_500);
    clock.advance(1_500);
    await settle();
    assert.ok(!one.client.destroyed);
    assert.deepEqual([...one.recorder.events], []);
    assert.ok(!peer.log.some((line) => line.startsWith('RST_STREAM')), peer.log.join());
  });
});

describe('the idle time of a route', () => {
  const slow: Handler = () => ({ status: 200, body: 'late', afterMs: 3_000 });

  test('takes the place of that of the listener, where it is longer too', async () => {
    const { http1, http2, clock } = served({ streamIdleTimeoutMs: 1_000 }, { idleTimeoutMs: 10_000 }, slow);
    const { client, text } = http1();
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const peer = http2();
    peer.send(peer.get(1));
    await settle();
    for (let ms = 0; ms < 4_000; ms += 500) {
      clock.advance(500);
      await settle();
    }
    assert.match(text(), /^HTTP\/1\.1 200 /);
    assert.equal(peer.heads[0]?.fields[0], ':status: 200');
  });
});
