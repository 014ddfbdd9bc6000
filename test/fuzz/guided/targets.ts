import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import type { Dispatch, ResponseReceiver } from '@weft/sidecar/http/exchange';
import { ChunkedDecoder } from '@weft/sidecar/http/h1/chunked';
import { ParsedRequest, parseRequestHead } from '@weft/sidecar/http/h1/parse-request';
import { ParsedResponse, parseResponseHead } from '@weft/sidecar/http/h1/parse-response';
import { answer } from '@weft/sidecar/http/h1/testing';
import { HpackDecoder } from '@weft/sidecar/http/h2/hpack/decoder';
import { connect, serve } from '@weft/sidecar/http/h2/testing';
import { Headers } from '@weft/sidecar/http/headers';
import { parseClientHello } from '@weft/sidecar/listener/client-hello';
import { parseProxyHeader } from '@weft/sidecar/listener/proxy-protocol';
import * as seeds from './seeds.ts';
import type { Target } from './target.ts';

const FIELDS_MAX = 100;
const TABLE_BYTES_MAX = 4_096;
const STRING_BYTES_MAX = 1_024;

function noLineEnds(headers: Headers): void {
  headers.forEach((name, value) => {
    assert.doesNotMatch(name + value, /[\r\n\0]/);
  });
}

/** Blocks of one connection, each behind an octet with its length. */
function hpack(input: Buffer): void {
  const decoder = new HpackDecoder({
    tableBytesMax: TABLE_BYTES_MAX,
    stringBytesMax: STRING_BYTES_MAX,
    keepsCase: (input[0] ?? 0) % 2 === 1,
  });
  for (let at = 1; at < input.length; ) {
    const end = Math.min(input.length, at + 1 + (input[at] ?? 0));
    let fields = 0;
    const sink = {
      field: ({ name, value }: { readonly name: string; readonly value: string }) => {
        fields++;
        assert.ok(name.length <= STRING_BYTES_MAX && value.length <= STRING_BYTES_MAX);
      },
    };
    const error = decoder.decode(input, at + 1, end, sink);
    assert.ok(fields <= end - at);
    assert.ok(decoder.tableBytes <= TABLE_BYTES_MAX);
    if (error !== undefined) return;
    if (end - at === 0x61) decoder.setTableBytesMax(input[at + 1] ?? 0);
    at = end;
  }
}

function requestHead(input: Buffer): void {
  const parsed = new ParsedRequest();
  const error = parseRequestHead(input.toString('latin1'), FIELDS_MAX, { scheme: 'http', authority: 'a' }, parsed);
  if (error !== undefined) {
    assert.ok(error.status >= 400 && error.status <= 505);
    return;
  }
  assert.ok(parsed.head !== undefined);
  assert.doesNotMatch(parsed.head.path + parsed.head.method + parsed.head.authority, /[\r\n\0 ]/);
  noLineEnds(parsed.head.headers);
}

function responseHead(input: Buffer): void {
  const parsed = new ParsedResponse();
  if (parseResponseHead(input.toString('latin1'), FIELDS_MAX, 'GET', parsed) !== undefined) return;
  assert.ok(parsed.head !== undefined && parsed.head.status >= 100 && parsed.head.status <= 599);
  assert.doesNotMatch(parsed.head.reason, /[\r\n\0]/);
  noLineEnds(parsed.head.headers);
}

/** Content and verdict of chunked octets that come in pieces of that size. */
function chunkedOutcome(input: Buffer, pieceBytes: number): string {
  const decoder = new ChunkedDecoder();
  let content = '';
  for (let start = 0; start < input.length; start += pieceBytes) {
    const piece = input.subarray(start, start + pieceBytes);
    for (let at = 0; at < piece.length && !decoder.done && decoder.error === undefined; ) {
      const next = decoder.step(piece, at, piece.length);
      assert.ok(next > at, 'no progress');
      at = next;
      content += decoder.chunk?.toString('latin1') ?? '';
    }
  }
  if (decoder.trailers !== undefined) noLineEnds(decoder.trailers);
  return JSON.stringify([content, decoder.trailers?.length ?? 0, decoder.done, decoder.error?.kind]);
}

function chunked(input: Buffer): void {
  const whole = chunkedOutcome(input, Math.max(1, input.length));
  assert.equal(chunkedOutcome(input, 1), whole);
  assert.equal(chunkedOutcome(input, 3), whole);
}

function clientHello(input: Buffer): void {
  const whole = parseClientHello(input);
  if (typeof whole === 'string') return;
  assert.ok(whole.serverName.length <= input.length);
  // More octets behind a whole greeting do not change it, and none of its beginnings is another one.
  assert.deepEqual(parseClientHello(Buffer.concat([input, Buffer.from('more')])), whole);
  const part = parseClientHello(input.subarray(0, input.length >> 1));
  if (typeof part !== 'string') assert.deepEqual(part, whole);
}

/** Either no header, however much more comes, or the same one whatever follows it. */
function proxyHeader(input: Buffer): void {
  const whole = parseProxyHeader(input);
  if (whole === 'more') return;
  assert.deepEqual(parseProxyHeader(Buffer.concat([input, Buffer.from('more')])), whole);
  if (!whole.ok) return;
  const { addresses, bytes } = whole.value;
  assert.ok(bytes <= input.length);
  assert.equal(parseProxyHeader(input.subarray(0, bytes - 1)), 'more');
  if (addresses === undefined) return;
  for (const { ip, port } of [addresses.source, addresses.destination]) {
    assert.ok(isIP(ip) !== 0 && port >= 0 && port <= 65_535, `${ip} ${port}`);
  }
}

/** Reads everything, and answers at once when it has the end. */
const dispatch: Dispatch = (exchange) => {
  exchange.receiver = {
    onData(chunk, end) {
      exchange.consumed(chunk.length);
      if (end) answer(exchange, 200, 'ok');
    },
    onTrailers: () => answer(exchange, 200, 'ok'),
    onReset: () => undefined,
    onWritable: () => undefined,
    onDone: () => undefined,
  };
  noLineEnds(exchange.head.headers);
  assert.doesNotMatch(exchange.head.path + exchange.head.method + exchange.head.authority, /[\r\n\0 ]/);
  if (exchange.endOfRequest) answer(exchange, 200, 'ok');
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What follows the preface and the settings, in two pieces. */
async function http2(input: Buffer): Promise<void> {
  const { peer, connection, recorder } = serve(dispatch, {}, { mesh: input[0] === 1 });
  const cut = Math.min(input.length, 1 + (input[1] ?? 0));
  peer.send(input.subarray(2, cut));
  peer.send(input.subarray(Math.max(2, cut)));
  await turn();
  await turn();
  assert.ok(peer.log.filter((line) => line.startsWith('GOAWAY')).length <= 2);
  connection.destroy();
  peer.socket.destroy();
  await turn();
  assert.ok(recorder.open <= 0, 'an open connection is left');
}

/** What a server sends behind its settings, to a request that was sent whole or is still being sent. */
async function http2Client(input: Buffer): Promise<void> {
  const { peer, connection } = connect({ mesh: input[0] === 1 });
  await turn();
  let ends = 0;
  const end = (): void => {
    ends++;
  };
  const receiver: ResponseReceiver = {
    onInterim: () => assert.equal(ends, 0),
    onHead: (head, isEnd) => {
      assert.ok(head.status >= 200 && head.status <= 599);
      noLineEnds(head.headers);
      if (isEnd) end();
    },
    onData: (chunk, isEnd) => {
      if (isEnd) end();
      else upstream.consumed(chunk.length);
    },
    onTrailers: end,
    onReset: end,
    onWritable: () => undefined,
  };
  const whole = (input[1] ?? 0) % 2 === 0;
  const upstream = connection.open(
    {
      method: whole ? 'GET' : 'POST',
      scheme: 'http',
      authority: 'a',
      path: '/',
      protocol: undefined,
      headers: new Headers(),
      version: 20,
      contentLength: whole ? 0 : -1,
      expectContinue: false,
    },
    whole,
    receiver,
  );
  await turn();
  peer.send(input.subarray(2));
  await turn();
  await turn();
  connection.destroy();
  peer.socket.destroy();
  await turn();
  assert.equal(ends, 1, 'an exchange ends exactly once');
}

const words = (...all: readonly string[]): Buffer[] => all.map((word) => Buffer.from(word, 'latin1'));
const http1Words = words(
  ...['\r\n', '\r\n\r\n', ': ', 'HTTP/1.1', 'HTTP/1.0', 'GET ', 'CONNECT ', 'OPTIONS * ', 'http://a/', 'Host: a\r\n'],
  ...['Content-Length: 1\r\n', 'Transfer-Encoding: chunked\r\n', 'gzip, ', 'Connection: close, upgrade\r\n'],
  ...['Upgrade: websocket\r\n', 'Expect: 100-continue\r\n', 'TE: trailers\r\n', ' ', '\t', '\0', '%00', '[::1]:80'],
);
const ANY_BYTES_MAX = 600;

export const targets: readonly Target[] = [
  {
    name: 'hpack',
    scripts: /\/http\/h2\/hpack\//,
    seeds: seeds.hpack,
    words: words(
      ':path',
      ':method',
      'cookie',
      'te',
      '\x40',
      '\x20',
      '\x3f\xe1\x1f',
      '\x7f',
      '\xff\x80',
      '\xbe',
      '\x82',
    ),
    bytesMax: ANY_BYTES_MAX,
    run: hpack,
  },
  {
    name: 'http1-request-head',
    scripts: /\/http\/h1\/(?:parse|framing|chars|head)/,
    seeds: seeds.requestHeads,
    words: http1Words,
    bytesMax: ANY_BYTES_MAX,
    run: requestHead,
  },
  {
    name: 'http1-response-head',
    scripts: /\/http\/h1\/(?:parse|framing|chars|head)/,
    seeds: seeds.responseHeads,
    words: http1Words,
    bytesMax: ANY_BYTES_MAX,
    run: responseHead,
  },
  {
    name: 'chunked',
    scripts: /\/http\/h1\/(?:chunked|parse-fields|chars)/,
    seeds: seeds.chunked,
    words: words(
      '\r\n',
      '0\r\n\r\n',
      ';a=b',
      ';a="\\""',
      '5\r\nhello',
      'ffffffffffff',
      'X: y\r\n',
      'Content-Length: 1\r\n',
    ),
    bytesMax: 200,
    run: chunked,
  },
  {
    name: 'client-hello',
    scripts: /\/listener\/client-hello/,
    seeds: seeds.clientHellos,
    words: words('\x16\x03\x01', '\0\0', '\0\x10', '\x02h2', '\x01\0', '\0\0\0'),
    bytesMax: ANY_BYTES_MAX,
    run: clientHello,
  },
  {
    name: 'proxy-header',
    scripts: /\/listener\/proxy-protocol/,
    seeds: seeds.proxyHeaders,
    words: words(
      'PROXY ',
      'TCP4 ',
      'TCP6 ',
      'UNKNOWN',
      '\r\n',
      ' 65535',
      '192.0.2.1',
      '::ffff:1.2.3.4',
      '\x21\x11\0\x0c',
    ),
    bytesMax: 200,
    run: proxyHeader,
  },
  {
    name: 'http2-client',
    scripts: /\/http\/h2\//,
    seeds: seeds.http2Answers,
    words: seeds.http2Words,
    bytesMax: 1_500,
    run: http2Client,
  },
  {
    name: 'http2-server',
    scripts: /\/http\/h2\//,
    seeds: seeds.http2Frames,
    words: seeds.http2Words,
    bytesMax: 1_500,
    run: http2,
  },
];
