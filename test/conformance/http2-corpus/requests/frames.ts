/** Frames that do not belong where they are, and header blocks that are none. */
import { ends, forwards, get, type RequestCase, request, resets, seen } from '../case.ts';
import {
  CODE,
  data,
  FLAG,
  frame,
  goaway,
  headers,
  indexed,
  integer,
  literal,
  octets,
  reset,
  SETTING,
  settings,
  TYPE,
  uint32,
  windowUpdate,
} from '../wire.ts';

const block = Buffer.concat(request().map(([name, value]) => literal(name, value)));
const HALF = frame(TYPE.HEADERS, FLAG.END_STREAM, 1, block.subarray(0, 20));
const rest = (id = 1): Buffer => frame(TYPE.CONTINUATION, FLAG.END_HEADERS, id, block.subarray(20));
const open = headers(1, request({ ':method': 'POST' }), false);
const { FRAME_SIZE_ERROR, STREAM_CLOSED, FLOW_CONTROL_ERROR, COMPRESSION_ERROR, ENHANCE_YOUR_CALM } = CODE;

const continuation: readonly RequestCase[] = [
  forwards('9113 6.10', 'a head in two frames', [HALF, rest()]),
  forwards('9113 6.10', 'a head in frames of one octet each, few', [
    frame(TYPE.HEADERS, FLAG.END_STREAM, 1, block.subarray(0, block.length - 10)),
    ...[...block.subarray(-10)].map((octet, i) =>
      frame(TYPE.CONTINUATION, i === 9 ? FLAG.END_HEADERS : 0, 1, Buffer.from([octet])),
    ),
  ]),
  forwards('9113 6.10', 'an empty CONTINUATION at the end', [
    frame(TYPE.HEADERS, FLAG.END_STREAM, 1, block),
    frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 1),
  ]),
  ends('9113 6.10', 'CONTINUATION of another stream', [HALF, rest(3)]),
  ends('9113 6.10', 'CONTINUATION of no stream', [HALF, rest(0)]),
  ends('9113 6.10', 'CONTINUATION without HEADERS', rest()),
  ends('9113 6.10', 'CONTINUATION after a whole head', [get(), rest()], CODE.PROTOCOL_ERROR, { maybe: [seen()] }),
  ends('9113 6.10', 'DATA within a head', [HALF, data(1, 'x'), rest()]),
  ends('9113 6.10', 'HEADERS of another stream within a head', [HALF, headers(3, request()), rest()]),
  ends('9113 6.10', 'PING within a head', [HALF, frame(TYPE.PING, 0, 0, Buffer.alloc(8)), rest()]),
  ends('9113 6.10', 'SETTINGS within a head', [HALF, settings(), rest()]),
  ends('9113 6.10', 'an unknown type within a head', [HALF, frame(0xfa, 0, 1, 'x'), rest()]),
  ends('9113 6.10', 'RST_STREAM within a head', [HALF, reset(1), rest()]),
  ends('9113 6.10', 'PRIORITY within a head', [HALF, frame(TYPE.PRIORITY, 0, 3, Buffer.alloc(5)), rest()]),
  ends(
    'CVE-2024-27316',
    'CONTINUATION without end',
    [HALF, ...Array.from({ length: 60 }, () => frame(TYPE.CONTINUATION, 0, 1, literal('x-a', 'b')))],
    ENHANCE_YOUR_CALM,
  ),
  ends(
    'CVE-2024-27316',
    'empty CONTINUATION without end',
    [HALF, ...Array.from({ length: 60 }, () => frame(TYPE.CONTINUATION, 0, 1))],
    ENHANCE_YOUR_CALM,
  ),
  ends(
    'CVE-2024-27316',
    'a block of more than twice a head',
    [HALF, ...Array.from({ length: 12 }, () => frame(TYPE.CONTINUATION, 0, 1, literal('x-a', 'b'.repeat(15_000))))],
    ENHANCE_YOUR_CALM,
  ),
];

const streams: readonly RequestCase[] = [
  ends('9113 5.1.1', 'a stream with an even number', headers(2, request())),
  ends('9113 5.1.1', 'HEADERS on stream 0', headers(0, request())),
  ends(
    '9113 5.1.1',
    'a stream lower than one that was opened',
    [headers(9, request({ ':path': '/nine' })), headers(5, request())],
    CODE.PROTOCOL_ERROR,
    { maybe: [seen({ target: '/nine' })] },
  ),
  ends('9113 5.1', 'DATA on a stream that was not opened', data(1, 'x')),
  ends('9113 5.1', 'RST_STREAM on a stream that was not opened', reset(1)),
  ends('9113 5.1', 'WINDOW_UPDATE on a stream that was not opened', windowUpdate(1, 1)),
  ends('9113 6.1', 'DATA on stream 0', data(0, 'x')),
  resets('9113 5.1', 'DATA after the end of the stream', [Buffer.concat([get(), data(1, 'x')])], STREAM_CLOSED, {
    maybe: [seen()],
  }),
  resets('9113 6.9', 'WINDOW_UPDATE of 0 on a stream', [open, windowUpdate(1, 0)], CODE.PROTOCOL_ERROR),
  resets('9113 6.9.1', 'a window beyond 2^31-1 on a stream', [open, windowUpdate(1, 0x7fffffff)], FLOW_CONTROL_ERROR),
  ends('9113 6.9', 'WINDOW_UPDATE of 0 on the connection', windowUpdate(0, 0)),
  ends('9113 6.9.1', 'a window beyond 2^31-1 on the connection', windowUpdate(0, 0x7fffffff), FLOW_CONTROL_ERROR),
  ends('9113 6.9', 'WINDOW_UPDATE of 3 octets', frame(TYPE.WINDOW_UPDATE, 0, 0, 'abc'), FRAME_SIZE_ERROR),
  ends('9113 6.4', 'RST_STREAM on stream 0', reset(0)),
  ends('9113 6.4', 'RST_STREAM of 3 octets', [open, frame(TYPE.RST_STREAM, 0, 1, 'abc')], FRAME_SIZE_ERROR),
  ends('9113 6.3', 'PRIORITY on stream 0', frame(TYPE.PRIORITY, 0, 0, Buffer.alloc(5))),
  resets(
    '7540 5.3.1',
    'PRIORITY on itself',
    [open, frame(TYPE.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 1, 1]))],
    CODE.PROTOCOL_ERROR,
  ),
  resets('9113 6.3', 'PRIORITY of 4 octets', [open, frame(TYPE.PRIORITY, 0, 1, Buffer.alloc(4))], FRAME_SIZE_ERROR),
  ends(
    '9113 8.4',
    'PUSH_PROMISE of a client',
    frame(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.concat([uint32(2), block])),
  ),
  ends('9113 6.7', 'PING on a stream', frame(TYPE.PING, 0, 1, Buffer.alloc(8))),
  ends('9113 6.7', 'PING of 7 octets', frame(TYPE.PING, 0, 0, Buffer.alloc(7)), FRAME_SIZE_ERROR),
  ends('9113 6.8', 'GOAWAY on a stream', frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8))),
  ends('9113 6.8', 'GOAWAY of 7 octets', frame(TYPE.GOAWAY, 0, 0, Buffer.alloc(7)), FRAME_SIZE_ERROR),
  ends(
    '9113 4.2',
    'a frame of more than MAX_FRAME_SIZE',
    frame(TYPE.DATA, 0, 1, Buffer.alloc(16_385)),
    FRAME_SIZE_ERROR,
  ),
  ends(
    '9113 4.2',
    'an unknown frame of more than MAX_FRAME_SIZE',
    frame(0xfa, 0, 1, Buffer.alloc(20_000)),
    FRAME_SIZE_ERROR,
  ),
  forwards('9113 5.5', 'unknown types before a request', [
    frame(0xfa, 0xff, 1, 'GET / HTTP/1.1'),
    frame(0x0a, 0, 0, ''),
    get(),
  ]),
  forwards(
    '9113 4.1',
    'flags that mean nothing and a reserved bit',
    frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM | 0xd2, 1, block).fill(0x80, 5, 6),
  ),
  forwards('9113 6.8', 'GOAWAY, and a request all the same', [goaway(0, CODE.NO_ERROR), get()]),
  forwards(
    '9113 5.1',
    'a stream that was reset at once, and another',
    [Buffer.concat([headers(1, request({ ':path': '/reset' }), false), reset(1)]), headers(3, request())],
    [seen()],
  ),
];

const setting: readonly RequestCase[] = [
  ends('9113 6.5', 'SETTINGS on a stream', frame(TYPE.SETTINGS, 0, 1)),
  ends('9113 6.5', 'SETTINGS of 5 octets', frame(TYPE.SETTINGS, 0, 0, 'abcde'), FRAME_SIZE_ERROR),
  ends(
    '9113 6.5',
    'an acknowledgement with content',
    frame(TYPE.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6)),
    FRAME_SIZE_ERROR,
  ),
  ends('9113 6.5.2', 'ENABLE_PUSH 2', settings([SETTING.ENABLE_PUSH, 2])),
  ends(
    '9113 6.5.2',
    'INITIAL_WINDOW_SIZE 2^31',
    settings([SETTING.INITIAL_WINDOW_SIZE, 0x80000000]),
    FLOW_CONTROL_ERROR,
  ),
  ends('9113 6.5.2', 'MAX_FRAME_SIZE 16383', settings([SETTING.MAX_FRAME_SIZE, 16_383])),
  ends('9113 6.5.2', 'MAX_FRAME_SIZE 2^24', settings([SETTING.MAX_FRAME_SIZE, 0x1000000])),
  ends('8441 3', 'ENABLE_CONNECT_PROTOCOL 2', settings([SETTING.ENABLE_CONNECT_PROTOCOL, 2])),
  ends('8441 3', 'ENABLE_CONNECT_PROTOCOL taken back', [
    settings([SETTING.ENABLE_CONNECT_PROTOCOL, 1]),
    settings([SETTING.ENABLE_CONNECT_PROTOCOL, 0]),
  ]),
  ends(
    '9113 6.9.2',
    'a window of a stream that overflows by SETTINGS',
    [open, windowUpdate(1, 0x7fff0000 - 65_535), settings([SETTING.INITIAL_WINDOW_SIZE, 0x7fffffff])],
    FLOW_CONTROL_ERROR,
  ),
  forwards('9113 6.5.2', 'unknown settings', [settings([0xfafa, 1], [0, 0]), get()]),
  forwards('7541 4.2', 'HEADER_TABLE_SIZE 0, then 4096', [
    settings([SETTING.HEADER_TABLE_SIZE, 0], [SETTING.HEADER_TABLE_SIZE, 4_096]),
    get(),
  ]),
];

const head = (...parts: readonly Buffer[]): Buffer => headers(1, Buffer.concat(parts));

const hpack: readonly RequestCase[] = [
  ends('7541 2.3.3', 'index 0', head(Buffer.from([0x80]), block), COMPRESSION_ERROR),
  ends('7541 2.3.3', 'an index beyond the tables', head(Buffer.from([0xbe]), block), COMPRESSION_ERROR),
  ends(
    '7541 2.3.3',
    'a name of an index beyond the tables',
    head(Buffer.from([0x7f, 0x20, 0x01, 0x61]), block),
    COMPRESSION_ERROR,
  ),
  ends(
    '7541 5.1',
    'an integer that never ends',
    head(Buffer.from([0xff, ...Array.from({ length: 12 }, () => 0xff)])),
    COMPRESSION_ERROR,
  ),
  ends(
    '7541 5.1',
    'an integer of too many octets',
    head(Buffer.from([0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00])),
    COMPRESSION_ERROR,
  ),
  ends('7541 5.2', 'a string longer than the block', head(block, Buffer.from([0x00, 0x7f, 0x61])), COMPRESSION_ERROR),
  ends(
    '7541 5.2',
    'a block that ends within a string',
    head(block, Buffer.from([0x00, 0x05, 0x61])),
    COMPRESSION_ERROR,
  ),
  ends('7541 5.2', 'a block that ends before a value', head(block, Buffer.from([0x00, 0x01, 0x61])), COMPRESSION_ERROR),
  ends(
    '7541 5.2',
    'Huffman with EOS',
    head(block, Buffer.from([0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00])),
    COMPRESSION_ERROR,
  ),
  ends('7541 5.2', 'Huffman padded with zeros', head(block, Buffer.from([0x00, 0x81, 0x18, 0x00])), COMPRESSION_ERROR),
  ends(
    '7541 5.2',
    'Huffman padded with an octet too many',
    head(block, Buffer.from([0x00, 0x82, 0x1f, 0xff, 0x00])),
    COMPRESSION_ERROR,
  ),
  ends('7541 6.3', 'a table larger than was allowed', head(integer(0x20, 5, 4_097), block), COMPRESSION_ERROR),
  ends('7541 4.2', 'a size update after a field', head(block, integer(0x20, 5, 0)), COMPRESSION_ERROR),
  ends(
    '7541 7.4',
    'a string of a megabyte, said',
    head(Buffer.from([0x00]), integer(0, 7, 1 << 20)),
    COMPRESSION_ERROR,
  ),
  forwards('7541 4.2', 'size updates at the beginning', head(integer(0x20, 5, 0), integer(0x20, 5, 4_096), block)),
  forwards('7541 4.4', 'a field larger than the table', head(block, indexed('x-a', 'v'.repeat(5_000))), {
    fields: { 'x-a': 'v'.repeat(5_000) },
  }),
  forwards(
    '7541 2.3',
    'a field from the table',
    [head(block, indexed('x-a', 'v')), headers(3, Buffer.concat([block, Buffer.from([0xbe])]))],
    [seen({ fields: { 'x-a': 'v' } }), seen({ fields: { 'x-a': 'v' } })],
  ),
  forwards(
    '7541 2.3',
    'the table of a refused head is kept',
    [
      Buffer.concat([
        headers(1, Buffer.concat([block, indexed('x-a', 'v'), literal('A', 'x'), literal('a b', '')])),
        headers(3, Buffer.concat([block, Buffer.from([0xbe])])),
      ]),
    ],
    [seen({ fields: { 'x-a': 'v' } })],
  ),
  forwards('7541 6.2.3', 'a field never to be indexed', head(block, octets('\x10\x03x-a\x01v')), {
    fields: { 'x-a': 'v' },
  }),
];

export const frameCases: readonly RequestCase[] = [...continuation, ...streams, ...setting, ...hpack];
