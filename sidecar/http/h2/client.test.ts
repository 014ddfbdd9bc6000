import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProxyError } from '../errors.ts';
import type { RequestHead, ResponseReceiver } from '../exchange.ts';
import { Headers } from '../headers.ts';
import * as F from './frames.ts';
import { connect, frame, settings, uint32 } from './testing.ts';

function requestHead(more: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'a.test',
    path: '/p',
    protocol: undefined,
    headers: new Headers(),
    version: 11,
    contentLength: 0,
    expectContinue: false,
    ...more,
  };
}

class Receiver implements ResponseReceiver {
  readonly events: string[] = [];
  error: ProxyError | undefined = undefined;
  onInterim(head: { status: number }): void {
    this.events.push(`interim ${head.status}`);
  }
  onHead(head: { status: number; headers: Headers }, end: boolean): void {
    let text = `head ${head.status}${end ? ' end' : ''}`;
    head.headers.forEach((name, value) => {
      text += ` ${name}=${value}`;
    });
    this.events.push(text);
  }
  onData(chunk: Buffer, end: boolean): void {
    this.events.push(`data ${chunk.toString('latin1')}${end ? ' end' : ''}`);
  }
  onTrailers(trailers: Headers): void {
    this.events.push(`trailers ${trailers.length}`);
  }
  onReset(error: ProxyError): void {
    this.error = error;
    this.events.push(`reset ${error.flag} ${error.status} ${error.retry}`);
  }
  onWritable(): void {
    this.events.push('writable');
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('HTTP/2 client: exchanges', () => {
  test('a request begins with the preface and its pseudo-fields; the response ends the exchange', async () => {
    const { peer, connection } = connect();
    const receiver = new Receiver();
    connection.open(requestHead({ headers: Headers.from(['X-Up', '1', 'Connection', 'x']) }), true, receiver);
    await peer.untilLog('HEADERS 1 END');
    const fields = [':method: GET', ':scheme: http', ':authority: a.test', ':path: /p', 'x-up: 1'];
    assert.deepEqual(peer.heads[0]?.fields, fields);
    peer.send(peer.headers(1, false, ':status', '103', 'link', 'x'));
    peer.send(
      peer.headers(1, false, ':status', '200', 'x-a', 'b'),
      peer.data(1, 'abc'),
      peer.headers(1, true, 'x-t', '1'),
    );
    await peer.until(() => receiver.events.length === 4);
    assert.deepEqual(receiver.events, ['interim 103', 'head 200 x-a=b', 'data abc', 'trailers 1']);
    assert.equal(connection.available, 1_024);
    assert.equal(connection.requests, 1);
  });

  test('content goes out with its length, trailers after it; what is wrong with its length resets it', async () => {
    const { peer, connection } = connect();
    const receiver = new Receiver();
    const head = requestHead({ method: 'POST', contentLength: 5, expectContinue: true });
    const upstream = connection.open(head, false, receiver);
    upstream.write(Buffer.from('abc'), false);
    upstream.write(Buffer.from('de'), false);
    upstream.trailers(Headers.from(['X-Sum', '5']));
    await peer.until(() => peer.heads.length === 2);
    assert.ok(peer.heads[0]?.fields.includes('content-length: 5'));
    assert.ok(peer.heads[0]?.fields.includes('expect: 100-continue'));
    assert.deepEqual(peer.heads[1], { id: 1, end: true, fields: ['x-sum: 5'] });
    const broken = new Receiver();
    connection.open(requestHead({ method: 'POST', contentLength: 2 }), false, broken).write(Buffer.from('abc'), true);
    await peer.untilLog('RST_STREAM 3 CANCEL');
    assert.deepEqual(broken.events, ['reset UPE 502 no']);
  });

  test('write asks to wait when the window is shut, and calls back when it is open', async () => {
    const { peer, connection } = connect();
    const receiver = new Receiver();
    const upstream = connection.open(requestHead({ method: 'POST', contentLength: -1 }), false, receiver);
    assert.equal(upstream.write(Buffer.alloc(65_536), false), false);
    await peer.until(() => (peer.bodies.get(1)?.length ?? 0) > 65_000);
    assert.deepEqual(receiver.events, ['writable']);
    assert.equal(upstream.write(Buffer.alloc(30_000), false), true);
    assert.equal(upstream.write(Buffer.alloc(40_000), true), false);
    peer.send(frame(F.WINDOW_UPDATE, 0, 0, uint32(100_000)), frame(F.WINDOW_UPDATE, 0, 1, uint32(100_000)));
    await peer.untilLog('DATA 1 END');
    assert.equal(peer.bodies.get(1)?.length, 135_536);
  });

  test('responses that are none are refused, and only their stream ends', async () => {
    const cases: readonly (readonly [kind: string, ...fields: string[]])[] = [
      ['pseudo-field', 'x', 'y'],
      ['pseudo-field', ':status', '200', ':status', '200'],
      ['pseudo-field', ':path', '/'],
      ['status', ':status', '20'],
      ['status', ':status', '101'],
      ['status', ':status', '600'],
      ['interim', ':status', '100'],
      ['connection-field', ':status', '200', 'connection', 'close'],
      ['content-length', ':status', '200', 'content-length', '3'],
      ['field', ':status', '200', 'x', 'a\nb'],
    ];
    for (const [kind, ...fields] of cases) {
      const { peer, connection, recorder } = connect();
      const receiver = new Receiver();
      connection.open(requestHead(), true, receiver);
      await peer.untilLog('HEADERS 1 END');
      peer.send(peer.headers(1, true, ...fields));
      const log = await peer.untilLog('RST_STREAM 1 PROTOCOL_ERROR');
      assert.ok(log.includes('RST_STREAM 1 PROTOCOL_ERROR'), kind);
      assert.deepEqual(receiver.events, ['reset UPE 502 idempotent']);
      assert.deepEqual(recorder.events, [`http2_upstream_${kind}`]);
      assert.equal(connection.closed, false);
    }
  });

  test('a bad frame ends the connection and all its exchanges', async () => {
    const { peer, connection, recorder } = connect();
    const receivers = [new Receiver(), new Receiver()];
    for (const receiver of receivers) connection.open(requestHead(), true, receiver);
    await peer.untilLog('HEADERS 3 END');
    peer.send(frame(F.PUSH_PROMISE, F.FLAG_END_HEADERS, 1, uint32(2)));
    await peer.untilLog('GOAWAY PROTOCOL_ERROR');
    for (const receiver of receivers) assert.deepEqual(receiver.events, ['reset UPE 502 idempotent']);
    assert.deepEqual(recorder.events, ['http2_upstream_push']);
    await peer.until(() => connection.closed);
    assert.ok(connection.closed);
  });
});

describe('HTTP/2 client: what may be tried again', () => {
  test('refused streams, and those above the last of GOAWAY', async () => {
    const { peer, connection } = connect();
    const receivers = [new Receiver(), new Receiver(), new Receiver()];
    for (const receiver of receivers) connection.open(requestHead({ method: 'POST' }), true, receiver);
    await peer.untilLog('HEADERS 5 END');
    peer.send(frame(F.RST_STREAM, 0, 1, uint32(F.ErrorCode.REFUSED_STREAM)), frame(F.GOAWAY, 0, 0, uint32(3, 0)));
    await peer.until(() => receivers[2]?.error !== undefined);
    assert.deepEqual(receivers[0]?.events, ['reset UR 503 yes']);
    assert.deepEqual(receivers[2]?.events, ['reset UR 503 yes']);
    assert.equal(connection.available, 0);
    peer.send(peer.headers(3, true, ':status', '204'));
    await peer.until(() => connection.closed);
    assert.deepEqual(receivers[1]?.events, ['head 204 end']);
    assert.ok(connection.closed);
  });

  test('a connection that breaks: stale, in use, half answered', async () => {
    for (const [before, answered, retry] of [
      ['used', false, 'reusedOnly'],
      ['fresh', false, 'idempotent'],
      ['used', true, 'no'],
    ] as const) {
      const { peer, connection } = connect({ silent: before === 'fresh' });
      await turn();
      const receiver = new Receiver();
      connection.open(requestHead(), true, receiver);
      await peer.untilLog('HEADERS 1 END');
      if (answered) peer.send(peer.headers(1, false, ':status', '200'));
      await turn();
      await turn();
      peer.socket.destroy();
      await peer.until(() => connection.closed);
      await turn();
      assert.equal(receiver.error?.retry, retry);
      assert.equal(receiver.error?.flag, 'UC');
    }
  });

  test('a connection without an answer to PING is given up', async () => {
    const { peer, connection, clock, recorder } = connect({ pingIntervalMs: 1_000, pingTimeoutMs: 500 });
    await peer.untilLog('SETTINGS ACK');
    const receiver = new Receiver();
    connection.open(requestHead(), true, receiver);
    await peer.untilLog('HEADERS 1 END');
    clock.advance(10_100);
    await peer.untilLog('PING');
    peer.send(frame(F.PING, F.FLAG_ACK, 0, Buffer.alloc(8)));
    await turn();
    await turn();
    clock.advance(600);
    assert.equal(connection.closed, false);
    clock.advance(5_000);
    await peer.until(() => connection.closed);
    assert.deepEqual(receiver.events, ['reset UC 503 idempotent']);
    assert.deepEqual(recorder.events, ['http2_upstream_ping-timeout']);
  });

  test('an answer to PING within the same millisecond is one', async () => {
    const { peer, connection, clock } = connect({ pingIntervalMs: 1_000, pingTimeoutMs: 500 });
    await peer.untilLog('SETTINGS ACK');
    // Past the deadline for SETTINGS, so that the next one counts from a broken millisecond.
    clock.advance(10_100);
    clock.advance(0.7);
    connection.open(requestHead(), true, new Receiver());
    await peer.untilLog('HEADERS 1 END');
    clock.advance(20);
    await peer.untilLog('PING');
    peer.send(frame(F.PING, F.FLAG_ACK, 0, Buffer.alloc(8)));
    await turn();
    await turn();
    clock.advance(600);
    await turn();
    assert.equal(connection.closed, false);
  });
});

describe('HTTP/2 client: what it takes', () => {
  test('as many as the peer allows, and says when there is room', async () => {
    const { peer, connection } = connect({ silent: true });
    assert.equal(connection.available, 100);
    let changes = 0;
    connection.onChange = () => changes++;
    peer.send(settings(3, 2));
    await peer.until(() => connection.available === 2);
    assert.equal(changes, 1);
    const receiver = new Receiver();
    connection.open(requestHead(), true, new Receiver());
    connection.open(requestHead(), true, receiver);
    assert.equal(connection.available, 0);
    const late = new Receiver();
    connection.open(requestHead(), true, late);
    await turn();
    assert.deepEqual(late.events, ['reset UC 503 yes']);
    peer.send(peer.headers(3, true, ':status', '200'));
    await peer.until(() => connection.available === 1);
    assert.equal(changes, 2);
  });

  test('drain finishes what is open, then says goodbye', async () => {
    const { peer, connection } = connect();
    const receiver = new Receiver();
    connection.open(requestHead(), true, receiver);
    await peer.untilLog('HEADERS 1 END');
    connection.drain();
    assert.equal(connection.available, 0);
    peer.send(peer.headers(1, false, ':status', '200'), peer.data(1, 'x', true));
    await peer.untilLog('GOAWAY NO_ERROR');
    await peer.until(() => connection.closed);
    assert.deepEqual(receiver.events, ['head 200', 'data x end']);
    assert.ok(connection.closed);
  });

  test('a silent server has its time for SETTINGS', async () => {
    const { peer, connection, clock, recorder } = connect({ silent: true, settingsTimeoutMs: 1_000 });
    await peer.untilLog('SETTINGS');
    clock.advance(1_100);
    await peer.untilLog('GOAWAY SETTINGS_TIMEOUT');
    await peer.until(() => connection.closed);
    assert.deepEqual(recorder.events, ['http2_upstream_settings-timeout']);
  });

  test('extended CONNECT waits for SETTINGS, and is refused without them saying so', async () => {
    for (const allowed of [true, false]) {
      const { peer, connection } = connect({ silent: true });
      const receiver = new Receiver();
      const headers = Headers.from(['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version', '13']);
      const upstream = connection.open(requestHead({ protocol: 'websocket', headers }), false, receiver);
      upstream.write(Buffer.from('early'), false);
      await turn();
      assert.equal(peer.heads.length, 0);
      peer.send(settings(8, allowed ? 1 : 0));
      if (!allowed) {
        await peer.until(() => receiver.error !== undefined);
        assert.deepEqual(receiver.events, ['reset UPE 502 no']);
        continue;
      }
      await peer.untilLog('DATA 1');
      assert.deepEqual(peer.heads[0]?.fields, [
        ':method: CONNECT',
        ':scheme: http',
        ':authority: a.test',
        ':path: /p',
        ':protocol: websocket',
        'sec-websocket-version: 13',
      ]);
      peer.send(peer.headers(1, false, ':status', '200'), peer.data(1, 'hi'));
      await peer.until(() => receiver.events.length === 2);
      // The accept value of RFC 6455 section 1.3.
      assert.deepEqual(receiver.events, ['head 101 Sec-WebSocket-Accept=s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'data hi']);
    }
  });
});
