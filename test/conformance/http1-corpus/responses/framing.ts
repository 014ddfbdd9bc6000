/** Where a response ends: responses that two readers would end in two places. */
import { answers, broken, type ResponseCase, shown } from '../case.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKS = '5\r\nhello\r\n0\r\n\r\n';
/** What a poisoned connection would give to the next client. */
const SPLIT = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!';

const notNumbers = [
  '',
  '+5',
  '-5',
  '5, 5',
  '5,6',
  '5 5',
  '0x5',
  '5.0',
  '5\x0b',
  '5\0',
  '5\xa0',
  '"5"',
  'x',
  '5;',
  '1_0',
  '9'.repeat(30),
];
const encodings = [
  'identity',
  'gzip',
  'gzip, chunked',
  'chunked, gzip',
  'chunked, chunked',
  'chunked, identity',
  'identity, chunked',
  'x',
  'xchunked',
  'chunked;q=1',
  '"chunked"',
  '\x0bchunked',
  'chunked\x0c',
  'chunked\0',
  '\xa0chunked',
  ',chunked',
  'chunked,',
  '',
];
const conflicts: readonly (readonly [string, string])[] = [
  ['Content-Length: 5', 'Content-Length: 5'],
  ['Content-Length: 5', 'Content-Length: 6'],
  ['Content-Length: 5', 'content-length: 0'],
  ['Content-Length: 5', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: chunked', 'Content-Length: 5'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
  ['Transfer-Encoding: identity', 'Content-Length: 5'],
  ['Transfer-Encoding: \x0bchunked', 'Content-Length: 5'],
];
const wrongChunks: readonly (readonly [name: string, bytes: string, body: string])[] = [
  ['no size', '\r\nhello\r\n', ''],
  ['0x', '0x5\r\nhello\r\n', ''],
  ['a sign', '-5\r\nhello\r\n', ''],
  ['a blank after the size', '5 \r\nhello\r\n', ''],
  ['bare LF after the size', '5\nhello\r\n', ''],
  ['an octet for the LF after the size', '5\rXhello\r\n', ''],
  ['an octet for the CR after the data', '5\r\nhelloX\n', 'hello'],
  ['an overflow', 'ffffffffffffffff\r\nhello\r\n', ''],
  ['bare LF in an extension', '5;a\nhello\r\n', ''],
];

export const framing: readonly ResponseCase[] = [
  answers('9112 6.3', 'a length', `${OK}Content-Length: 5\r\n\r\nhello`, { body: 'hello' }),
  answers('9112 6.3', 'a length in octets', [...`${OK}Content-Length: 5\r\n\r\nhello`], { body: 'hello' }),
  answers('9112 6.3', 'length 0', `${OK}Content-Length: 0\r\n\r\n`),
  answers('9112 6.3', 'leading zeros', `${OK}Content-Length: 005\r\n\r\nhello`, {
    body: 'hello',
    fields: { 'content-length': '5' },
  }),
  answers('9112 6.3', 'chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}`, { body: 'hello' }),
  answers('9112 6.3', 'chunks in octets', [...`${OK}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}`], { body: 'hello' }),
  answers(
    '9112 6.3',
    'chunks with an extension',
    `${OK}Transfer-Encoding: Chunked\r\n\r\n5;a="b"\r\nhello\r\n0;c\r\n\r\n`,
    { body: 'hello' },
  ),
  answers(
    '9112 6.3',
    'chunks with a trailer',
    `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`,
    { body: 'hello' },
  ),
  answers(
    '9112 6.3',
    'chunks with forbidden trailers',
    `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\nSet-Cookie: a\r\n\r\n`,
  ),
  answers('9112 6.3', 'the end of the connection', `${OK}\r\nhello`, { body: 'hello', closes: true }),
  answers('9112 6.3', 'the end of the connection in HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nhello', {
    body: 'hello',
    closes: true,
  }),
  answers('9112 9.3', 'HTTP/1.0 with a length', 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello', {
    body: 'hello',
    reused: false,
  }),
  answers(
    '9112 9.3',
    'HTTP/1.0 that is kept',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello',
    { body: 'hello' },
  ),
  answers('9112 9.3', 'Connection: close', `${OK}Connection: close\r\nContent-Length: 5\r\n\r\nhello`, {
    body: 'hello',
    reused: false,
  }),
  answers('9112 9.3', 'Connection: x, Close', `${OK}Connection: x, Close\r\nContent-Length: 0\r\n\r\n`, {
    reused: false,
  }),
  ...notNumbers.map((value) =>
    broken('CL', `no length: ${shown(value)}`, `${OK}Content-Length: ${value}\r\n\r\nhello${SPLIT}`),
  ),
  ...encodings.map((value) =>
    broken('TE', `no encoding: ${shown(value)}`, `${OK}Transfer-Encoding: ${value}\r\n\r\n${CHUNKS}${SPLIT}`),
  ),
  ...conflicts.map(([first, second]) =>
    broken('CL.TE', `${shown(first)} and ${shown(second)}`, `${OK}${first}\r\n${second}\r\n\r\n${CHUNKS}${SPLIT}`),
  ),
  broken('9112 6.1', 'Transfer-Encoding in HTTP/1.0', `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`),
  ...wrongChunks.map(([name, bytes, body]) =>
    answers('9112 7.1', `chunk: ${name}`, `${OK}Transfer-Encoding: chunked\r\n\r\n${bytes}0\r\n\r\n${SPLIT}`, {
      body,
      ends: 'cut',
      reused: false,
    }),
  ),
  answers(
    '9112 7.1',
    'chunk: more data than the size',
    `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n`,
    {
      body: 'hello',
      ends: 'cut',
      reused: false,
    },
  ),
  answers('9112 8', 'less than the length, then the end', `${OK}Content-Length: 10\r\n\r\nhello`, {
    body: 'hello',
    closes: true,
    ends: 'cut',
  }),
  answers('9112 8', 'no last chunk, then the end', `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, {
    body: 'hello',
    closes: true,
    ends: 'cut',
  }),
  answers('9112 8', 'half a last chunk, then the end', `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`, {
    body: 'hello',
    closes: true,
    ends: 'cut',
  }),
  answers('splitting', 'more than the length', `${OK}Content-Length: 5\r\n\r\nhello${SPLIT}`, {
    body: 'hello',
    reused: false,
  }),
  answers('splitting', 'more than the length, one octet', `${OK}Content-Length: 5\r\n\r\nhello!`, {
    body: 'hello',
    reused: false,
  }),
  answers('splitting', 'more than the length, a line end', `${OK}Content-Length: 5\r\n\r\nhello\r\n`, {
    body: 'hello',
    reused: false,
  }),
  answers('splitting', 'more after the last chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}${SPLIT}`, {
    body: 'hello',
    reused: false,
  }),
  answers('splitting', 'a response without content with some', `${OK}Content-Length: 0\r\n\r\n${SPLIT}`, {
    reused: false,
  }),
  answers('9110 6.4.1', '204', 'HTTP/1.1 204 No Content\r\n\r\n', { status: 204 }),
  answers('9110 6.4.1', '204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', {
    status: 204,
    fields: { 'content-length': undefined },
  }),
  answers('9110 6.4.1', '204 with chunks announced', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', {
    status: 204,
    fields: { 'transfer-encoding': undefined },
  }),
  answers('splitting', '204 with content', `HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello`, {
    status: 204,
    reused: false,
  }),
  answers('splitting', '204 with a response', `HTTP/1.1 204 No Content\r\n\r\n${SPLIT}`, {
    status: 204,
    reused: false,
  }),
  answers('9110 15.4.5', '304', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', {
    status: 304,
    fields: { etag: '"a"' },
  }),
  answers('9110 15.4.5', '304 with the length of a 200', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', {
    status: 304,
    fields: { 'content-length': '5' },
  }),
  answers('splitting', '304 with content', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello', {
    status: 304,
    reused: false,
  }),
  answers('9110 9.3.2', 'HEAD', `${OK}Content-Length: 5\r\n\r\n`, {
    method: 'HEAD',
    fields: { 'content-length': '5' },
  }),
  answers('9110 9.3.2', 'HEAD with chunks announced', `${OK}Transfer-Encoding: chunked\r\n\r\n`, { method: 'HEAD' }),
  answers('9110 9.3.2', 'HEAD without a length', `${OK}\r\n`, { method: 'HEAD' }),
  answers('splitting', 'HEAD with content', `${OK}Content-Length: 5\r\n\r\nhello`, { method: 'HEAD', reused: false }),
  answers('splitting', 'HEAD with chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}`, {
    method: 'HEAD',
    reused: false,
  }),
  broken('CL.CL', 'HEAD with two lengths', `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, { method: 'HEAD' }),
];
