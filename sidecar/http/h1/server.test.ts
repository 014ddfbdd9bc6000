import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Dispatch, type Downstream, type ResponseHead, WINDOW_BYTES } from '../exchange.ts';
import { Headers } from '../headers.ts';
import { echo, serve } from './server.fixture.ts';
import { answer } from './testing.ts';

const response = (status: number, contentLength: number, fields: string[] = []): ResponseHead => ({
  status,
  reason: '',
  headers: Headers.from(fields),
  contentLength,
});

const okText = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe('HTTP/1.1 server', () => {
  test('keep-alive and pipelining: answers come in order', async () => {
    const s = serve(echo);
    s.client.write(
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 ',
    );
    s.client.write('HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await s.until('GET /3'), okText('GET /1 ') + okText('POST /2 abc') + okText('GET /3 '));
    s.connection.destroy();
  });

  test('chunks with extensions and trailers (RFC 9112 section 7.1)', async () => {
    const s = serve(echo);
    s.client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    s.client.write('3;a="b;c"\r\nabc\r\n02 ;x\r\nde\r\n0\r\nX-T: 1\r\nContent-Length: 5\r\nHost: evil\r\n\r\n');
    assert.equal(await s.until('X-T'), okText('POST / abcde|X-T=1'));
    s.connection.destroy();
  });

  test('Connection: close is answered with close', async () => {
    const s = serve(echo);
    s.client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await s.closed;
    assert.equal(s.received(), 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nGET / ');
  });

  test('HTTP/1.0: keep-alive by request, unknown length ends with the connection', async () => {
    const stream: Dispatch = (exchange) => {
      exchange.respond(response(200, -1), false);
      exchange.write(Buffer.from('abc'), false);
      exchange.write(Buffer.from('def'), true);
    };
    const s = serve(stream);
    s.client.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await s.closed;
    assert.equal(s.received(), 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdef');
    const t = serve(echo);
    t.client.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    assert.match(await t.until('GET /'), /Connection: keep-alive\r\n/);
    t.connection.destroy();
  });

  test('unknown length is chunked for HTTP/1.1, with trailers', async () => {
    const s = serve((exchange) => {
      exchange.respond(response(200, -1), false);
      exchange.write(Buffer.from('abc'), false);
      exchange.trailers(Headers.from(['X-T', '1']));
    });
    s.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = await s.until('X-T');
    assert.equal(text, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n');
    s.connection.destroy();
  });

  test('HEAD, 204 and 304 have no content (RFC 9110 section 6.4.1)', async () => {
    const s = serve((exchange) => {
      const status = exchange.head.path === '/204' ? 204 : exchange.head.path === '/304' ? 304 : 200;
      exchange.respond(response(status, 7), status !== 200);
      if (status === 200) exchange.write(Buffer.from('content'), true);
    });
    s.client.write(
      'HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    const text = await s.until('304 Not Modified\r\nContent-Length: 7\r\n\r\n');
    const expected =
      'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n' +
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n';
    assert.equal(text, expected);
    s.connection.destroy();
  });

  test('100 (Continue) when the content is accepted, and not when it is refused', async () => {
    const s = serve((exchange) => {
      if (exchange.head.path === '/no') answer(exchange, 413, 'no');
      else {
        echo(exchange);
        exchange.consumed(0);
      }
    });
    s.client.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    assert.equal(await s.until('100'), 'HTTP/1.1 100 Continue\r\n\r\n');
    s.client.write('hi');
    assert.match(await s.until('hi'), /POST \/ hi$/);
    s.client.write('POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    await s.closed;
    assert.match(s.received(), /413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno$/);
  });

  test('interim responses reach HTTP/1.1 clients only', async () => {
    const dispatch: Dispatch = (exchange) => {
      exchange.interim(response(103, 0, ['Link', '</a>']));
      answer(exchange, 200, 'x');
    };
    const s = serve(dispatch);
    s.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await s.until('x'), `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${okText('x')}`);
    const t = serve(dispatch);
    t.client.write('GET / HTTP/1.0\r\n\r\n');
    await t.closed;
    assert.doesNotMatch(t.received(), /103/);
    s.connection.destroy();
  });

  test('a tunnel: held until accepted, then bytes both ways with half-close', async () => {
    let exchange: Downstream | undefined;
    const got: string[] = [];
    const s = serve((e) => {
      exchange = e;
      e.receiver = {
        onData: (chunk, end) => got.push(`${chunk.toString()}${end ? '$' : ''}`),
        onTrailers: () => undefined,
        onReset: () => got.push('reset'),
        onWritable: () => undefined,
        onDone: () => got.push('done'),
      };
    });
    s.client.write('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly');
    await new Promise(setImmediate);
    assert.equal(got.length, 0);
    exchange?.respond(response(101, -1, ['Upgrade', 'websocket']), false);
    const head = await s.until('101');
    assert.equal(head, 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    assert.equal(got.join(), 'early');
    exchange?.write(Buffer.from('down'), true);
    assert.match(await s.until('down'), /\r\n\r\ndown$/);
    await s.closed;
    s.client.end('late');
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (got.includes('done')) resolve();
        else setImmediate(look);
      };
      look();
    });
    assert.deepEqual(got, ['early', 'late', '$', 'done']);
  });

  test('a WebSocket accepted by HTTP/2 is answered with what its key asks for (RFC 8441 section 5)', async () => {
    const s = serve((exchange) => {
      exchange.head.headers.remove('sec-websocket-key');
      exchange.respond(response(101, -1), false);
    });
    s.client.write(
      'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    assert.equal(
      await s.until('\r\n\r\n'),
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nConnection: Upgrade\r\n\r\n',
    );
    s.connection.destroy();
  });

  test('bytes sent ahead for a refused tunnel are never read as a request', async () => {
    const paths: string[] = [];
    const s = serve((exchange) => {
      paths.push(exchange.head.path);
      answer(exchange, 403, 'no');
    });
    s.client.write('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n');
    await s.closed;
    assert.deepEqual(paths, ['']);
    assert.match(s.received(), /Connection: close/);
  });

  test('an early response: the rest of a small request is read, a large one closes', async () => {
    const s = serve((exchange) => answer(exchange, 200, exchange.head.path));
    s.client.write('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    await s.until('/1');
    s.client.write('cdeGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await s.until('/2'), okText('/1') + okText('/2'));
    s.client.write('POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n');
    await s.closed;
    assert.match(s.received(), /Connection: close\r\n\r\n\/3$/);
  });

  test('oversized heads: 414 and 431', async () => {
    const s = serve(echo, { headBytesMax: 200 });
    s.client.write(`GET /${'a'.repeat(300)}`);
    await s.closed;
    assert.match(s.received(), /^HTTP\/1.1 414 URI Too Long\r\n/);
    const t = serve(echo, { headBytesMax: 200 });
    t.client.write(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(300)}\r\n\r\n`);
    await t.closed;
    assert.match(t.received(), /^HTTP\/1.1 431 /);
    assert.deepEqual(t.recorder.events, ['http1_downstream_head-too-large']);
    assert.equal(t.recorder.records[0]?.flag, 'DPE');
  });

  test('a bad chunk: 400 before the response, a cut connection after its head', async () => {
    const resets: string[] = [];
    const dispatch =
      (early: boolean): Dispatch =>
      (exchange) => {
        exchange.receiver = {
          onData: () => undefined,
          onTrailers: () => undefined,
          onReset: (error) => resets.push(error.flag),
          onWritable: () => undefined,
          onDone: () => resets.push('done'),
        };
        if (early) exchange.respond(response(200, -1), false);
      };
    const bad = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n';
    const s = serve(dispatch(false));
    s.client.write(bad);
    await s.closed;
    assert.match(s.received(), /^HTTP\/1.1 400 Bad Request/);
    const t = serve(dispatch(true));
    t.client.write(bad);
    await t.closed;
    assert.doesNotMatch(t.received(), /0\r\n\r\n$/);
    assert.deepEqual(resets, ['DPE', 'done', 'DPE', 'done']);
  });

  test('a client that goes away resets the exchange', async () => {
    const events: string[] = [];
    const s = serve((exchange) => {
      exchange.receiver = {
        onData: () => undefined,
        onTrailers: () => undefined,
        onReset: (error) => events.push(error.flag),
        onWritable: () => undefined,
        onDone: () => events.push('done'),
      };
      queueMicrotask(() => s.client.destroy());
    });
    s.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await s.closed;
    await new Promise(setImmediate);
    assert.deepEqual(events, ['DC', 'done']);
  });

  test('time limits: idle, head, request, stream', async () => {
    const idle = serve(echo, { idleTimeoutMs: 50 });
    idle.clock.advance(200);
    await idle.closed;
    assert.equal(idle.received(), '');

    const slow = serve(echo, { headTimeoutMs: 50 });
    slow.client.write('GET / HT');
    await new Promise(setImmediate);
    slow.clock.advance(200);
    await slow.closed;
    assert.match(slow.received(), /^HTTP\/1.1 408 /);

    const body = serve(echo, { requestTimeoutMs: 50 });
    body.client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na');
    await new Promise(setImmediate);
    body.clock.advance(200);
    await body.closed;
    assert.match(body.received(), /^HTTP\/1.1 408 /);

    const stalled = serve(() => undefined, { streamIdleTimeoutMs: 50 });
    stalled.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise(setImmediate);
    stalled.clock.advance(200);
    await stalled.closed;
    assert.match(stalled.received(), /^HTTP\/1.1 504 /);
  });

  test('drain: an idle connection closes, one in use after its response', async () => {
    const s = serve(echo);
    s.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise(setImmediate);
    s.connection.drain();
    await s.closed;
    let open: Downstream | undefined;
    const t = serve((exchange) => {
      open = exchange;
    });
    t.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise(setImmediate);
    t.connection.drain();
    assert.ok(open);
    answer(open, 200, 'x');
    await t.closed;
    assert.match(t.received(), /Connection: close\r\n\r\nx$/);
  });

  test('drain: a connection whose first request is under way has it answered, a silent one is closed soon', async () => {
    const s = serve(echo);
    s.connection.drain();
    s.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await s.closed;
    assert.match(s.received(), /^HTTP\/1.1 200 [\s\S]*Connection: close/);
    const silent = serve(echo);
    silent.connection.drain();
    silent.clock.advance(1_100);
    await silent.closed;
    assert.equal(silent.received(), '');
  });

  test('without credit the socket is not read', async () => {
    let received = 0;
    let exchange: Downstream | undefined;
    const s = serve((e) => {
      exchange = e;
      e.receiver = {
        onData: (chunk) => {
          received += chunk.length;
        },
        onTrailers: () => undefined,
        onReset: () => undefined,
        onWritable: () => undefined,
        onDone: () => undefined,
      };
    });
    const piece = Buffer.alloc(16_384);
    s.client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${piece.length * 32}\r\n\r\n`);
    for (let i = 0; i < 32; i++) s.client.write(piece);
    await new Promise(setImmediate);
    assert.ok(received >= WINDOW_BYTES && received <= WINDOW_BYTES + piece.length, `${received}`);
    const returned = received;
    exchange?.consumed(returned);
    await new Promise(setImmediate);
    assert.ok(received > returned && received <= returned + WINDOW_BYTES + piece.length, `${received}`);
    s.connection.destroy();
  });
});
