/** RFC 9112 section 9.6: what a client gets that has closed its side, and what is learned of one that is gone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import type { Dispatch, Downstream } from '../exchange.ts';
import { echo, serve } from './server.fixture.ts';
import { serveHttp1 } from './server.ts';
import { answer, TestRecorder, testConnection } from './testing.ts';

/** Holds requests back until they are answered by the test. */
function held(): { readonly dispatch: Dispatch; readonly open: Downstream[]; readonly told: string[] } {
  const open: Downstream[] = [];
  const told: string[] = [];
  const dispatch: Dispatch = (exchange) => {
    open.push(exchange);
    exchange.receiver = {
      onData: (chunk) => exchange.consumed(chunk.length),
      onTrailers: () => undefined,
      onReset: (error) => told.push(error.flag),
      onWritable: () => undefined,
      onDone: () => told.push('done'),
    };
  };
  return { dispatch, open, told };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a client that closes its side', () => {
  test('gets its answer, whose first octets came ahead', async () => {
    const { dispatch, open, told } = held();
    const s = serve(dispatch);
    s.client.end('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await s.until('HTTP'), 'HTTP');
    s.clock.advance(300);
    assert.equal(await s.until('HTTP/1.1'), 'HTTP/1.1');
    const [exchange] = open;
    assert.ok(exchange !== undefined);
    exchange.interim({ status: 103, reason: 'Early Hints', headers: exchange.head.headers, contentLength: 0 });
    answer(exchange, 200, 'ok');
    await s.closed;
    assert.equal(
      s.received(),
      'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
    );
    assert.deepEqual(told, ['done']);
    assert.equal(exchange.bytesSent, s.received().length + 'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n'.length);
  });

  test('gets all answers to what it pipelined', async () => {
    const s = serve(echo);
    const get = (n: number): string => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`;
    s.client.end(`${get(1)}${get(2)}${get(3)}\r\n`);
    await s.closed;
    assert.deepEqual(s.received().match(/GET \/\d/g), ['GET /1', 'GET /2', 'GET /3']);
  });

  test('in the middle of a head or of content is not waited for', async () => {
    for (const text of ['GET / HT', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab', '\r\n']) {
      const { dispatch, told } = held();
      const s = serve(dispatch);
      s.client.end(text);
      await s.closed;
      assert.equal(s.received(), '');
      await turn();
      assert.deepEqual(told, text.startsWith('POST') ? ['DC', 'done'] : []);
    }
  });

  test('gets the error of an exchange that fails, complete', async () => {
    const { dispatch } = held();
    const s = serve(dispatch, { streamIdleTimeoutMs: 1_000 });
    s.client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await s.until('HTTP');
    s.clock.advance(5_000);
    await s.closed;
    assert.match(s.received(), /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  });
});

test('a client that is gone is noticed before there is an answer, on a real socket', async () => {
  const { dispatch, open, told } = held();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const options = { limits: defaultHttpLimits, dispatch, clock: systemClock, direction: 'inbound' } as const;
    serveHttp1(socket, testConnection, {
      ...options,
      recorder: new TestRecorder(),
      onClose: () => server.emit('gone'),
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = (server.address() as AddressInfo).port;
  try {
    const client: Socket = connect(port, '127.0.0.1');
    client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    while (open.length === 0) await turn();
    const gone = once(server, 'gone', { signal: AbortSignal.timeout(5_000) });
    // An orderly close of both directions: what arrives is the same as of a half-close.
    client.destroy();
    await gone;
    assert.deepEqual(told, ['DC', 'done']);
  } finally {
    server.close();
  }
});
