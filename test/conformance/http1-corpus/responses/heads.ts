/** Status lines, fields and interim responses of applications. */
import { answers, broken, type ResponseCase, shown } from '../case.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const EMPTY = 'Content-Length: 0\r\n\r\n';

const statusLines = [
  'HTTP/1.1 99 X',
  'HTTP/1.1 099 X',
  'HTTP/1.1 000 X',
  'HTTP/1.1 600 X',
  'HTTP/1.1 999 X',
  'HTTP/1.1 20 X',
  'HTTP/1.1 2000 X',
  'HTTP/1.1 20a X',
  'HTTP/1.1 -20 X',
  'HTTP/1.1 +20 X',
  'HTTP/1.1 2 0 X',
  'HTTP/1.1  200 OK',
  'HTTP/1.1\t200 OK',
  'HTTP/1.1 200\tOK',
  'HTTP/1.1 200\x0bOK',
  'HTTP/1.1200 OK',
  'HTTP/1.1',
  'HTTP/1.1 ',
  'HTTP/2.0 200 OK',
  'HTTP/2 200 OK',
  'HTTP/1.2 200 OK',
  'HTTP/0.9 200 OK',
  'http/1.1 200 OK',
  'HTTP/1.10 200 OK',
  'HTTP/01.1 200 OK',
  'ICY 200 OK',
  '200 OK',
  ' HTTP/1.1 200 OK',
  'HTTP/1.1 200 O\0K',
  'HTTP/1.1 200 O\x0bK',
  'HTTP/1.1 200 O\x7fK',
  'HTTP/1.1 200 O\rK',
  'HTTP/1.1 200 O\nK',
  'hello',
  '<html>',
  'SSH-2.0-OpenSSH_9.0',
  '220 smtp.example ESMTP',
  '\x15\x03\x01\x00\x02\x02\x28',
];

const fieldLines = [
  'X : a',
  'X\t: a',
  ' X: a',
  'X: a\r\n b',
  'X: a\r\n\tb',
  'X: a\nY: b',
  'X: a\rY: b',
  'X: a\r\r\nY: b',
  'X: a\0b',
  'X: a\x0bb',
  'X: a\x7fb',
  'X\0: a',
  'X\x80: a',
  'X(: a',
  'X',
  ': a',
  'X: a\nHTTP/1.1 200 OK',
  'Location: /\r\n Set-Cookie: a',
];

const right: readonly (readonly [line: string, status: number])[] = [
  ['HTTP/1.1 200 OK', 200],
  ['HTTP/1.1 200 ', 200],
  ['HTTP/1.1 200', 200],
  ['HTTP/1.1 200 \t any reason \xe9', 200],
  ['HTTP/1.1 299 Own', 299],
  ['HTTP/1.1 404 Not Found', 404],
  ['HTTP/1.1 500 X', 500],
  ['HTTP/1.1 599 X', 599],
  ['HTTP/1.0 200 OK\r\nConnection: keep-alive', 200],
];

const hops: readonly (readonly [lines: string, fields: Readonly<Record<string, string | undefined>>])[] = [
  ['Connection: x-own\r\nX-Own: 1\r\nX-Kept: 2', { 'x-own': undefined, 'x-kept': '2' }],
  ['Connection: keep-alive\r\nKeep-Alive: timeout=5', { 'keep-alive': undefined }],
  ['Proxy-Connection: keep-alive', { 'proxy-connection': undefined }],
  ['Upgrade: h2c\r\nConnection: upgrade', { upgrade: undefined, connection: undefined }],
  ['Connection: set-cookie\r\nSet-Cookie: a', { 'set-cookie': 'a' }],
  ['Connection: content-length', { 'content-length': '0' }],
  ['X: caf\xe9', { x: 'caf\xe9' }],
  ['X:', { x: '' }],
];

const interim = (status: number, lines = ''): string => `HTTP/1.1 ${status} X\r\n${lines}\r\n`;

export const heads: readonly ResponseCase[] = [
  ...statusLines.map((line) => broken('9112 4', `status line: ${shown(line)}`, `${line}\r\n${EMPTY}`)),
  ...right.map(([line, status]) => answers('9112 4', `status line: ${shown(line)}`, `${line}\r\n${EMPTY}`, { status })),
  ...fieldLines.map((line) => broken('9112 5', `field: ${shown(line)}`, `${OK}${line}\r\n${EMPTY}`)),
  ...hops.map(([lines, fields]) => answers('9110 7.6.1', shown(lines), `${OK}${lines}\r\n${EMPTY}`, { fields })),
  broken('9112 2.2', 'bare LFs', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'),
  broken('9112 2.2', 'bare LF after the status line', `HTTP/1.1 200 OK\n${EMPTY}`),
  broken('9112 2.2', 'bare LF at the end of the head', `${OK}Content-Length: 0\r\n\n`),
  broken('9112 2.2', 'an empty line first', `\r\n${OK}${EMPTY}`),
  broken('9112 2.2', 'a bare LF first', `\n${OK}${EMPTY}`),
  broken('6585 5', 'a head beyond the limit', `${OK}X: ${'x'.repeat(62_000)}\r\n${EMPTY}`),
  broken('6585 5', 'too many fields', `${OK}${'X: y\r\n'.repeat(101)}${EMPTY}`),
  broken('9112 8', 'nothing, then the end', '', { closes: true, status: 503 }),
  broken('9112 8', 'half a status line, then the end', 'HTTP/1.1 20', { closes: true, status: 502 }),
  broken('9112 8', 'half a head, then the end', `${OK}X: y\r\n`, { closes: true, status: 502 }),
  answers('9110 15.2', '103', `${interim(103, 'Link: </a>\r\n')}${OK}${EMPTY}`, { interims: [103] }),
  answers('9110 15.2', '100, 102 and 103', `${interim(100)}${interim(102)}${interim(103)}${OK}${EMPTY}`, {
    interims: [100, 102, 103],
  }),
  answers('9110 15.2', '103 apart from the rest', [interim(103), `${OK}${EMPTY}`], { interims: [103] }),
  answers(
    '9110 15.2',
    '103 with a length that means nothing',
    `${interim(103, 'Content-Length: 5\r\n')}${OK}${EMPTY}`,
    { interims: [103] },
  ),
  answers('9110 15.2', '103 and the end in octets', [...`${interim(103)}${OK}${EMPTY}`], { interims: [103] }),
  broken('9110 15.2', 'a storm of interim responses', `${interim(103).repeat(40)}${OK}${EMPTY}`, {
    interims: Array.from({ length: 32 }, () => 103),
  }),
  broken('9110 15.2', '103 and then the end', interim(103), { interims: [103], closes: true, status: 503 }),
  broken('9110 15.2', '103 and then something else', `${interim(103)}hello\r\n\r\n`, { interims: [103] }),
  broken(
    '9110 15.2.2',
    '101 that nobody asked for',
    `${interim(101, 'Upgrade: websocket\r\nConnection: upgrade\r\n')}${OK}${EMPTY}`,
  ),
  broken('9110 15.2.2', '101 without a protocol', interim(101)),
  broken('9110 15.2.2', '101 to another protocol', interim(101, 'Upgrade: other\r\nConnection: upgrade\r\n'), {
    requestFields: 'Connection: Upgrade\r\nUpgrade: own\r\n',
  }),
  broken(
    '6455 4.1',
    '101 without the answer to the key',
    interim(101, 'Upgrade: websocket\r\nConnection: upgrade\r\n'),
    {
      requestFields: 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    },
  ),
  broken(
    '6455 4.1',
    '101 with another answer to the key',
    interim(101, 'Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n'),
    {
      requestFields: 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    },
  ),
];
