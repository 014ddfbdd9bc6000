/** TE.TE, CL.TE and TE.CL: a Transfer-Encoding that one reader honours and another does not. */
import { forwards, post, type RequestCase, refused, SMUGGLED, shown } from '../case.ts';

const P = 'POST / HTTP/1.1\r\nHost: a\r\n';
const CHUNKS = '5\r\nhello\r\n0\r\n\r\n';

/** Lines that are, seem or hide a Transfer-Encoding, and what they are answered with. */
const lines: readonly (readonly [line: string, status: number])[] = [
  ['Transfer-Encoding: identity', 501],
  ['Transfer-Encoding: gzip', 400],
  ['Transfer-Encoding: gzip, chunked', 501],
  ['Transfer-Encoding: x, chunked', 501],
  ['Transfer-Encoding: identity, chunked', 501],
  ['Transfer-Encoding: chunked, identity', 400],
  ['Transfer-Encoding: chunked, gzip', 400],
  ['Transfer-Encoding: chunked, chunked', 400],
  ['Transfer-Encoding: chunked,', 400],
  ['Transfer-Encoding: ,chunked', 400],
  ['Transfer-Encoding: , chunked', 400],
  ['Transfer-Encoding: chunked;', 400],
  ['Transfer-Encoding: chunked;q=1', 400],
  ['Transfer-Encoding: "chunked"', 400],
  ["Transfer-Encoding: 'chunked'", 501],
  ['Transfer-Encoding: xchunked', 501],
  ['Transfer-Encoding: chunkedx', 501],
  ['Transfer-Encoding: chunke', 501],
  ['Transfer-Encoding: chunked chunked', 400],
  ['Transfer-Encoding: chunked identity', 400],
  ['Transfer-Encoding: x chunked', 400],
  ['Transfer-Encoding: \x0bchunked', 400],
  ['Transfer-Encoding: \x0cchunked', 400],
  ['Transfer-Encoding: chunked\x0b', 400],
  ['Transfer-Encoding: chunked\x0c', 400],
  ['Transfer-Encoding: chunked\0', 400],
  ['Transfer-Encoding: \0chunked', 400],
  ['Transfer-Encoding: \x08chunked', 400],
  ['Transfer-Encoding: chunked\x7f', 400],
  ['Transfer-Encoding: \x80chunked', 400],
  ['Transfer-Encoding: chunked\x85', 400],
  ['Transfer-Encoding: \xa0chunked', 400],
  ['Transfer-Encoding: chunked\xa0', 400],
  ['Transfer-Encoding: \xefchunked', 400],
  ['Transfer-Encoding: chunk\xe9d', 400],
  ['Transfer-Encoding: \r\n chunked', 400],
  ['Transfer-Encoding:\r\n\tchunked', 400],
  ['Transfer-Encoding: chun\r\n ked', 400],
  ['Transfer-Encoding: identity\r\n , chunked', 400],
  ['Transfer-Encoding: chunked\n', 400],
  ['Transfer-Encoding: chunked\r', 400],
  ['Transfer-Encoding:\nchunked', 400],
  ['Transfer-Encoding:\rchunked', 400],
  ['Transfer-Encoding : chunked', 400],
  ['Transfer-Encoding\t: chunked', 400],
  ['Transfer-Encoding\x0b: chunked', 400],
  ['Transfer-Encoding\0: chunked', 400],
  ['Transfer-Encoding\xa0: chunked', 400],
  [' Transfer-Encoding: chunked', 400],
  ['\tTransfer-Encoding: chunked', 400],
  ['X: a\n Transfer-Encoding: chunked', 400],
  ['X: a\nTransfer-Encoding: chunked', 400],
  ['X: a\rTransfer-Encoding: chunked', 400],
  ['X: a\r\n Transfer-Encoding: chunked', 400],
  ['Foo\r\nTransfer-Encoding: chunked', 400],
  ['Transfer Encoding: chunked', 400],
  ['Transfer-Encoding chunked', 400],
  ['Transfer-Encoding= chunked', 400],
  ['Transfer_Encoding: chunked', 400],
  ['transfer_encoding: chunked', 400],
  ['TRANSFER_ENCODING: identity', 400],
  ['Transfer-Encoding:', 400],
  ['Transfer-Encoding: ', 400],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', 400],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', 400],
  ['Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', 501],
  ['Transfer-Encoding: chunked\r\nTransfer-encoding: x', 400],
  ['Transfer-Encoding: x\r\nTransfer-encoding: chunked', 501],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding:', 400],
  ['Transfer-Encoding:\r\nTransfer-Encoding: chunked', 400],
  ['Transfer-Encoding: chunked\r\ntransfer_encoding: chunked', 400],
];

/** Legal, however it is written (RFC 9110 section 5.5, RFC 9112 section 7). */
const legal = [
  'Transfer-Encoding: chunked',
  'transfer-encoding: chunked',
  'TRANSFER-ENCODING: CHUNKED',
  'Transfer-Encoding:chunked',
  'Transfer-Encoding: cHuNkEd',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: \t chunked \t ',
];

const conflict = (first: string, second: string): string => `${P}${first}\r\n${second}\r\n\r\n`;

export const transferEncoding: readonly RequestCase[] = [
  ...lines.map(([line, status]) =>
    refused('TE.TE', `without a length: ${shown(line)}`, `${P}${line}\r\n\r\n${CHUNKS}${SMUGGLED}`, status),
  ),
  // Beside a length, what seems to be none is as dangerous as what is one.
  ...lines
    .filter(([line]) => !/^(?:X|Foo|Transfer Encoding|Transfer-Encoding[ =])/.test(line))
    .map(([line]) =>
      refused('CL.TE', `before a length: ${shown(line)}`, `${conflict(line, 'Content-Length: 5')}0\r\n\r\n${SMUGGLED}`),
    ),
  ...legal.map((line) =>
    forwards('9112 7', `legal: ${shown(line)}`, `${P}${line}\r\n\r\n${CHUNKS}`, [
      post('hello', '/', { 'content-length': undefined }),
    ]),
  ),
  ...legal.map((line) =>
    refused('CL.TE', `after a length: ${shown(line)}`, `${conflict('Content-Length: 4', line)}${CHUNKS}${SMUGGLED}`),
  ),
  ...legal.map((line) =>
    refused(
      'TE.CL',
      `around a length: ${shown(line)}`,
      `${P}${line}\r\nContent-Length: 6\r\n${line}\r\n\r\n0\r\n\r\nX${SMUGGLED}`,
    ),
  ),
  refused('CL.0', 'length 0 and chunks', `${conflict('Content-Length: 0', 'Transfer-Encoding: chunked')}${CHUNKS}`),
  refused(
    'TE.0',
    'GET with chunks and a length',
    `GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ),
  refused(
    '9112 6.1',
    'Transfer-Encoding in HTTP/1.0',
    `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}${SMUGGLED}`,
  ),
  refused(
    '9112 6.1',
    'Transfer-Encoding in HTTP/1.0 that is kept',
    `POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}${SMUGGLED}`,
  ),
  refused(
    '9110 7.6.1',
    'Connection names the Transfer-Encoding that is there',
    `${P}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}${SMUGGLED}`,
  ),
];
