import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Dispatch } from '../exchange.ts';
import { echo } from '../h1/server.fixture.ts';
import { answer } from '../h1/testing.ts';
import { Headers } from '../headers.ts';
import * as F from './frames.ts';
import { frame, serve, settings, uint32 } from './testing.ts';

const hello: Dispatch = (exchange) => {
  exchange.receiver = {
    onData: (chunk) => exchange.consumed(chunk.length),
    onTrailers: () => undefined,
    onReset: () => undefined,
    onWritable: () => undefined,
    onDone: () => undefined,
  };
  answer(exchange, 200, 'hello');
};

describe('HTTP/2 server: requests and responses', () => {
  test('a GET is answered in one write with its head, content and end', async () => {
    const { peer } = serve(hello);
    peer.send(peer.get(1));
    await peer.untilLog('DATA 1 END');
    assert.deepEqual(peer.heads[0]?.fields.slice(0, 1), [':status: 200']);
    assert.ok(peer.heads[0]?.fields.includes('content-length: 5'));
    assert.ok(peer.heads[0]?.fields.some((field) => field.startsWith('date: ')));
    assert.equal(peer.bodies.get(1), 'hello');
  });

  test('the request reads like one of HTTP/1: cookie crumbs are one field, Host is the authority', async () => {
    let seen = '';
    const { peer } = serve((exchange) => {
      const { head } = exchange;
      seen = `${head.version} ${head.method} ${head.scheme} ${head.authority} ${head.path} ${head.contentLength} `;
      head.headers.forEach((name, value) => {
        seen += `[${name}: ${value}]`;
      });
      hello(exchange);
    });
    const head = [':method', 'GET', ':scheme', 'http', ':path', '/p?q', 'host', 'h.test:81', 'cookie', 'a=1'];
    peer.send(peer.headers(1, true, ...head, 'x-one', '1', 'cookie', 'b=2', 'te', 'trailers'));
    await peer.untilLog('DATA 1 END');
    assert.equal(seen, '20 GET http h.test:81 /p?q 0 [cookie: a=1; b=2][x-one: 1][te: trailers]');
  });

  test('content and trailers reach the exchange, padding does not', async () => {
    const { peer } = serve(echo);
    const padded = frame(F.DATA, F.FLAG_PADDED, 1, Buffer.concat([Buffer.from([3]), Buffer.from('def\0\0\0')]));
    peer.send(peer.post(1), peer.data(1, 'abc'), padded, peer.headers(1, true, 'x-sum', '6'));
    await peer.untilLog('DATA 1 END');
    assert.equal(peer.bodies.get(1), 'POST / abcdef|x-sum=6');
  });

  test('answers of many streams share the connection', async () => {
    const { peer } = serve(echo);
    const requests: Buffer[] = [];
    for (let id = 1; id < 400; id += 2) requests.push(peer.post(id), peer.data(id, `body ${id}`, true));
    peer.send(...requests);
    await peer.until(() => peer.bodies.size === 200);
    for (let id = 1; id < 400; id += 2) assert.equal(peer.bodies.get(id), `POST / body ${id}`);
  });

  test('100-continue is answered when the content is accepted, once for each stream', async () => {
    const { peer } = serve((exchange) => {
      echo(exchange);
      exchange.consumed(0);
      exchange.consumed(0);
    });
    peer.send(peer.post(1, 'expect', '100-continue'));
    await peer.until(() => peer.heads.length === 1);
    assert.deepEqual(peer.heads[0]?.fields, [':status: 100']);
    peer.send(peer.data(1, 'x', true));
    await peer.untilLog('DATA 1 END');
    assert.equal(peer.heads.length, 2);
  });

  test('interim responses and trailers go out in order; HEAD has no content', async () => {
    const { peer } = serve((exchange) => {
      const headers = Headers.from(['Link', '</a>']);
      exchange.interim({ status: 103, reason: '', headers, contentLength: 0 });
      exchange.respond({ status: 200, reason: '', headers: new Headers(), contentLength: 9 }, false);
      exchange.write(Buffer.from('too much!'), false);
      exchange.trailers(Headers.from(['X-End', 'yes']));
    });
    peer.send(peer.get(1));
    await peer.until(() => peer.heads.length === 3);
    assert.deepEqual(peer.heads[0]?.fields, [':status: 103', 'link: </a>']);
    assert.deepEqual(peer.heads[2], { id: 1, end: true, fields: ['x-end: yes'] });
    assert.equal(peer.bodies.get(1), 'too much!');
  });

  test('a response to half a request resets the rest of it without an error', async () => {
    const { peer, recorder } = serve(hello);
    peer.send(peer.post(1), peer.data(1, 'abc'));
    const log = await peer.untilLog('RST_STREAM 1 NO_ERROR');
    assert.ok(log.indexOf('DATA 1 END') < log.indexOf('RST_STREAM 1 NO_ERROR'));
    peer.send(peer.data(1, 'late', true), peer.get(3));
    await peer.untilLog('DATA 3 END');
    assert.deepEqual(recorder.events, []);
  });

  test('large heads are split over CONTINUATION and joined again', async () => {
    const { peer } = serve((exchange) => answer(exchange, 200, exchange.head.headers.get('x-large') ?? 'none'));
    const large = 'v'.repeat(50_000);
    const block = peer.block(':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a', 'x-large', large);
    peer.send(
      frame(F.HEADERS, F.FLAG_END_STREAM, 1, block.subarray(0, 16_000)),
      frame(F.CONTINUATION, 0, 1, block.subarray(16_000, 32_000)),
      frame(F.CONTINUATION, 0, 1, block.subarray(32_000, 48_000)),
      frame(F.CONTINUATION, F.FLAG_END_HEADERS, 1, block.subarray(48_000)),
    );
    await peer.untilLog('DATA 1 END');
    assert.ok(peer.bodies.get(1) === large);
  });

  test('a body larger than the windows waits for each of them', async () => {
    const body = 'b'.repeat(150_000);
    const { peer } = serve((exchange) => answer(exchange, 200, body));
    peer.send(settings(4, 1_000), peer.get(1));
    await peer.until(() => peer.bodies.get(1)?.length === 1_000);
    peer.send(frame(F.WINDOW_UPDATE, 0, 1, uint32(200_000)));
    await peer.until(() => peer.bodies.get(1)?.length === 65_535);
    peer.send(frame(F.WINDOW_UPDATE, 0, 0, uint32(200_000)));
    await peer.untilLog('DATA 1 END');
    assert.ok(peer.bodies.get(1) === body);
  });

  test('a small response overtakes a large one', async () => {
    const { peer } = serve((exchange) => answer(exchange, 200, exchange.head.path === '/' ? 'L'.repeat(400_000) : 's'));
    const small = [':method', 'GET', ':scheme', 'http', ':path', '/small', ':authority', 'a'];
    peer.send(frame(F.WINDOW_UPDATE, 0, 0, uint32(1 << 20)), settings(4, 1 << 20));
    peer.send(peer.get(1), peer.headers(3, true, ...small));
    const log = await peer.untilLog('DATA 1 END');
    assert.ok(log.indexOf('DATA 3 END') < log.indexOf('DATA 1 END'));
    assert.ok(log.slice(0, log.indexOf('DATA 3 END')).filter((line) => line === 'DATA 1').length < 8);
  });

  test('windows open again only for what was consumed', async () => {
    let take = (): void => undefined;
    const { peer } = serve((exchange) => {
      let bytes = 0;
      exchange.receiver = {
        onData: (chunk) => {
          bytes += chunk.length;
        },
        onTrailers: () => undefined,
        onReset: () => undefined,
        onWritable: () => undefined,
        onDone: () => undefined,
      };
      take = () => exchange.consumed(bytes);
    });
    const chunk = Buffer.alloc(16_384, 'x');
    peer.send(peer.post(1), ...[1, 2, 3, 4].map(() => peer.data(1, chunk)), frame(F.PING, 0, 0, Buffer.alloc(8)));
    await peer.untilLog('PING ACK');
    assert.ok(!peer.log.includes('WINDOW_UPDATE 1'));
    take();
    await peer.untilLog('WINDOW_UPDATE 1');
    const update = peer.frames.find((it) => it.type === F.WINDOW_UPDATE && it.id === 1);
    assert.equal(F.readUint32(update?.payload ?? Buffer.alloc(4), 0), 65_536);
  });
});

describe('HTTP/2 server: ends', () => {
  test('retire announces, waits for the round trip, then names the last stream', async () => {
    const { peer, connection } = serve(echo);
    peer.send(peer.post(1));
    await peer.untilLog('SETTINGS ACK');
    connection.retire();
    await peer.untilLog('PING');
    peer.send(peer.get(3), frame(F.PING, F.FLAG_ACK, 0, Buffer.alloc(8)));
    await peer.until(() => peer.log.filter((line) => line === 'GOAWAY NO_ERROR').length === 2);
    const last = peer.frames.filter((it) => it.type === F.GOAWAY)[1]?.payload ?? Buffer.alloc(8);
    assert.equal(F.readUint31(last, 0), 3);
    peer.send(peer.get(5), peer.data(1, 'x', true));
    const log = await peer.untilLog('DATA 1 END');
    assert.ok(log.includes('RST_STREAM 5 REFUSED_STREAM'));
    assert.ok(log.includes('DATA 3 END'));
    await peer.until(() => peer.ended);
    assert.ok(peer.ended);
  });

  test('the last request that a connection may carry retires it', async () => {
    const { peer, clock } = serve(hello, { requestsPerConnectionMax: 2 });
    peer.send(peer.get(1), peer.get(3));
    await peer.untilLog('GOAWAY NO_ERROR');
    clock.advance(2_000);
    await peer.until(() => peer.ended);
    assert.ok(peer.log.includes('DATA 3 END'));
    assert.ok(peer.ended);
  });

  test('an idle connection ends with GOAWAY, one in use does not', async () => {
    const { peer, clock } = serve(echo, { idleTimeoutMs: 1_000 });
    peer.send(peer.post(1));
    await peer.untilLog('SETTINGS ACK');
    clock.advance(5_000);
    assert.equal(peer.ended, false);
    peer.send(peer.data(1, '', true));
    await peer.untilLog('DATA 1 END');
    clock.advance(1_100);
    await peer.until(() => peer.ended);
    assert.ok(peer.log.includes('GOAWAY NO_ERROR'));
  });

  test('a client that goes away resets its exchanges, once', async () => {
    const events: string[] = [];
    const { peer } = serve((exchange) => {
      exchange.receiver = {
        onData: () => undefined,
        onTrailers: () => undefined,
        onReset: (error) => events.push(`reset ${error.flag}`),
        onWritable: () => undefined,
        onDone: () => events.push('done'),
      };
    });
    peer.send(peer.get(1), peer.get(3));
    peer.send(frame(F.RST_STREAM, 0, 1, uint32(F.ErrorCode.CANCEL)), frame(F.PING, 0, 0, Buffer.alloc(8)));
    await peer.untilLog('PING ACK');
    assert.deepEqual(events, ['reset DC', 'done']);
    peer.socket.destroy();
    await peer.until(() => events.length === 4);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(events, ['reset DC', 'done', 'reset DC', 'done']);
  });

  test('a silent request, and one that takes too long, are answered 408', async () => {
    const { peer, clock, recorder } = serve(echo, { requestTimeoutMs: 1_000 });
    peer.send(peer.post(1));
    await peer.untilLog('SETTINGS ACK');
    clock.advance(1_100);
    await peer.until(() => peer.heads.length === 1);
    assert.equal(peer.heads[0]?.fields[0], ':status: 408');
    assert.deepEqual(recorder.events, ['http2_request_timeout']);
  });
});
