/** Well-formed inputs, from which mutation begins. */
import * as F from '@weft/sidecar/http/h2/frames';
import { ByteWriter } from '@weft/sidecar/http/h2/hpack/byte-writer';
import { HpackEncoder } from '@weft/sidecar/http/h2/hpack/encoder';
import { frame, settings, uint32 } from '@weft/sidecar/http/h2/testing';

const latin1 = (...texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text, 'latin1'));

function block(...fields: readonly (readonly [string, string])[]): Buffer {
  const out = new ByteWriter();
  const encoder = new HpackEncoder({ tableBytesMax: 4_096, keepsCase: false });
  for (const [name, value] of fields) encoder.field(name, name, value, out);
  return Buffer.from(out.written());
}

const behindLength = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([bytes.length]), bytes]);

const request = (method: string) =>
  [
    [':method', method],
    [':scheme', 'http'],
    [':path', '/a?b'],
    [':authority', 'a.test'],
  ] as const;
const get = block(...request('GET'), ['x-a', 'b'], ['cookie', 'a=1']);
const post = block(...request('POST'), ['content-length', '5'], ['te', 'trailers']);

export const hpack: readonly Buffer[] = [
  Buffer.concat([Buffer.from([0]), behindLength(get), behindLength(post), behindLength(get)]),
  Buffer.concat([Buffer.from([1]), behindLength(Buffer.from('3fe11f82418cf1e3c2e5f23a6ba0ab90f4ff', 'hex'))]),
];

export const requestHeads: readonly Buffer[] = latin1(
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /x?y HTTP/1.1\r\nHost: a:80\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n',
  'PUT http://a/x HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n',
  'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
);

export const responseHeads: readonly Buffer[] = latin1(
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  'HTTP/1.0 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n',
);

export const chunked: readonly Buffer[] = latin1(
  '5\r\nhello\r\n0\r\n\r\n',
  'A;x="y\\"z";w\r\n0123456789\r\n000\r\nX: y\r\nZ: w\r\n\r\nrest',
);

/** A ClientHello with a name and protocols (RFC 8446 section 4.1.2). */
function hello(name: string, protocols: readonly string[]): Buffer {
  const vector = (bytes: Buffer, width: number): Buffer => {
    const length = Buffer.alloc(width);
    length.writeUIntBE(bytes.length, 0, width);
    return Buffer.concat([length, bytes]);
  };
  const extension = (type: number, data: Buffer): Buffer =>
    Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(data, 2)]);
  const serverName = vector(Buffer.concat([Buffer.from([0]), vector(Buffer.from(name), 2)]), 2);
  const alpn = vector(Buffer.concat(protocols.map((protocol) => vector(Buffer.from(protocol), 1))), 2);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(Buffer.alloc(4, 1), 1),
    vector(Buffer.from([0x13, 0x01]), 2),
    vector(Buffer.from([0]), 1),
    vector(
      Buffer.concat([extension(0, serverName), extension(0x2b, Buffer.from([2, 3, 4])), extension(0x10, alpn)]),
      2,
    ),
  ]);
  return Buffer.concat([Buffer.from([0x16, 3, 1]), vector(Buffer.concat([Buffer.from([1]), vector(body, 3)]), 2)]);
}

export const clientHellos: readonly Buffer[] = [hello('a.test', ['h2', 'http/1.1']), hello('', ['weft-h2'])];

export const proxyHeaders: readonly Buffer[] = [
  ...latin1(
    'PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\nGET /',
    'PROXY TCP6 2001:db8::1 ::1 1 2\r\n',
    'PROXY UNKNOWN\r\n',
  ),
  Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000201c000020203e80050', 'hex'),
  Buffer.from(`0d0a0d0a000d0a515549540a21210024${'20010db8000000000000000000000001'.repeat(2)}03e80050`, 'hex'),
  Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'),
];

const END = F.FLAG_END_STREAM;
const HEADS = F.FLAG_END_HEADERS;
const plain = Buffer.from([0, 255]);
const mesh = Buffer.from([1, 40]);

export const http2Frames: readonly Buffer[] = [
  Buffer.concat([plain, frame(F.HEADERS, HEADS | END, 1, get), frame(F.HEADERS, HEADS | END, 3, get)]),
  Buffer.concat([
    mesh,
    frame(F.HEADERS, HEADS, 1, post),
    frame(F.DATA, 0, 1, 'hel'),
    frame(F.DATA, END | F.FLAG_PADDED, 1, '\x02lo\0\0'),
  ]),
  Buffer.concat([
    plain,
    frame(F.HEADERS, 0, 1, post.subarray(0, 5)),
    frame(F.CONTINUATION, HEADS, 1, post.subarray(5)),
    frame(F.DATA, 0, 1, 'hello'),
    frame(F.HEADERS, HEADS | END, 1, block(['x-sum', '5'])),
  ]),
  Buffer.concat([
    plain,
    settings(1, 100, 3, 10, 4, 70_000, 5, 20_000, 8, 1),
    frame(F.PING, 0, 0, 'pingping'),
    frame(F.WINDOW_UPDATE, 0, 0, uint32(1_000)),
    frame(F.HEADERS, HEADS, 1, post),
    frame(F.WINDOW_UPDATE, 0, 1, uint32(1_000)),
    frame(F.PRIORITY, 0, 1, Buffer.from('0000000010', 'hex')),
    frame(F.RST_STREAM, 0, 1, uint32(8)),
    frame(F.GOAWAY, 0, 0, uint32(0, 0)),
  ]),
  Buffer.concat([
    mesh,
    frame(
      F.HEADERS,
      HEADS,
      1,
      block(...request('CONNECT'), [':protocol', 'websocket'], ['sec-websocket-version', '13']),
    ),
    frame(F.DATA, 0, 1, 'hello'),
  ]),
];

const ok = block([':status', '200'], ['content-length', '5']);

export const http2Answers: readonly Buffer[] = [
  Buffer.concat([plain, frame(F.HEADERS, HEADS, 1, ok), frame(F.DATA, END, 1, 'hello')]),
  Buffer.concat([
    Buffer.from([1, 1]),
    frame(F.HEADERS, HEADS, 1, block([':status', '103'], ['link', 'x'])),
    frame(F.HEADERS, HEADS, 1, block([':status', '200'])),
    frame(F.DATA, F.FLAG_PADDED, 1, '\x02hello\0\0'),
    frame(F.HEADERS, HEADS | END, 1, block(['grpc-status', '0'])),
  ]),
  Buffer.concat([
    plain,
    settings(1, 0, 3, 1, 4, 10, 8, 1),
    frame(F.WINDOW_UPDATE, 0, 0, uint32(1_000)),
    frame(F.GOAWAY, 0, 0, uint32(1, 0)),
    frame(F.HEADERS, HEADS | END, 1, block([':status', '204'])),
  ]),
  Buffer.concat([plain, frame(F.RST_STREAM, 0, 1, uint32(7)), frame(F.PING, 0, 0, 'pingping')]),
];

export const http2Words: readonly Buffer[] = [
  ...[...http2Frames, ...http2Answers].map((frames) => frames.subarray(2, 60)),
  frame(F.SETTINGS, F.FLAG_ACK, 0),
  frame(F.SETTINGS, 0, 0),
  frame(F.DATA, END, 1),
  frame(F.DATA, 0, 1, 'x'),
  frame(F.RST_STREAM, 0, 1, uint32(8)),
  frame(F.WINDOW_UPDATE, 0, 0, uint32(0x7fff_ffff)),
  frame(F.PUSH_PROMISE, HEADS, 1, uint32(2)),
  frame(F.HEADERS, HEADS | END | F.FLAG_PRIORITY, 5, Buffer.concat([Buffer.from('0000000110', 'hex'), get])),
  frame(F.HEADERS, HEADS | END, 7, get),
];
