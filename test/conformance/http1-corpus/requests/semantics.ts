/** CONNECT, TRACE, Expect, HTTP/1.0, and where one request ends and the next begins. */
import { forwards, get, post, type RequestCase, refused, SMUGGLED } from '../case.ts';

const H = 'Host: a\r\n';
const G = (target: string): string => `GET ${target} HTTP/1.1\r\n${H}\r\n`;
const POST = `POST / HTTP/1.1\r\n${H}`;
const BAD = `GET /bad HTTP/1.1\r\nHost : a\r\n\r\n${SMUGGLED}`;

const methods: readonly RequestCase[] = [
  refused('9110 9.3.6', 'CONNECT with a length', `CONNECT a:80 HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello`),
  refused('9110 9.3.6', 'CONNECT with length 0', `CONNECT a:80 HTTP/1.1\r\n${H}Content-Length: 0\r\n\r\n${SMUGGLED}`),
  refused(
    '9110 9.3.6',
    'CONNECT with chunks',
    `CONNECT a:80 HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ),
  refused('9110 9.3.8', 'TRACE with a length', `TRACE / HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello${SMUGGLED}`),
  refused('9110 9.3.8', 'TRACE with chunks', `TRACE / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  forwards('9110 9.3.8', 'TRACE', `TRACE / HTTP/1.1\r\n${H}\r\n`, [{ ...get(), method: 'TRACE' }]),
  forwards('9110 9.3.5', 'DELETE with content', `DELETE / HTTP/1.1\r\n${H}Content-Length: 2\r\n\r\nab`, [
    { ...get(), method: 'DELETE', body: 'ab' },
  ]),
  forwards('9110 8.6', 'PUT without content says so', `PUT / HTTP/1.1\r\n${H}\r\n`, [
    { ...get('/', { 'content-length': '0' }), method: 'PUT' },
  ]),
];

const expectations: readonly RequestCase[] = [
  ...[
    '100-continued',
    'x',
    '200-ok',
    '100-continue;x',
    '"100-continue"',
    '100-continue, x',
    'x, 100-continue',
    '100',
  ].map((value) =>
    refused(
      '9110 10.1.1',
      `Expect: ${value}`,
      `${POST}Expect: ${value}\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`,
      417,
    ),
  ),
  refused(
    '9110 10.1.1',
    'two Expects, one unknown',
    `${POST}Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\na`,
    417,
  ),
  refused('0.CL', 'Expect with a line end', `${POST}Expect: 100-continue\nContent-Length: 5\r\n\r\nhello`),
  refused('0.CL', 'a folded Expect', `${POST}Expect:\r\n 100-continue\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`),
  ...[
    '100-continue',
    '100-Continue',
    '100-CONTINUE',
    '100-continue, 100-continue',
    '100-continue,',
    ' 100-continue\t',
  ].map((value) =>
    forwards(
      '9110 10.1.1',
      `Expect: ${value}, content at once`,
      `${POST}Expect: ${value}\r\nContent-Length: 5\r\n\r\nhello`,
      [post('hello', '/', { expect: '100-continue' })],
    ),
  ),
  forwards('9110 10.1.1', 'Expect without content', `GET / HTTP/1.1\r\n${H}Expect: 100-continue\r\n\r\n`, [
    get('/', { expect: undefined }),
  ]),
  forwards(
    '9110 10.1.1',
    'Expect with chunks at once',
    `${POST}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
    [post('a', '/', { expect: '100-continue' })],
  ),
  forwards(
    '9110 10.1.1',
    'Expect in HTTP/1.0',
    `POST / HTTP/1.0\r\n${H}Expect: 100-continue\r\nContent-Length: 1\r\n\r\na`,
    [post('a', '/', { expect: undefined })],
    { after: 'closed' },
  ),
];

const old: readonly RequestCase[] = [
  forwards('9112 9.3', 'HTTP/1.0 closes', `GET / HTTP/1.0\r\n${H}\r\n${SMUGGLED}`, [get()], { after: 'closed' }),
  forwards('9112 9.3', 'HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n', [get()], { after: 'closed' }),
  forwards('9112 9.3', 'HTTP/1.0 that is kept', `GET / HTTP/1.0\r\n${H}Connection: keep-alive\r\n\r\n`, [get()]),
  forwards(
    '9112 9.3',
    'HTTP/1.0 with close and keep-alive',
    `GET / HTTP/1.0\r\n${H}Connection: keep-alive, close\r\n\r\n`,
    [get()],
    {
      after: 'closed',
    },
  ),
  forwards(
    '9112 9.3',
    'HTTP/1.0 with content',
    `POST / HTTP/1.0\r\n${H}Content-Length: 5\r\n\r\nhello`,
    [post('hello')],
    {
      after: 'closed',
    },
  ),
  forwards(
    '9110 7.8',
    'HTTP/1.0 with Upgrade',
    `GET / HTTP/1.0\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    [get('/', { upgrade: undefined })],
    { after: 'closed' },
  ),
  forwards('9112 9.3', 'two requests, the first is the last', `GET / HTTP/1.0\r\n${H}\r\n${G('/2')}`, [get()], {
    after: 'closed',
  }),
];

const pipelines: readonly RequestCase[] = [
  forwards('9112 9.3.2', 'two requests in one write', G('/1') + G('/2'), [get('/1'), get('/2')]),
  forwards(
    '9112 9.3.2',
    'ten requests in one write',
    Array.from({ length: 10 }, (_, i) => G(`/${i}`)).join(''),
    Array.from({ length: 10 }, (_, i) => get(`/${i}`)),
  ),
  forwards('9112 9.3.2', 'content between requests', `${POST}Content-Length: 5\r\n\r\nhello${G('/2')}`, [
    post('hello'),
    get('/2'),
  ]),
  forwards(
    '9112 9.3.2',
    'chunks between requests',
    `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${G('/2')}`,
    [post('hello'), get('/2')],
  ),
  forwards(
    '9112 9.3.2',
    'chunks, content and none',
    `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n${POST}Content-Length: 1\r\n\r\nb${POST}\r\n${G('/4')}`,
    [post('a'), post('b'), post(''), get('/4')],
  ),
  forwards('9112 9.3.2', 'two requests cut anywhere', [...(G('/1') + G('/2'))], [get('/1'), get('/2')]),
  forwards(
    '9112 9.6',
    'three requests, and the client closes its side',
    G('/1') + G('/2') + G('/3'),
    [get('/1'), get('/2'), get('/3')],
    {
      halfClose: true,
      after: 'closed',
    },
  ),
  forwards(
    '9112 9.6',
    'one request, and the client closes its side',
    `${POST}Content-Length: 2\r\n\r\nab`,
    [post('ab')],
    {
      halfClose: true,
      after: 'closed',
    },
  ),
  forwards('9112 9.6', 'half a second request, and the client closes its side', `${G('/1')}GET /2 HT`, [get('/1')], {
    halfClose: true,
    after: 'closed',
  }),
  refused('9112 9.3.2', 'a good and a bad request', G('/1') + BAD, 400, { forwarded: [get('/1')] }),
  refused('9112 9.3.2', 'content and a bad request', `${POST}Content-Length: 5\r\n\r\nhello${BAD}`, 400, {
    forwarded: [post('hello')],
  }),
  refused('9112 9.3.2', 'chunks and a bad request', `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${BAD}`, 400, {
    forwarded: [post('')],
  }),
  refused('9112 9.3.2', 'three good requests and a bad one', G('/1') + G('/2') + G('/3') + BAD, 400, {
    forwarded: [get('/1'), get('/2'), get('/3')],
  }),
  // "!!GET" is a method by its characters (RFC 9110 section 5.6.2): what follows content is taken literally.
  forwards('CL', 'more content than declared', `${POST}Content-Length: 5\r\n\r\nhello!!GET / HTTP/1.1\r\n${H}\r\n`, [
    post('hello'),
    { ...get(), method: '!!GET' },
  ]),
  refused('9112 9.3.2', 'a second request of HTTP/2.0', `${G('/1')}GET /2 HTTP/2.0\r\n${H}\r\n`, 505, {
    forwarded: [get('/1')],
  }),
  refused(
    '9112 9.3.2',
    'a second request with two lengths',
    `${G('/1')}${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    400,
    {
      forwarded: [get('/1')],
    },
  ),
];

const head = (bytes: number): string => `GET / HTTP/1.1\r\n${H}X: ${'x'.repeat(bytes)}\r\n\r\n`;
const fields = (count: number): string => `GET / HTTP/1.1\r\n${H}${'X: y\r\n'.repeat(count - 1)}\r\n`;

const limits: readonly RequestCase[] = [
  forwards('6585 5', 'a head below the limit', head(60_000), [get()]),
  refused('6585 5', 'a head beyond the limit', head(61_440), 431),
  refused('6585 5', 'a head that never ends', `GET / HTTP/1.1\r\n${H}${`X: ${'y'.repeat(1_000)}\r\n`.repeat(70)}`, 431),
  refused('6585 5', 'a field that never ends', `GET / HTTP/1.1\r\n${H}X: ${'x'.repeat(70_000)}`, 431),
  forwards('6585 5', 'as many fields as allowed', fields(100), [get()]),
  refused('6585 5', 'one field more', fields(101), 431),
];

export const semantics: readonly RequestCase[] = [...methods, ...expectations, ...old, ...pipelines, ...limits];
