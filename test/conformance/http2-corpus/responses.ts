/** Responses that HTTP/2 forbids, or that HTTP/1 clients would read as something else. */
import { shown } from './case.ts';
import { answers, broken, cut, fatal, head, ok, type ResponseCase, status } from './response-case.ts';
import { CODE, data, FLAG, frame, headers, literal, octets, reset, TYPE, uint32 } from './wire.ts';

const SPLIT = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';

const heads: readonly ResponseCase[] = [
  ...[
    '',
    '0',
    '20',
    '2000',
    '099',
    '600',
    '999',
    '-200',
    '+200',
    '2oo',
    '200 OK',
    ' 200',
    '200 ',
    '2\x00',
    '200\r\nx: y',
    '０',
  ].map((value) => broken('9113 8.3.2', `:status "${shown(value)}"`, (id) => [status(id, value, true)])),
  broken('9113 8.3.2', 'no :status', (id) => [headers(id, [['x-a', 'b']])]),
  broken('9113 8.3.2', 'no field at all', (id) => [headers(id, [])]),
  broken('9113 8.3', ':status twice', (id) => [
    headers(id, [
      [':status', '200'],
      [':status', '200'],
    ]),
  ]),
  broken('9113 8.3', ':status after a field', (id) => [
    headers(id, [
      ['x-a', 'b'],
      [':status', '200'],
    ]),
  ]),
  ...[':method', ':path', ':authority', ':scheme', ':protocol', ':foo', ':', ':Status', ':weft-version'].map((name) =>
    broken('9113 8.3', `${name} in a response`, (id) => [
      headers(id, [
        [':status', '200'],
        [name, '1.1'],
      ]),
    ]),
  ),
  broken('9113 8.6', ':status 101', (id) => [status(id, '101', false), data(id, SPLIT)]),
  broken('9113 8.6', ':status 101 with upgrade', (id) => [status(id, '101', false, ['upgrade', 'websocket'])]),
];

const badNames = [
  '',
  'a b',
  'a ',
  ' a',
  'a:',
  'a\r\nx',
  'a\n',
  'a\0',
  'a\t',
  'a(',
  '\xe9',
  'set-cookie\r\n',
  `x\r\n\r\n${SPLIT}`,
];
const badValues = [
  'a\r\nset-cookie: x',
  'a\nx',
  'a\rx',
  'a\0',
  ' a',
  'a ',
  '\ta',
  'a\x0b',
  'a\x7f',
  `a\r\n\r\n${SPLIT}`,
  `${'a'.repeat(50)}\r\nx: y`,
];

const fields: readonly ResponseCase[] = [
  ...badNames.map((name) => broken('9113 8.2.1', `name "${shown(name)}"`, (id) => [head(id, true, [name, 'v'])])),
  ...badValues.map((value) =>
    broken('response splitting', `value "${shown(value)}"`, (id) => [head(id, true, ['x-a', value])]),
  ),
  ...badValues
    .slice(0, 5)
    .map((value) =>
      broken('response splitting', `location "${shown(value)}"`, (id) => [
        status(id, '302', true, ['location', value]),
      ]),
    ),
  broken('9113 8.2.1', 'upper case in a name from outside', (id) => [head(id, true, ['X-A', 'b'])], {
    from: 'outside',
  }),
  answers('mesh', 'upper case in a name of another sidecar', (id) => [head(id, true, ['X-A', 'b'])], {
    from: 'mesh',
    fields: { 'x-a': 'b' },
  }),
  ...(
    [
      ['connection', 'close'],
      ['keep-alive', 'timeout=5'],
      ['proxy-connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['transfer-encoding', 'identity'],
      ['upgrade', 'h2c'],
      ['te', 'gzip'],
    ] as const
  ).map(([name, value]) =>
    broken('9113 8.2.2', `${name}: ${value}`, (id) => [head(id, false, [name, value]), data(id, `0\r\n\r\n${SPLIT}`)]),
  ),
  ...['Transfer-Encoding', 'Connection', 'Upgrade'].map((name) =>
    broken('mesh', `${name} of another sidecar`, (id) => [head(id, true, [name, 'chunked'])], { from: 'mesh' }),
  ),
  answers('9110 5.5', 'a value with octets above ASCII', (id) => ok(id, 'hello', ['x-a', '\xe9\xff']), {
    body: 'hello',
    fields: { 'x-a': '\xe9\xff' },
  }),
  answers('9110 5.3', 'fields that repeat', (id) => ok(id, 'hello', ['set-cookie', 'a=1'], ['set-cookie', 'b=2']), {
    body: 'hello',
    fields: { 'set-cookie': 'a=1,b=2' },
  }),
  broken(
    '6585 5',
    'too many fields',
    (id) => [head(id, true, ...Array.from({ length: 101 }, (_, i) => [`x-${i}`, 'v'] as const))],
    { told: { reset: CODE.ENHANCE_YOUR_CALM } },
  ),
];

const lengths: readonly ResponseCase[] = [
  ...['', '+5', '-5', '5, 5', '5 5', '0x5', 'x', '5;', '9'.repeat(30)].map((value) =>
    broken('9113 8.1.1', `content-length "${shown(value)}"`, (id) => ok(id, 'hello', ['content-length', value])),
  ),
  broken('9113 8.1.1', 'content-length twice', (id) =>
    ok(id, 'hello', ['content-length', '5'], ['content-length', '5']),
  ),
  broken(
    'mesh',
    'content-length in two casings',
    (id) => ok(id, 'hello', ['Content-Length', '5'], ['content-length', '0']),
    { from: 'mesh' },
  ),
  broken('9113 8.1.1', 'content-length and no content', (id) => [head(id, true, ['content-length', '5'])]),
  cut('9113 8.1.1', 'content-length longer than the content', (id) => ok(id, 'hello', ['content-length', '50'])),
  cut('response splitting', 'content-length shorter than the content', (id) =>
    ok(id, `hello${SPLIT}`, ['content-length', '5']),
  ),
  cut('response splitting', 'content-length 0 and content', (id) => ok(id, SPLIT, ['content-length', '0'])),
  cut('9113 8.1.1', 'trailers before the content is whole', (id) => [
    head(id, false, ['content-length', '9']),
    data(id, 'hello', false),
    headers(id, [['x-a', 'b']]),
  ]),
  cut('9110 15.3.5', '204 with content', (id) => [status(id, '204', false), data(id, SPLIT)], { status: 204 }),
  cut('9110 15.4.5', '304 with content', (id) => [status(id, '304', false), data(id, SPLIT)], { status: 304 }),
  cut('9110 9.3.2', 'HEAD answered with content', (id) => ok(id, SPLIT, ['content-length', String(SPLIT.length)]), {
    method: 'HEAD',
  }),
  cut('9110 9.3.2', 'HEAD answered with content of no length', (id) => ok(id, SPLIT), { method: 'HEAD' }),
  answers('9110 9.3.2', 'HEAD with a length', (id) => [head(id, true, ['content-length', '50'])], {
    method: 'HEAD',
    fields: { 'content-length': '50' },
  }),
  answers('9110 9.3.2', 'HEAD with an empty frame', (id) => ok(id, '', ['content-length', '50']), {
    method: 'HEAD',
    fields: { 'content-length': '50' },
  }),
  answers('9110 15.4.5', '304 with a length', (id) => [status(id, '304', true, ['content-length', '50'])], {
    status: 304,
    fields: { 'content-length': '50' },
  }),
  answers('9110 15.3.5', '204 with length 0', (id) => [status(id, '204', true, ['content-length', '0'])], {
    status: 204,
    fields: { 'content-length': undefined },
  }),
  answers('9113 8.1', 'content', (id) => ok(id, 'hello', ['content-length', '5']), {
    body: 'hello',
    fields: { 'content-length': '5' },
  }),
  answers('9113 8.1', 'content without a length', (id) => ok(id, 'hello'), { body: 'hello' }),
  answers('response splitting', 'a response as content', (id) => ok(id, SPLIT), { body: SPLIT }),
  answers('9113 8.1', 'no content', (id) => [head(id, true)]),
  answers(
    '9113 6.1',
    'content in pieces and padding',
    (id) => [
      head(id, false, ['content-length', '5']),
      data(id, 'he', false),
      frame(TYPE.DATA, FLAG.PADDED, id, '\x03l\0\0\0'),
      frame(TYPE.DATA, FLAG.PADDED, id, '\x03\0\0\0'),
      data(id, '', false),
      data(id, 'lo'),
    ],
    { body: 'hello' },
  ),
];

const order: readonly ResponseCase[] = [
  broken('9113 8.1', 'DATA before HEADERS', (id) => [data(id, SPLIT)]),
  broken('9113 8.1', 'DATA before HEADERS, and HEADERS', (id) => [data(id, 'hello', false), head(id, true)]),
  broken('9113 8.1', 'an empty DATA before HEADERS', (id) => [data(id, '', false), ...ok(id, 'hello')]),
  broken('9113 8.1', 'DATA after an interim response', (id) => [status(id, '103', false), data(id, SPLIT)], {
    interims: [103],
  }),
  broken('9113 8.1', 'an empty DATA that ends before HEADERS', (id) => [data(id, '')]),
  broken('9113 8.1', 'an interim response that ends the stream', (id) => [status(id, '103', true)]),
  ...['100', '102', '103', '199'].map((value) =>
    answers('9110 15.2', `interim ${value}`, (id) => [status(id, value, false, ['x-i', 'j']), ...ok(id, 'hello')], {
      interims: [Number(value)],
      body: 'hello',
    }),
  ),
  answers(
    '9110 15.2',
    'an interim response with a length',
    (id) => [status(id, '103', false, ['content-length', '10']), ...ok(id, 'hello')],
    { interims: [103], body: 'hello' },
  ),
  broken(
    '9110 15.2',
    'interim responses without end',
    (id) => Array.from({ length: 40 }, () => status(id, '103', false)),
    { interims: Array.from({ length: 32 }, () => 103) },
  ),
  cut('9113 8.1', 'a second final head', (id) => [head(id, false), head(id, true)]),
  cut('9113 8.1', 'a second head without END_STREAM', (id) => [
    head(id, false),
    data(id, 'hello', false),
    headers(id, [['x-a', 'b']], false),
  ]),
  cut('9113 8.1', 'an interim response after the head', (id) => [head(id, false), status(id, '103', false)]),
  ...(
    [
      ['content-length', '0'],
      ['transfer-encoding', 'chunked'],
      ['connection', 'close'],
      [':status', '200'],
      ['x\r\ny', 'z'],
      ['x-a', `b\r\n\r\n${SPLIT}`],
    ] as const
  ).map(([name, value]) =>
    cut('9110 6.5.1', `"${shown(name)}: ${shown(value)}" after the content`, (id) => [
      head(id, false),
      data(id, 'hello', false),
      headers(id, [[name, value]]),
    ]),
  ),
  answers(
    '9110 6.5',
    'trailers',
    (id) => [
      head(id, false),
      data(id, 'hello', false),
      headers(id, [
        ['x-a', 'b'],
        ['set-cookie', 'c'],
      ]),
    ],
    { body: 'hello' },
  ),
  answers('9110 6.5', 'trailers without content', (id) => [head(id, false), headers(id, [['x-a', 'b']])]),
  answers('9113 5.1', 'RST_STREAM instead of a response', (id) => [reset(id, CODE.INTERNAL_ERROR)], {
    ends: 'refused',
    status: 503,
  }),
  answers(
    '9113 5.1',
    'RST_STREAM within the content',
    (id) => [head(id, false), data(id, 'hello', false), reset(id, CODE.INTERNAL_ERROR)],
    { ends: 'cut' },
  ),
  answers(
    '9113 5.1',
    'RST_STREAM of NO_ERROR within the content',
    (id) => [head(id, false), data(id, 'hello', false), reset(id, CODE.NO_ERROR)],
    { ends: 'cut' },
  ),
  answers('9113 8.1', 'RST_STREAM of NO_ERROR after the response', (id) => [...ok(id, 'hello')], { body: 'hello' }),
];

const block = Buffer.concat([literal(':status', '200'), literal('x-a', 'b')]);

const frames: readonly ResponseCase[] = [
  fatal(
    '9113 8.4',
    'PUSH_PROMISE',
    (id) => [frame(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, id, Buffer.concat([uint32(2), block]))],
    CODE.PROTOCOL_ERROR,
  ),
  fatal('9113 5.1.1', 'HEADERS on a stream of its own', () => [headers(2, [[':status', '200']])], CODE.PROTOCOL_ERROR),
  fatal(
    '9113 5.1.1',
    'HEADERS on a stream that was not opened',
    (id) => [headers(id + 2, [[':status', '200']])],
    CODE.PROTOCOL_ERROR,
  ),
  fatal('9113 6.1', 'DATA on stream 0', () => [data(0, SPLIT)], CODE.PROTOCOL_ERROR),
  fatal(
    '9113 6.10',
    'DATA within a head',
    (id) => [frame(TYPE.HEADERS, 0, id, block.subarray(0, 5)), data(id, 'x')],
    CODE.PROTOCOL_ERROR,
  ),
  fatal(
    '9113 4.2',
    'a frame of more than MAX_FRAME_SIZE',
    (id) => [frame(TYPE.DATA, 0, id, Buffer.alloc(16_385))],
    CODE.FRAME_SIZE_ERROR,
  ),
  fatal(
    '7541 2.3.3',
    'an index of no table',
    (id) => [headers(id, Buffer.from([0x88, 0xff, 0x80, 0x01]))],
    CODE.COMPRESSION_ERROR,
  ),
  fatal(
    '7541 6.3',
    'a table larger than was allowed',
    (id) => [headers(id, Buffer.from([0x3f, 0xe2, 0x1f, 0x88]))],
    CODE.COMPRESSION_ERROR,
  ),
  fatal(
    'CVE-2024-27316',
    'CONTINUATION without end',
    (id) => [
      Buffer.concat([
        frame(TYPE.HEADERS, 0, id, block),
        ...Array.from({ length: 60 }, () => frame(TYPE.CONTINUATION, 0, id, octets('\0\x01a\x01b'))),
      ]),
    ],
    CODE.ENHANCE_YOUR_CALM,
  ),
  fatal(
    '9113 6.5.2',
    'ENABLE_PUSH 1 of a server',
    () => [frame(TYPE.SETTINGS, 0, 0, octets('\0\x02\0\0\0\x01'))],
    CODE.PROTOCOL_ERROR,
  ),
  fatal(
    '9113 6.9',
    'WINDOW_UPDATE of 0 on the connection',
    () => [frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(0))],
    CODE.PROTOCOL_ERROR,
  ),
  fatal('response splitting', 'HTTP/1 instead of frames', () => [octets(SPLIT)], CODE.FRAME_SIZE_ERROR),
  answers(
    '9113 6.10',
    'a head in two frames',
    (id) => [
      frame(TYPE.HEADERS, FLAG.END_STREAM, id, block.subarray(0, 5)),
      frame(TYPE.CONTINUATION, FLAG.END_HEADERS, id, block.subarray(5)),
    ],
    { fields: { 'x-a': 'b' } },
  ),
];

export const responseCases: readonly ResponseCase[] = [...heads, ...fields, ...lengths, ...order, ...frames];
