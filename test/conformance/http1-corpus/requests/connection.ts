/** What belongs to one connection goes no further, and what does not is not made to disappear (RFC 9110 section 7.6.1). */
import { forwards, get, type RequestCase, refused, SMUGGLED, shown } from '../case.ts';

const H = 'GET / HTTP/1.1\r\nHost: a\r\n';

const endToEnd = [
  'Host',
  'Content-Length',
  'Transfer-Encoding',
  'Content-Type',
  'Content-Encoding',
  'Authorization',
  'Cookie',
  'Cache-Control',
  'Expect',
  'Range',
  'Date',
  'Via',
  'Forwarded',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Client-Cert',
  'X-Forwarded-Anything',
  'X-Real-IP',
  'X-Request-Id',
  'traceparent',
  'tracestate',
];

const noLists = [
  'a b',
  'close keep-alive',
  '"close"',
  'close; x',
  'a:b',
  'a=b',
  'a/b',
  '@',
  'x, y z',
  '(x)',
  'caf\xe9',
  '[x]',
];

/** Fields of a request, and which of them must or must not arrive. */
const hops: readonly (readonly [lines: string, fields: Readonly<Record<string, string | undefined>>])[] = [
  ['Connection: keep-alive', { connection: undefined }],
  ['Connection: Keep-Alive\r\nKeep-Alive: timeout=5', { connection: undefined, 'keep-alive': undefined }],
  ['Keep-Alive: timeout=5, max=1000', { 'keep-alive': undefined }],
  ['Proxy-Connection: keep-alive', { 'proxy-connection': undefined }],
  ['Proxy-Connection: close', { 'proxy-connection': undefined }],
  ['Connection: x-own\r\nX-Own: 1\r\nX-Kept: 2', { 'x-own': undefined, 'x-kept': '2', connection: undefined }],
  ['X-Own: 1\r\nConnection: X-OWN', { 'x-own': undefined }],
  ['Connection: x-a\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2', { 'x-a': undefined, 'x-b': undefined }],
  ['Connection: ,x-a,, ,\tx-b\t,\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3', { 'x-a': undefined, 'x-b': undefined, 'x-c': '3' }],
  ['Connection: x-twice\r\nX-Twice: 1\r\nX-Twice: 2', { 'x-twice': undefined }],
  ['Connection:\r\nX-Kept: 1', { 'x-kept': '1', connection: undefined }],
  ['Connection: ,\r\nX-Kept: 1', { 'x-kept': '1' }],
  ['TE: gzip', { te: undefined }],
  ['TE: gzip\r\nConnection: TE', { te: undefined }],
  ['TE: trailers', { te: 'trailers' }],
  ['TE: trailers, deflate;q=0.5\r\nConnection: TE', { te: 'trailers' }],
  ['TE: Trailers', { te: 'trailers' }],
  ['Trailer: X-T', { trailer: 'X-T' }],
  ['Upgrade: h2c\r\nConnection: Upgrade', { upgrade: undefined, connection: undefined }],
  [
    'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
    { upgrade: undefined, 'http2-settings': undefined },
  ],
  [
    'Upgrade: H2C\r\nConnection: upgrade\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
    { upgrade: undefined, 'http2-settings': undefined },
  ],
  ['HTTP2-Settings: AAMAAABkAAQAAP__', { 'http2-settings': undefined }],
  ['Upgrade: websocket, h2c\r\nConnection: Upgrade', { upgrade: undefined }],
  ['Upgrade: h2c, websocket\r\nConnection: Upgrade', { upgrade: undefined }],
  ['Upgrade: websocket', { upgrade: undefined }],
  ['Upgrade: websocket\r\nConnection: keep-alive', { upgrade: undefined }],
  ['Connection: Upgrade', { connection: undefined, upgrade: undefined }],
  ['Upgrade: a b\r\nConnection: Upgrade', { upgrade: undefined }],
  ['Upgrade: "websocket"\r\nConnection: Upgrade', { upgrade: undefined }],
  ['Proxy-Authorization: Basic eA==', { 'proxy-authorization': 'Basic eA==' }],
  ['Via: 1.1 x\r\nMax-Forwards: 5', { via: '1.1 x', 'max-forwards': '5' }],
];

export const connection: readonly RequestCase[] = [
  ...endToEnd.map((name) =>
    refused('9110 7.6.1', `Connection names ${name}`, `${H}Connection: ${name}\r\n\r\n${SMUGGLED}`),
  ),
  ...endToEnd
    .slice(4, 8)
    .map((name) =>
      refused(
        '9110 7.6.1',
        `Connection closes and names ${name}`,
        `${H}Connection: close,${name.toLowerCase()}\r\n\r\n`,
      ),
    ),
  ...noLists.map((value) =>
    refused('9110 5.6.1', `Connection is no list: ${shown(value)}`, `${H}Connection: ${value}\r\n\r\n${SMUGGLED}`),
  ),
  ...hops.map(([lines, fields]) => forwards('9110 7.6.1', shown(lines), `${H}${lines}\r\n\r\n`, [get('/', fields)])),
  ...['close', 'Close', 'CLOSE', 'keep-alive, close', 'close, keep-alive', 'x,close', ' close ', ',close,'].map(
    (value) =>
      forwards('9112 9.3', `Connection: ${value}`, `${H}Connection: ${value}\r\n\r\n${SMUGGLED}`, [get()], {
        after: 'closed',
      }),
  ),
  forwards(
    '9112 9.3',
    'two Connection fields, one of them close',
    `${H}Connection: x\r\nConnection: close\r\n\r\n`,
    [get()],
    {
      after: 'closed',
    },
  ),
  forwards('9112 9.3', 'closed or not is no substring', `${H}Connection: closed, not-close\r\n\r\n`, [get()]),
];
