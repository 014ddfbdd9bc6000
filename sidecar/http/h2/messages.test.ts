import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { echo } from '../h1/server.fixture.ts';
import { GET, serve } from './testing.ts';

/** RFC 9113 sections 8.1 to 8.3 and 8.5, RFC 8441 section 4: heads that are no requests, and the kind that is counted. */
const MALFORMED: readonly (readonly [kind: string, ...fields: string[]])[] = [
  ['pseudo-field', ':scheme', 'http', ':path', '/', ':authority', 'a'],
  ['pseudo-field', ':method', 'GET', ':path', '/', ':authority', 'a'],
  ['pseudo-field', ':method', 'GET', ':scheme', 'http', ':authority', 'a'],
  ['pseudo-field', ...GET, ':path', '/again'],
  ['pseudo-field', ...GET, ':status', '200'],
  ['pseudo-field', ...GET, ':weft-version', '1.1'],
  ['pseudo-field', ...GET, ':unknown', 'x'],
  ['pseudo-field', ':method', 'GET', 'x-first', '1', ':scheme', 'http', ':path', '/', ':authority', 'a'],
  ['method', ':method', 'G ET', ':scheme', 'http', ':path', '/', ':authority', 'a'],
  ['method', ':method', '', ':scheme', 'http', ':path', '/', ':authority', 'a'],
  ['scheme', ':method', 'GET', ':scheme', 'ftp', ':path', '/', ':authority', 'a'],
  ['path', ':method', 'GET', ':scheme', 'http', ':path', '', ':authority', 'a'],
  ['path', ':method', 'GET', ':scheme', 'http', ':path', 'x', ':authority', 'a'],
  ['path', ':method', 'GET', ':scheme', 'http', ':path', '*', ':authority', 'a'],
  ['path', ':method', 'GET', ':scheme', 'http', ':path', '/a b', ':authority', 'a'],
  ['path', ':method', 'GET', ':scheme', 'http', ':path', '/a#b', ':authority', 'a'],
  ['path', ':method', 'GET', ':scheme', 'http', ':path', 'http://b/', ':authority', 'a'],
  ['authority', ':method', 'GET', ':scheme', 'http', ':path', '/'],
  ['authority', ':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', ''],
  ['authority', ':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'u@a'],
  ['authority', ':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a/b'],
  ['authority', ...GET, 'host', 'b.test'],
  ['authority', ':method', 'GET', ':scheme', 'http', ':path', '/', 'host', 'a', 'host', 'a'],
  ['field', ...GET, 'x y', '1'],
  ['field', ...GET, '', '1'],
  ['field', ...GET, 'x', 'a\r\nb: c'],
  ['field', ...GET, 'x', 'a\0'],
  ['field', ...GET, 'x', ' a'],
  ['field', ...GET, 'x', 'a\t'],
  ['field', ':method', 'GET', ':scheme', 'http', ':path', '/\r', ':authority', 'a'],
  ['connection-field', ...GET, 'connection', 'close'],
  ['connection-field', ...GET, 'keep-alive', '1'],
  ['connection-field', ...GET, 'proxy-connection', 'x'],
  ['connection-field', ...GET, 'transfer-encoding', 'chunked'],
  ['connection-field', ...GET, 'upgrade', 'websocket'],
  ['connection-field', ...GET, 'te', 'gzip'],
  ['content-length', ...GET, 'content-length', '1'],
  ['content-length', ...GET, 'content-length', '0', 'content-length', '0'],
  ['content-length', ...GET, 'content-length', '0, 0'],
  ['content-length', ...GET, 'content-length', '-1'],
  ['content-length', ...GET, 'content-length', '+0'],
  ['content-length', ...GET, 'content-length', ''],
  ['connect', ':method', 'CONNECT', ':scheme', 'http', ':authority', 'a:1'],
  ['connect', ':method', 'CONNECT', ':path', '/', ':authority', 'a:1'],
  ['connect', ':method', 'CONNECT', ':authority', 'a'],
  ['connect', ':method', 'CONNECT'],
  ['extended-connect', ...GET, ':protocol', 'websocket'],
  ['extended-connect', ':method', 'CONNECT', ...GET.slice(2), ':protocol', ''],
];

describe('HTTP/2 server: malformed requests', () => {
  for (const [kind, ...fields] of MALFORMED) {
    test(`${kind}: ${JSON.stringify(fields.join(' '))}`, async () => {
      let dispatched = 0;
      const { peer, recorder } = serve((exchange) => {
        dispatched++;
        echo(exchange);
      });
      peer.send(peer.headers(1, true, ...fields), peer.get(3));
      const log = await peer.untilLog('DATA 3 END');
      assert.ok(log.includes('RST_STREAM 1 PROTOCOL_ERROR'), log.join(', '));
      assert.deepEqual(peer.heads[0]?.fields[0], ':status: 400');
      assert.deepEqual(recorder.events, [`http2_downstream_${kind}`]);
      assert.equal(recorder.records.length, 1);
      assert.equal(recorder.records[0]?.flag, 'DPE');
      assert.equal(recorder.records[0]?.status, 400);
      assert.match(recorder.records[0]?.detail ?? '', /RFC \d{4} section/);
      assert.equal(dispatched, 1);
    });
  }

  test('upper case in a name', async () => {
    const { peer, recorder } = serve(echo);
    const block = peer.block(...GET);
    const field = Buffer.concat([Buffer.from([0x00, 4]), Buffer.from('X-Up'), Buffer.from([1]), Buffer.from('1')]);
    const whole = Buffer.concat([block, field]);
    const head = Buffer.from([0, 0, whole.length, 1, 5, 0, 0, 0, 1]);
    peer.send(Buffer.concat([head, whole]));
    await peer.untilLog('RST_STREAM 1 PROTOCOL_ERROR');
    assert.deepEqual(recorder.events, ['http2_downstream_field']);
  });

  test('content that is longer or shorter than declared resets the stream, and the exchange', async () => {
    for (const [body, trailers] of [
      ['abcd', false],
      ['ab', false],
      ['ab', true],
    ] as const) {
      const resets: string[] = [];
      const { peer, recorder } = serve((exchange) => {
        exchange.receiver = {
          onData: () => undefined,
          onTrailers: () => undefined,
          onReset: (error) => resets.push(`${error.flag} ${error.status}`),
          onWritable: () => undefined,
          onDone: () => resets.push('done'),
        };
      });
      peer.send(peer.post(1, 'content-length', '3'), peer.data(1, body, !trailers));
      if (trailers) peer.send(peer.headers(1, true, 'x', 'y'));
      await peer.untilLog('RST_STREAM 1 PROTOCOL_ERROR');
      assert.deepEqual(resets, ['DPE 400', 'done']);
      assert.deepEqual(recorder.events, ['http2_downstream_content-length']);
    }
  });

  test('trailers with pseudo-fields, framing or without END_STREAM', async () => {
    for (const [end, ...fields] of [
      [true, ':path', '/x'],
      [true, 'content-length', '3'],
      [false, 'x', 'y'],
    ] as const) {
      const { peer, recorder } = serve(echo);
      peer.send(peer.post(1), peer.data(1, 'abc'), peer.headers(1, end, ...fields));
      await peer.untilLog('RST_STREAM 1 PROTOCOL_ERROR');
      assert.deepEqual(recorder.events, ['http2_downstream_trailers']);
    }
  });

  test('fields that may not be in trailers are left out', async () => {
    const { peer } = serve(echo);
    peer.send(peer.post(1), peer.headers(1, true, 'authorization', 'x', 'x-ok', '1'));
    await peer.untilLog('DATA 1 END');
    assert.equal(peer.bodies.get(1), 'POST / |x-ok=1');
  });

  test('a head that is too large is answered 431, and the table stays that of the client', async () => {
    const { peer, recorder } = serve(echo, { headBytesMax: 4_096 });
    const large = peer.get(1, 'x-keep', 'k'.repeat(100), 'x-large', 'v'.repeat(5_000));
    peer.send(large);
    await peer.untilLog('DATA 1 END');
    assert.equal(peer.heads[0]?.fields[0], ':status: 431');
    peer.send(peer.get(3, 'x-keep', 'k'.repeat(100)));
    await peer.untilLog('DATA 3 END');
    assert.equal(peer.bodies.get(3), 'GET / ');
    assert.equal(recorder.records[0]?.status, 431);
  });

  test('too many fields are answered 431; crumbs of a cookie count once', async () => {
    const { peer, recorder } = serve(echo, { headersCountMax: 10 });
    const crumbs = Array.from({ length: 30 }, (_, i) => ['cookie', `c${i}=1`]).flat();
    const fields = Array.from({ length: 11 }, (_, i) => [`x-${i}`, '1']).flat();
    peer.send(peer.get(1, ...crumbs), peer.get(3, ...fields));
    await peer.untilLog('DATA 3 END');
    assert.equal(peer.heads.find((head) => head.id === 1)?.fields[0], ':status: 200');
    assert.equal(peer.heads.find((head) => head.id === 3)?.fields[0], ':status: 431');
    assert.deepEqual(recorder.events, ['http2_downstream_too-many-fields']);
  });
});
