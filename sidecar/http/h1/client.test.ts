import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import fc from 'fast-check';
import type { ProxyError } from '../errors.ts';
import type { RequestHead, ResponseReceiver, UpstreamConnection } from '../exchange.ts';
import { Headers } from '../headers.ts';
import { connectHttp1 } from './client.ts';
import { serveHttp1 } from './server.ts';
import { duplexPair, forwardTo, TestRecorder, testConnection } from './testing.ts';

const request = (method: string, fields: Partial<RequestHead> = {}): RequestHead => ({
  method,
  scheme: 'http',
  authority: 'a',
  path: '/',
  protocol: undefined,
  headers: new Headers(),
  version: 11,
  contentLength: 0,
  expectContinue: false,
  ...fields,
});

class Response implements ResponseReceiver {
  events: string[] = [];
  error: ProxyError | undefined = undefined;
  onInterim(head: { status: number }): void {
    this.events.push(`interim ${head.status}`);
  }
  onHead(head: { status: number; contentLength: number }, end: boolean): void {
    this.events.push(`head ${head.status} ${head.contentLength}${end ? ' end' : ''}`);
  }
  onData(chunk: Buffer, end: boolean): void {
    this.events.push(`data ${chunk.toString('latin1')}${end ? ' end' : ''}`);
  }
  onTrailers(trailers: Headers): void {
    this.events.push(`trailers ${trailers.length}`);
  }
  onReset(error: ProxyError): void {
    this.error = error;
    this.events.push(`reset ${error.flag} ${error.retry}`);
  }
  onWritable(): void {}
}

interface Connected {
  readonly connection: UpstreamConnection;
  readonly upstream: Duplex;
  readonly sent: () => string;
}

function connect(): Connected {
  const [socket, upstream] = duplexPair();
  let text = '';
  upstream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  upstream.on('error', () => undefined);
  const connection = connectHttp1({ socket, alpn: '', peer: undefined, localIp: '' });
  return { connection, upstream, sent: () => text };
}

const turn = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await new Promise(setImmediate);
};

async function exchange(response: string, method = 'GET', end = false): Promise<Response> {
  const c = connect();
  const receiver = new Response();
  c.connection.open(request(method), true, receiver);
  await turn();
  c.upstream.write(Buffer.from(response, 'latin1'));
  if (end) c.upstream.end();
  await turn();
  c.connection.destroy();
  return receiver;
}

describe('HTTP/1.1 client', () => {
  test('one Host, first; framing by what is known; casing kept', async () => {
    const c = connect();
    c.connection.open(request('GET', { path: '/x?y', headers: Headers.from(['X-A', '1']) }), true, new Response());
    await turn();
    assert.equal(c.sent(), 'GET /x?y HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n');
    const d = connect();
    const upstream = d.connection.open(request('POST', { contentLength: -1 }), false, new Response());
    upstream.write(Buffer.from('abc'), false);
    upstream.trailers(Headers.from(['X-T', '1']));
    await turn();
    const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n';
    assert.equal(d.sent(), chunked);
  });

  test('keep-alive: free again after the response, unsolicited bytes close', async () => {
    const c = connect();
    const first = new Response();
    c.connection.open(request('GET'), true, first);
    assert.equal(c.connection.available, 0);
    await turn();
    c.upstream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
    await turn();
    assert.deepEqual(first.events, ['head 200 2', 'data hi end']);
    assert.equal(c.connection.available, 1);
    c.upstream.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await turn();
    assert.deepEqual([c.connection.available, c.connection.closed], [0, true]);
  });

  test('a response longer than its length never reaches the next request', async () => {
    const c = connect();
    c.connection.open(request('GET'), true, new Response());
    await turn();
    c.upstream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n');
    await turn();
    assert.deepEqual([c.connection.available, c.connection.closed], [0, true]);
  });

  const responses: readonly (readonly [name: string, method: string, text: string, end: boolean, events: string[]])[] =
    [
      ['no content: 204', 'GET', 'HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n', false, ['head 204 0 end']],
      ['no content: 304', 'GET', 'HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n', false, ['head 304 5 end']],
      ['no content: HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', false, ['head 200 -1 end']],
      ['until close', 'GET', 'HTTP/1.1 200 OK\r\n\r\nabc', true, ['head 200 -1', 'data abc', 'data  end']],
      [
        'chunks and trailers',
        'GET',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n',
        false,
        ['head 200 -1', 'data abc', 'trailers 1'],
      ],
      [
        'interim',
        'GET',
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
        false,
        ['interim 100', 'interim 103', 'head 200 0 end'],
      ],
      ['no reason phrase', 'GET', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', false, ['head 200 0 end']],
      ['not HTTP', 'GET', 'SSH-2.0-x\r\n\r\n', false, ['reset UPE idempotent']],
      ['status out of range', 'GET', 'HTTP/1.1 600 X\r\n\r\n', false, ['reset UPE idempotent']],
      ['HTTP/2 status line', 'GET', 'HTTP/2.0 200 OK\r\n\r\n', false, ['reset UPE idempotent']],
      ['bare LF', 'GET', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', false, ['reset UPE idempotent']],
      ['obs-fold', 'GET', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n', false, ['reset UPE idempotent']],
      ['space before colon', 'GET', 'HTTP/1.1 200 OK\r\nX : a\r\n\r\n', false, ['reset UPE idempotent']],
      [
        'two lengths',
        'GET',
        'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
        false,
        ['reset UPE idempotent'],
      ],
      [
        'length and chunked',
        'GET',
        'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
        false,
        ['reset UPE idempotent'],
      ],
      ['unasked switch', 'GET', 'HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n', false, ['reset UPE idempotent']],
      [
        'bad chunk',
        'GET',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
        false,
        ['head 200 -1', 'reset UPE idempotent'],
      ],
      [
        'closed in the content',
        'GET',
        'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab',
        true,
        ['head 200 5', 'data ab', 'reset UPE no'],
      ],
      ['closed in the head', 'GET', 'HTTP/1.1 200 OK\r\nCont', true, ['reset UPE idempotent']],
      ['closed before any byte', 'GET', '', true, ['reset UC idempotent']],
    ];
  for (const [name, method, text, end, events] of responses) {
    test(`response: ${name}`, async () => {
      assert.deepEqual((await exchange(text, method, end)).events, events);
    });
  }

  test('a stale reused connection says that a retry is safe', async () => {
    const c = connect();
    c.connection.open(request('POST'), true, new Response());
    await turn();
    c.upstream.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await turn();
    const second = new Response();
    c.connection.open(request('POST'), true, second);
    c.upstream.destroy();
    await turn();
    assert.deepEqual(second.events, ['reset UC reusedOnly']);
  });

  test('a body that is not as long as declared never leaves', async () => {
    const c = connect();
    const receiver = new Response();
    const upstream = c.connection.open(request('POST', { contentLength: 3 }), false, receiver);
    upstream.write(Buffer.from('abcGET /smuggled HTTP/1.1\r\n\r\n'), true);
    await turn();
    assert.equal(c.sent().includes('smuggled'), false);
    assert.deepEqual(receiver.events, ['reset UPE no']);
  });

  test('bytes for a tunnel wait until it is accepted', async () => {
    const c = connect();
    const receiver = new Response();
    const upstream = c.connection.open(request('GET', { protocol: 'websocket', contentLength: -1 }), false, receiver);
    upstream.write(Buffer.from('early'), false);
    await turn();
    assert.equal(c.sent(), 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    c.upstream.write('HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello');
    await turn();
    assert.match(c.sent(), /\r\n\r\nearly$/);
    assert.deepEqual(receiver.events, ['head 101 -1', 'data hello']);
    upstream.write(Buffer.from('bye'), true);
    c.upstream.end();
    await turn();
    assert.deepEqual(receiver.events.at(-1), 'data  end');
    assert.equal(c.connection.closed, true);
  });

  const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
  const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
  const switches: readonly (readonly [name: string, protocol: string, answer: string, accepted: boolean])[] = [
    ['what was asked for', 'x/1', 'Upgrade: X/1\r\n', true],
    ['another protocol', 'x/1', 'Upgrade: y\r\n', false],
    ['no protocol', 'x/1', '', false],
    [
      'a WebSocket with the right answer',
      'websocket',
      `Upgrade: WebSocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`,
      true,
    ],
    ['a WebSocket with another answer', 'websocket', 'Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n', false],
    ['a WebSocket without an answer', 'websocket', 'Upgrade: websocket\r\n', false],
  ];
  for (const [name, protocol, answer, accepted] of switches) {
    test(`101, ${name}: ${accepted ? 'a tunnel' : 'an error'} (RFC 9110 section 7.8, RFC 6455 section 4.1)`, async () => {
      const c = connect();
      const receiver = new Response();
      const headers = Headers.from(['Sec-WebSocket-Key', KEY]);
      c.connection.open(request('GET', { protocol, headers, contentLength: -1 }), false, receiver);
      c.upstream.write(`HTTP/1.1 101 S\r\nConnection: upgrade\r\n${answer}\r\n`);
      await turn();
      assert.equal(receiver.events[0], accepted ? 'head 101 -1' : 'reset UPE idempotent');
      c.connection.destroy();
    });
  }

  test('a WebSocket that came by HTTP/2 has a key made for it (RFC 8441 section 5)', async () => {
    const c = connect();
    const receiver = new Response();
    c.connection.open(request('GET', { protocol: 'websocket', version: 20, contentLength: -1 }), false, receiver);
    await turn();
    const key = /^Sec-WebSocket-Key: ([A-Za-z0-9+/]{22}==)\r$/m.exec(c.sent())?.[1] ?? '';
    assert.match(c.sent(), /^Sec-WebSocket-Version: 13\r$/m);
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    c.upstream.write(
      `HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    await turn();
    assert.equal(receiver.events[0], 'head 101 -1');
    c.connection.destroy();
  });
});

interface Message {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly chunked: boolean;
  readonly fields: readonly [string, string][];
}

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/).map((name) => `X-${name}`);
const message: fc.Arbitrary<Message> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'FOO'),
  path: fc.stringMatching(/^\/[a-z0-9/?=&%.-]{0,20}$/),
  body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  chunked: fc.boolean(),
  fields: fc.array(fc.tuple(token, fc.stringMatching(/^[!-~]([ -~\x80-\xff]{0,20}[!-~])?$/)), { maxLength: 6 }),
});

function wire(m: Message): string {
  const framing =
    m.body === '' ? '' : m.chunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${m.body.length}\r\n`;
  const body = m.body === '' || !m.chunked ? m.body : `${m.body.length.toString(16)};e=1\r\n${m.body}\r\n0\r\n\r\n`;
  const fields = m.fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `${m.method} ${m.path} HTTP/1.1\r\nHost: h\r\n${fields}${framing}\r\n${body}`;
}

test('what the upstream parses is what was sent: through both codecs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 4 }), fc.nat(60), async (messages, pieceBytes) => {
      const seen: Message[] = [];
      const options = { limits: defaultHttpLimits, clock: new ManualClock(), recorder: new TestRecorder() } as const;
      const connectUpstream = (): UpstreamConnection => {
        const [near, far] = duplexPair();
        serveHttp1(far, testConnection, {
          ...options,
          direction: 'inbound',
          dispatch: (e) => {
            let body = '';
            const done = (): void => {
              const fields: [string, string][] = [];
              e.head.headers.forEach((name, value) => {
                fields.push([name, value]);
              });
              seen.push({ method: e.head.method, path: e.head.path, body, chunked: e.head.contentLength < 0, fields });
              const content = Buffer.from(body, 'latin1');
              const head = { status: 200, reason: '', headers: new Headers(), contentLength: body.length };
              e.respond(head, content.length === 0);
              if (content.length > 0) e.write(content, true);
            };
            e.receiver = {
              onData: (chunk, end) => {
                body += chunk.toString('latin1');
                e.consumed(chunk.length);
                if (end) done();
              },
              onTrailers: done,
              onReset: () => undefined,
              onWritable: () => undefined,
              onDone: () => undefined,
            };
            if (e.endOfRequest) done();
          },
        });
        return connectHttp1({ socket: near, alpn: '', peer: undefined, localIp: '' });
      };
      const [client, server] = duplexPair();
      serveHttp1(server, testConnection, { ...options, direction: 'outbound', dispatch: forwardTo(connectUpstream) });
      let got = '';
      client.on('data', (chunk: Buffer) => {
        got += chunk.toString('latin1');
      });
      client.on('error', () => undefined);
      const bytes = Buffer.from(messages.map(wire).join(''), 'latin1');
      for (let at = 0; at < bytes.length; at += pieceBytes + 1) client.write(bytes.subarray(at, at + pieceBytes + 1));
      for (let i = 0; i < 400 && got.split('HTTP/1.1 200').length <= messages.length; i++) await turn();
      client.destroy();
      assert.deepEqual(
        seen,
        messages.map((m) => ({ ...m, chunked: m.chunked && m.body !== '' })),
      );
      for (const m of messages) assert.ok(got.includes(`\r\n\r\n${m.body}`));
    }),
    { numRuns: 100 },
  );
});
