/** Where a request ends: lengths against frames, trailers, padding, limits. */
import {
  answers,
  ends,
  forwards,
  get,
  malformed,
  post,
  type RequestCase,
  request,
  resets,
  SMUGGLED,
  seen,
  shown,
} from '../case.ts';
import { CODE, data, type FieldPair, FLAG, frame, headers, literal, octets, TYPE } from '../wire.ts';

const open = (...more: readonly FieldPair[]): Buffer => headers(1, request({ ':method': 'POST' }, ...more), false);
const length = (value: string): FieldPair => ['content-length', value];
const posted = (body: string, fields: Readonly<Record<string, string | undefined>> = {}) => ({
  method: 'POST',
  body,
  fields,
});

const lengths: readonly RequestCase[] = [
  ...['', '+5', '-5', '5, 5', '5,6', '5 5', '0x5', '5.0', '"5"', 'x', '5;', '1_0', '9'.repeat(30), '5\x85', '\xb5'].map(
    (value) => malformed('9113 8.1.1', `content-length "${shown(value)}"`, post('hello', length(value))),
  ),
  malformed('H2.CL', 'content-length 0 and content', post(SMUGGLED, length('0'))),
  malformed('H2.CL', 'content-length shorter than the content', post(`hello${SMUGGLED}`, length('5'))),
  malformed('H2.CL', 'content-length longer than the content', post('hello', length('500'))),
  malformed('H2.CL', 'content-length longer, in two frames', [open(length('9')), data(1, 'hell', false), data(1, 'o')]),
  malformed('H2.CL', 'content-length shorter, in two frames', [
    open(length('5')),
    data(1, 'hell', false),
    data(1, `o${SMUGGLED}`),
  ]),
  malformed('H2.CL', 'content-length and no content', headers(1, request({ ':method': 'POST' }, length('5')))),
  malformed('H2.CL', 'GET with a length and no content', get(length('5'))),
  malformed('H2.CL', 'twice, the same', post('hello', length('5'), length('5'))),
  malformed('H2.CL', 'twice, another', post('hello', length('5'), length('0'))),
  malformed('H2.CL', 'content-length, and trailers before the content is whole', [
    open(length('9')),
    data(1, 'hello', false),
    headers(1, [['x-a', 'b']]),
  ]),
  malformed('mesh', 'Content-Length of another sidecar that lies', post(SMUGGLED, ['Content-Length', '0']), {
    from: 'mesh',
  }),
  malformed('mesh', 'two casings of Content-Length', post('hello', ['Content-Length', '5'], length('5')), {
    from: 'mesh',
  }),
  forwards(
    '9113 8.1.1',
    'content-length',
    post('hello', length('5')),
    posted('hello', { 'transfer-encoding': undefined }),
  ),
  forwards('9113 8.1.1', 'content-length 05', post('hello', length('05')), posted('hello')),
  forwards('9113 8.1.1', 'content without a length', post('hello'), posted('hello')),
  forwards('9113 8.1.1', 'a request of its own as content', post(SMUGGLED), posted(SMUGGLED)),
  forwards('9113 8.1.1', 'chunks as content', post(`0\r\n\r\n${SMUGGLED}`), posted(`0\r\n\r\n${SMUGGLED}`)),
  forwards(
    '9113 8.1.1',
    'the end in a frame of its own',
    [open(length('5')), data(1, 'hello', false), data(1, '')],
    posted('hello'),
  ),
  forwards('9113 8.1.1', 'content of GET', [headers(1, request(), false), data(1, 'hello')], { body: 'hello' }),
  forwards('9113 8.1.1', 'GET with an empty frame', [headers(1, request(), false), data(1, '')], { body: '' }),
  forwards(
    '9113 8.1.1',
    'POST with length 0',
    headers(1, request({ ':method': 'POST' }, length('0'))),
    posted('', { 'content-length': '0' }),
  ),
  forwards(
    '9113 8.1',
    'an empty frame between',
    [open(), data(1, 'he', false), data(1, '', false), data(1, 'llo')],
    posted('hello'),
  ),
  forwards('9113 8.1', 'octet by octet', [open(), ...[...'hello'].map((c, i) => data(1, c, i === 4))], posted('hello')),
];

const withTrailers = (...fields: readonly FieldPair[]): Buffer =>
  Buffer.concat([open(), data(1, 'hello', false), headers(1, fields)]);

const trailers: readonly RequestCase[] = [
  forwards('9113 8.1', 'trailers', withTrailers(['x-a', 'b']), posted('hello')),
  forwards('9113 8.1', 'trailers without fields', withTrailers(), posted('hello')),
  forwards('9113 8.1', 'trailers at once', [open(), headers(1, [['x-a', 'b']])], posted('')),
  forwards(
    '9113 8.1',
    'trailers after a declared content',
    [open(length('5')), data(1, 'hello', false), headers(1, [['x-a', 'b']])],
    posted('hello'),
  ),
  ...(
    [
      ['content-length', '0'],
      ['host', 'evil'],
      ['te', 'trailers'],
      ['expect', '100-continue'],
      ['transfer-encoding', 'chunked'],
      ['connection', 'close'],
      ['upgrade', 'h2c'],
      ['keep-alive', 'x'],
      ['content_length', '0'],
      ['transfer_encoding', 'chunked'],
    ] as const
  ).map(([name, value]) => malformed('9110 6.5.1', `${name} after the content`, withTrailers([name, value]))),
  ...[
    'authorization',
    'cookie',
    'content-type',
    'x-forwarded-for',
    'x-forwarded-client-cert',
    'cache-control',
    'traceparent',
  ].map((name) =>
    forwards(
      '9110 6.5.1',
      `${name} after the content is left out`,
      withTrailers([name, 'v'], ['x-a', 'b']),
      posted('hello', { [name === 'x-forwarded-for' || name === 'traceparent' ? 'x-none' : name]: undefined }),
    ),
  ),
  malformed('9113 8.1', 'a second head that does not end the stream', [
    open(),
    data(1, 'a', false),
    headers(1, [['x-a', 'b']], false),
  ]),
  malformed('9113 8.1', 'a second whole head', [open(), headers(1, request())]),
  resets(
    '9113 5.1',
    'trailers after the end',
    [Buffer.concat([get(), headers(1, [['x-a', 'b']])])],
    CODE.STREAM_CLOSED,
    { maybe: [seen()] },
  ),
];

const padded = (id: number, content: string, padding: number, flags: number = FLAG.END_STREAM): Buffer =>
  frame(
    TYPE.DATA,
    flags | FLAG.PADDED,
    id,
    Buffer.concat([Buffer.from([padding]), octets(content), Buffer.alloc(padding)]),
  );

const block = Buffer.concat(request().map(([name, value]) => literal(name, value)));
const WHOLE = FLAG.END_HEADERS | FLAG.END_STREAM;

const padding: readonly RequestCase[] = [
  forwards('9113 6.1', 'padding is no content', [open(length('5')), padded(1, 'hello', 200)], posted('hello')),
  forwards('9113 6.1', 'padding of 0', [open(), padded(1, 'hello', 0)], posted('hello')),
  forwards(
    '9113 6.1',
    'nothing but padding at the end',
    [open(), data(1, 'hello', false), padded(1, '', 255)],
    posted('hello'),
  ),
  forwards(
    '9113 6.1',
    'nothing but padding between',
    [open(), padded(1, '', 255, 0), padded(1, 'hello', 1)],
    posted('hello'),
  ),
  forwards(
    '9113 6.1',
    'padding that is no zeros',
    [open(), frame(TYPE.DATA, FLAG.END_STREAM | FLAG.PADDED, 1, `\x05hello${'GET /'}`)],
    posted('hello'),
  ),
  ends('9113 6.1', 'padding as long as the frame', [
    open(),
    frame(TYPE.DATA, FLAG.PADDED | FLAG.END_STREAM, 1, '\x05hell'),
  ]),
  ends('9113 6.1', 'padding longer than the frame', [
    open(),
    frame(TYPE.DATA, FLAG.PADDED | FLAG.END_STREAM, 1, '\xffhello'),
  ]),
  ends('9113 6.1', 'padded without a length of it', [open(), frame(TYPE.DATA, FLAG.PADDED | FLAG.END_STREAM, 1, '')]),
  malformed('H2.CL', 'a length that counts the padding', [open(length('10')), padded(1, 'hello', 4)]),
  forwards(
    '9113 6.2',
    'a padded head',
    frame(TYPE.HEADERS, WHOLE | FLAG.PADDED, 1, Buffer.concat([Buffer.from([9]), block, Buffer.alloc(9)])),
  ),
  ends(
    '9113 6.2',
    'a head with padding longer than it',
    frame(TYPE.HEADERS, WHOLE | FLAG.PADDED, 1, Buffer.concat([Buffer.from([255]), block])),
  ),
  ends('9113 6.2', 'a padded head that is empty', frame(TYPE.HEADERS, WHOLE | FLAG.PADDED, 1), CODE.FRAME_SIZE_ERROR),
  forwards(
    '9113 6.2',
    'a head with a priority',
    frame(TYPE.HEADERS, WHOLE | FLAG.PRIORITY, 1, Buffer.concat([Buffer.from([0, 0, 0, 0, 9]), block])),
  ),
  resets(
    '7540 5.3.1',
    'a head that depends on itself',
    frame(TYPE.HEADERS, WHOLE | FLAG.PRIORITY, 1, Buffer.concat([Buffer.from([0, 0, 0, 1, 9]), block])),
    CODE.PROTOCOL_ERROR,
  ),
];

const many = (count: number): readonly FieldPair[] => Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'] as const);

const limits: readonly RequestCase[] = [
  answers('6585 5', 'one field too many', get(...many(101)), 431),
  answers('6585 5', 'far too many fields', get(...many(900)), 431),
  answers('6585 5', 'a head that is too large', large(70_000), 431),
  answers('6585 5', 'crumbs of more than the head may have', large(70_000, 'cookie'), 431),
  answers('9110 15.5.15', 'a path of more than the head may have', longPath(64_000), 414),
  forwards('6585 5', 'as many fields as there may be', get(...many(90)), { fields: { 'x-89': 'v' } }),
  forwards('6585 5', 'a large head', large(15_000), { fields: { 'x-0': 'v'.repeat(15_000) } }),
  forwards('6585 5', 'a head in many frames', large(50_000), { fields: { 'x-0': 'v'.repeat(15_000) } }),
];

/** A head of several frames. */
function split(fields: readonly FieldPair[]): Buffer {
  const whole = Buffer.concat(fields.map(([name, value]) => literal(name, value)));
  const parts: Buffer[] = [];
  for (let at = 0; at < whole.length; at += 16_384) {
    const last = at + 16_384 >= whole.length ? FLAG.END_HEADERS : 0;
    const [type, flags] = at === 0 ? [TYPE.HEADERS, FLAG.END_STREAM] : [TYPE.CONTINUATION, 0];
    parts.push(frame(type, flags | last, 1, whole.subarray(at, at + 16_384)));
  }
  return Buffer.concat(parts);
}

function large(bytes: number, name = ''): Buffer {
  const fields: FieldPair[] = [];
  for (let left = bytes, i = 0; left > 0; left -= 15_000, i++) {
    fields.push([name === '' ? `x-${i}` : name, 'v'.repeat(Math.min(left, 15_000))]);
  }
  return split(request({}, ...fields));
}

function longPath(bytes: number): Buffer {
  return split(request({ ':path': `/${'p'.repeat(bytes)}` }));
}

export const contentCases: readonly RequestCase[] = [...lengths, ...trailers, ...padding, ...limits];
