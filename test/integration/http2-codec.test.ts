import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import type { Dispatch, UpstreamConnection } from '../../sidecar/http/exchange.ts';
import { connectHttp1 } from '../../sidecar/http/h1/client.ts';
import { serveHttp1 } from '../../sidecar/http/h1/server.ts';
import { forward, forwardTo, TestRecorder, testConnection } from '../../sidecar/http/h1/testing.ts';
import { connectHttp2 } from '../../sidecar/http/h2/client.ts';
import { serveHttp2 } from '../../sidecar/http/h2/server.ts';

/** Both codecs on real sockets, between clients and servers of Node that know nothing of them. */
const recorder = new TestRecorder();
const cleanups: (() => void)[] = [];

async function listen(server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

function dial(port: number, protocol: 'h1' | 'h2' | 'mesh'): UpstreamConnection {
  const socket = net.connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  cleanups.push(() => socket.destroy());
  const transport = { socket, alpn: '', peer: undefined, localIp: '127.0.0.1' };
  if (protocol === 'h1') return connectHttp1(transport, { recorder });
  return connectHttp2(transport, { clock: systemClock, recorder, mesh: protocol === 'mesh' });
}

/** One connection for all exchanges, as a pool would do. */
function multiplexed(port: number, protocol: 'h2' | 'mesh'): Dispatch {
  let connection: UpstreamConnection | undefined;
  return (exchange) => {
    if (connection === undefined || connection.available === 0) connection = dial(port, protocol);
    forward(exchange, connection);
  };
}

async function proxy(protocol: 'h1' | 'h2' | 'mesh', dispatch: Dispatch): Promise<number> {
  const options = { limits: defaultHttpLimits, dispatch, clock: systemClock, recorder, direction: 'inbound' } as const;
  return listen(
    net.createServer({ noDelay: true }, (socket) => {
      if (protocol === 'h1') serveHttp1(socket, testConnection, options);
      else serveHttp2(socket, testConnection, { ...options, mesh: protocol === 'mesh' });
    }),
  );
}

function origin2(): http2.Http2Server {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    const path = headers[':path'];
    stream.on('error', () => undefined);
    if (headers[':protocol'] === 'websocket') {
      stream.respond({ ':status': 200 });
      stream.on('data', (chunk: Buffer) => stream.write(`ws:${chunk}`));
      stream.on('end', () => stream.end());
    } else if (path === '/trailers') {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }));
      stream.end('body');
    } else if (path === '/interim') {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 204 }, { endStream: true });
    } else if (path === '/reset') {
      stream.respond({ ':status': 200 });
      stream.write('part');
      setImmediate(() => stream.destroy(new Error('broken')));
    } else if (path === '/goaway') {
      stream.respond({ ':status': 200 });
      stream.session?.goaway(0, stream.id ?? 0);
      stream.end('last');
    } else {
      stream.respond({ ':status': 200, 'x-method': headers[':method'] });
      stream.pipe(stream);
    }
  });
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly interim: number[];
  readonly reset: number;
}

function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: Buffer,
  slow = false,
): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let answered: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    const interim: number[] = [];
    const chunks: Buffer[] = [];
    stream.on('headers', (early: { ':status'?: number }) => interim.push(early[':status'] ?? 0));
    stream.on('response', (head) => {
      answered = head;
    });
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (!slow || chunks.length % 64 !== 0) return;
      stream.pause();
      setImmediate(() => stream.resume());
    });
    stream.on('error', () => undefined);
    stream.on('close', () =>
      resolve({
        status: answered[':status'] ?? 0,
        headers: answered,
        body: Buffer.concat(chunks),
        trailers,
        interim,
        reset: stream.rstCode,
      }),
    );
    if (body !== undefined) stream.end(body);
  });
}

describe('HTTP/2 on real sockets, against Node', () => {
  let session: http2.ClientHttp2Session;
  before(async () => {
    const origin = await listen(origin2());
    const port = await proxy('h2', multiplexed(origin, 'h2'));
    session = http2.connect(`http://127.0.0.1:${port}`);
    cleanups.push(() => session.destroy());
    await new Promise((resolve) => session.once('remoteSettings', resolve));
  });
  after(() => {
    for (const cleanup of cleanups) cleanup();
  });

  test('10 MB up and down, with a reader that pauses', async () => {
    const body = randomBytes(10_000_000);
    const answer = await ask(session, { ':method': 'POST', ':path': '/echo' }, body, true);
    assert.equal(answer.status, 200);
    assert.ok(answer.body.equals(body));
  });

  test('300 streams at once keep their contents apart', async () => {
    const bodies = Array.from({ length: 300 }, (_, i) => Buffer.alloc(20_000 + i, `${i},`));
    const answers = await Promise.all(bodies.map((body) => ask(session, { ':method': 'POST', ':path': '/' }, body)));
    answers.forEach((answer, i) => {
      assert.ok(answer.body.equals(bodies[i] ?? Buffer.alloc(0)), `${i}`);
    });
  });

  test('trailers and interim responses', async () => {
    const answer = await ask(session, { ':path': '/trailers' });
    assert.equal(answer.body.toString(), 'body');
    assert.equal(answer.trailers['x-end'], 'yes');
    const early = await ask(session, { ':path': '/interim' });
    assert.deepEqual([early.interim, early.status], [[103], 204]);
  });

  test('a reset in the middle of a response is one for the client, and other streams go on', async () => {
    const [broken, whole] = await Promise.all([
      ask(session, { ':path': '/reset' }),
      ask(session, { ':method': 'POST', ':path': '/' }, Buffer.from('whole')),
    ]);
    assert.equal(broken.reset, http2.constants.NGHTTP2_INTERNAL_ERROR);
    assert.equal(whole.body.toString(), 'whole');
  });

  test('after GOAWAY of the server the next request goes on another connection', async () => {
    const last = await ask(session, { ':path': '/goaway' });
    assert.equal(last.body.toString(), 'last');
    const next = await ask(session, { ':method': 'POST', ':path': '/' }, Buffer.from('next'));
    assert.equal(next.body.toString(), 'next');
  });

  test('a client that cancels its uploads leaves nothing behind', async () => {
    for (let i = 0; i < 50; i++) {
      const stream = session.request({ ':method': 'POST', ':path': '/' });
      stream.on('error', () => undefined);
      stream.write(Buffer.alloc(50_000));
      await new Promise((resolve) => stream.once('response', resolve));
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await new Promise((resolve) => stream.once('close', resolve));
    }
    const answer = await ask(session, { ':method': 'POST', ':path': '/' }, Buffer.alloc(2_000_000, 'y'));
    assert.equal(answer.body.length, 2_000_000);
  });

  test('WebSocket by extended CONNECT, HTTP/2 on both sides', async () => {
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/ws',
      ':scheme': 'http',
    });
    const head = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.once('response', resolve));
    assert.equal(head[':status'], 200);
    assert.equal(head['sec-websocket-accept'], undefined);
    stream.write('hello');
    const chunk = await new Promise((resolve) => stream.once('data', (data: Buffer) => resolve(data.toString())));
    assert.equal(chunk, 'ws:hello');
    stream.end();
    await new Promise((resolve) => stream.once('close', resolve));
    assert.equal(stream.rstCode, 0);
  });
});

/** An HTTP/1 server that shows the head that it got, and speaks a toy WebSocket. */
function origin1(): http.Server {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const seen = { version: request.httpVersion, method: request.method, url: request.url, raw: request.rawHeaders };
      response.setHeader('X-Casing', 'kept');
      response.end(JSON.stringify({ ...seen, body: Buffer.concat(chunks).toString(), trailers: request.rawTrailers }));
    });
  });
  server.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
    const key = request.headers['sec-websocket-key'] ?? '';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.on('error', () => undefined);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade}\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nX-Method: ${request.method}\r\n\r\n`,
    );
    socket.on('data', (chunk) => socket.write(`ws:${chunk}`));
    socket.on('end', () => socket.end());
  });
  return server;
}

describe('HTTP/1 through a pair of sidecars that speak HTTP/2', () => {
  let port = 0;
  let inbound = 0;
  before(async () => {
    const origin = await listen(origin1());
    inbound = await proxy(
      'mesh',
      forwardTo(() => dial(origin, 'h1')),
    );
    port = await proxy('h1', multiplexed(inbound, 'mesh'));
  });
  after(() => {
    for (const cleanup of cleanups) cleanup();
  });

  async function raw(to: number, text: string, until: RegExp, then?: string): Promise<string> {
    const socket = net.connect(to, '127.0.0.1');
    cleanups.push(() => socket.destroy());
    let received = '';
    socket.write(text);
    return new Promise((resolve) => {
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        if (then !== undefined && received.includes('\r\n\r\n')) {
          socket.write(then);
          then = undefined;
        }
        if (until.test(received)) {
          socket.destroy();
          resolve(received);
        }
      });
      socket.on('close', () => resolve(received));
    });
  }

  test('names keep their casing both ways, content and trailers arrive', async () => {
    const text =
      'POST /p?q=1 HTTP/1.1\r\nHost: App.test:81\r\nX-MiXed-Case: V\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n';
    const answer = await raw(port, text, /\r\n\r\n.*\]/s);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /\r\nX-Casing: kept\r\n/);
    assert.match(answer, /"url":"\/p\?q=1"/);
    assert.match(answer, /"Host","App\.test:81","X-MiXed-Case","V"/);
    assert.match(answer, /"body":"abc","trailers":\["X-Sum","3"\]/);
  });

  test('HTTP/1.0 stays what it is for the client', async () => {
    const answer = await raw(port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', /\]\}/);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /Connection: close\r\n/);
  });

  test('WebSocket, with the key of the client and its answer', async () => {
    const text =
      'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
    const answer = await raw(port, text, /ws:ping/, 'ping');
    assert.match(answer, /^HTTP\/1\.1 101 /);
    assert.match(answer, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  });

  test('an Upgrade of another method keeps it', async () => {
    const text = 'POST /attach HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n';
    const answer = await raw(port, text, /ws:ping/, 'ping');
    assert.match(answer, /X-Method: POST\r\n/);
  });

  test('a native HTTP/2 WebSocket reaches an HTTP/1 server through the pair', async () => {
    const native = await proxy('h2', multiplexed(inbound, 'mesh'));
    const session = http2.connect(`http://127.0.0.1:${native}`);
    cleanups.push(() => session.destroy());
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/ws',
      ':scheme': 'http',
    });
    const head = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.once('response', resolve));
    assert.deepEqual([head[':status'], head['sec-websocket-accept'], head['upgrade']], [200, undefined, undefined]);
    stream.write('hello');
    assert.equal(await new Promise((resolve) => stream.once('data', (data: Buffer) => resolve(`${data}`))), 'ws:hello');
    session.destroy();
  });

  test('CONNECT is a tunnel through the pair', async () => {
    const target = await listen(
      net.createServer((socket) => socket.on('data', (chunk) => socket.write(`tcp:${chunk}`))),
    );
    // Stands for the inbound side's route to what was asked for.
    const far = await proxy('mesh', (exchange) => {
      const socket = net.connect(target, '127.0.0.1');
      exchange.receiver = {
        onData: (chunk, end) => {
          exchange.consumed(chunk.length);
          if (end) socket.end(chunk);
          else socket.write(chunk);
        },
        onTrailers: () => undefined,
        onReset: () => socket.destroy(),
        onWritable: () => undefined,
        onDone: () => socket.destroy(),
      };
      socket.on('connect', () => {
        const headers = exchange.head.headers.clone();
        exchange.respond({ status: 200, reason: '', headers, contentLength: -1 }, false);
      });
      socket.on('data', (chunk: Buffer) => exchange.write(chunk, false));
    });
    const near = await proxy('h1', multiplexed(far, 'mesh'));
    const answer = await raw(near, 'CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\n', /tcp:ping/, 'ping');
    assert.match(answer, /^HTTP\/1\.1 200 /);
  });
});
