/** Connections of the pair rather than requests: opaque TCP, Upgrade, reuse, drain, and what is left behind. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { CLIENT_ID, type Pair, SERVER_ID, startPair } from '../support/pair.ts';
import { bootstrap, cluster, downstreamTls, tcpListener, upstreamTls } from '../support/pair-bootstrap.ts';
import { curl, curlStatus } from '../support/pair-curl.ts';
import { answerOk, type HttpOrigin, httpOrigin, RawOrigin, sendRaw } from '../support/pair-origin.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { accessLog, startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('pair-streams');
let authority: CertificateFolder;

before(async () => {
  authority = await CertificateFolder.make(folder);
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Open file descriptors that are sockets. */
const socketsOf = (program: Program): number => readdirSync(`/proc/${program.pid}/fd`).length;

/** Writes all of it, as fast as it is taken, and ends its side. */
async function pour(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!socket.write(bytes.subarray(at, at + 65_536))) await once(socket, 'drain');
  }
  socket.end();
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('opaque TCP', () => {
  let origin: RawOrigin;
  let server: Program;
  let client: Program;
  let port = 0;
  const upload = randomBytes(20_000_000);
  const download = randomBytes(20_000_000);

  before(async () => {
    // Speaks only when the other side has said everything: works through a proxy that keeps half-close, and no other.
    origin = await RawOrigin.start(
      () => undefined,
      (socket) => void pour(socket, download).catch(() => socket.destroy()),
      // Nobody else is to be there when it has gone.
      await freePort(),
    );
    const wirePort = await freePort();
    port = await freePort();
    const local = { ip: '127.0.0.1', port: origin.port };
    const serverFiles = await authority.issue('tcp-server', SERVER_ID);
    const clientFiles = await authority.issue('tcp-client', CLIENT_ID);
    server = await startSidecar(
      folder,
      bootstrap({
        id: 'server',
        adminPort: await freePort(),
        listeners: [
          tcpListener({
            name: 'inbound',
            at: { ip: '::1', port: wirePort },
            direction: 'INBOUND',
            cluster: 'application',
            tls: downstreamTls(serverFiles, 'weft-tcp'),
          }),
        ],
        clusters: [cluster({ name: 'application', endpoints: [local] })],
      }),
    );
    client = await startSidecar(
      folder,
      bootstrap({
        id: 'client',
        adminPort: await freePort(),
        listeners: [
          tcpListener({ name: 'outbound', at: { ip: '127.0.0.1', port }, direction: 'OUTBOUND', cluster: 'server' }),
        ],
        clusters: [
          cluster({
            name: 'server',
            endpoints: [{ ip: '::1', port: wirePort }],
            tls: upstreamTls(clientFiles, SERVER_ID, 'weft-tcp'),
          }),
        ],
      }),
    );
  });

  after(async () => {
    await client.stop();
    await server.stop();
    await origin.close();
  });

  const exchange = async (): Promise<Buffer> => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const [read] = await Promise.all([readAll(socket), pour(socket, upload)]);
    return read;
  };

  test('20 MB up, half-close, 20 MB down', async () => {
    const read = await exchange();
    assert.ok(read.equals(download), `${read.length} bytes`);
    assert.equal(
      createHash('sha256').update(Buffer.concat(origin.received)).digest('hex'),
      createHash('sha256').update(upload).digest('hex'),
    );
    const line = await waitFor('the log', () => accessLog(server).find(({ protocol }) => protocol === 'tcp'));
    assert.equal(line.bytesReceived, upload.length);
    assert.equal(line.bytesSent, download.length);
    assert.equal(line.source, CLIENT_ID);
    assert.equal(line.flags, '');
  });

  test('a client that resets is passed on as an end of the connection, and no socket stays', async () => {
    const before = { client: socketsOf(client), server: socketsOf(server) };
    // The sidecars connect to the application without waiting for bytes.
    const { connections } = origin;
    const socket = connect({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    socket.write('hello');
    await waitFor('the application to be connected', () => origin.connections > connections || undefined);
    socket.resetAndDestroy();
    await waitFor('the sockets to be closed', () =>
      socketsOf(client) <= before.client && socketsOf(server) <= before.server ? true : undefined,
    );
  });

  test('an application that is down ends the connection, with the cause in the log', async () => {
    await origin.close();
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    await once(socket, 'close');
    const line = await waitFor('the log', () => accessLog(server).find(({ flags }) => flags === 'UF'));
    assert.match(line.details, /connection refused/);
  });
});

describe('HTTP connections', () => {
  let origin: RawOrigin;
  let slow: HttpOrigin;
  let pair: Pair;
  let release: (() => void)[] = [];

  before(async () => {
    origin = await RawOrigin.start((socket, bytes) => {
      const text = bytes.toString('latin1');
      if (text.startsWith('GET /ws ')) {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
      } else if (!text.startsWith('GET ')) socket.write(bytes);
      else if (text.startsWith('GET /close '))
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n');
      else if (text.startsWith('GET /until-close ')) socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end');
      else if (text.startsWith('GET /cut ')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort');
      else if (text.startsWith('GET /cut-chunk '))
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n');
      else if (text.startsWith('GET /trailers '))
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n',
        );
      else if (text.startsWith('GET /early '))
        socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n');
      else answerOk(socket, bytes);
    });
    slow = await httpOrigin((_request, response) => release.push(() => response.end('at last\n')));
    pair = await startPair(folder, authority, { applicationPort: origin.port });
  });

  after(async () => {
    await pair.stop();
    await slow.close();
    await origin.close();
  });

  const url = (path: string): string => `http://127.0.0.1:${pair.port}${path}`;

  test('one connection to the application serves many of curl', async () => {
    origin.clear();
    for (let i = 0; i < 10; i++) assert.equal(await curlStatus(url('/')), 200);
    assert.equal(origin.connections, 1);
  });

  test('pipelined requests are answered in order', async () => {
    const requests = Array.from({ length: 20 }, (_, i) => `GET /p${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join('');
    const { text } = await sendRaw(pair.port, requests, (read) => read.split('ok\n').length === 21);
    assert.equal(text.match(/HTTP\/1.1 200 OK/g)?.length, 20);
  });

  test('Upgrade: bytes both ways, and the end of one side is the end of it', async () => {
    const socket = connect({ port: pair.port, host: '127.0.0.1' });
    let read = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      read += text;
    });
    socket.write('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    await waitFor('101', () => read.includes('\r\n\r\n') || undefined);
    assert.match(read, /^HTTP\/1.1 101 Switching Protocols\r\n/);
    assert.match(read, /\r\nUpgrade: echo\r\n/i);
    for (const frame of ['one', 'two', '\x00\xff\r\n\r\n']) {
      read = '';
      socket.write(Buffer.from(frame, 'latin1'));
      await waitFor('the echo', () => read === frame || undefined);
    }
    socket.end();
    await once(socket, 'close');
  });

  test('an application that closes after each answer', async () => {
    for (let i = 0; i < 5; i++) assert.equal((await curl(url('/close'))).stdout, 'ok\n');
    assert.equal((await curl(url('/until-close'))).stdout, 'until the end');
  });

  test('an answer that is cut short is never complete for the client', async () => {
    assert.equal((await curl(url('/cut'))).exitCode, 18);
    assert.notEqual((await curl(url('/cut-chunk'))).exitCode, 0);
  });

  test('trailers and interim answers come through', async () => {
    const { text } = await sendRaw(
      pair.port,
      'GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n',
      (read) => read.endsWith('\r\n\r\n') && read.includes('0\r\n'),
    );
    assert.match(text, /\r\n0\r\nX-Sum: 42\r\n\r\n$/);
    const early = await sendRaw(pair.port, 'GET /early HTTP/1.1\r\nHost: a\r\n\r\n', (read) => read.endsWith('ok\n'));
    assert.match(early.text, /^HTTP\/1.1 103 [\s\S]*HTTP\/1.1 200 OK/);
  });

  test('HTTP/1.0 without Host', async () => {
    const answer = await sendRaw(pair.port, 'GET /old HTTP/1.0\r\n\r\n');
    assert.match(answer.text, /^HTTP\/1.1 200 OK\r\n[\s\S]*ok\n$/);
    assert.ok(answer.closed);
  });

  test('hop-by-hop fields stop at the first sidecar', async () => {
    origin.clear();
    await curl(
      '-H',
      'Connection: x-hop',
      '-H',
      'X-Hop: 1',
      '-H',
      'Keep-Alive: timeout=5',
      '-H',
      'Proxy-Connection: close',
      url('/hop'),
    );
    assert.doesNotMatch(origin.text, /x-hop|keep-alive|proxy-connection/i);
  });

  test('SIGTERM: the open request is finished, new connections are refused, and the process ends', async () => {
    const other = await startPair(folder, authority, { applicationPort: slow.port });
    release = [];
    const idle = connect(other.port, '127.0.0.1');
    await once(idle, 'connect');
    const open = curl('-i', `http://127.0.0.1:${other.port}/`);
    await waitFor('the request to arrive', () => release.length === 1 || undefined);
    other.clientProgram.child.kill('SIGTERM');
    other.serverProgram.child.kill('SIGTERM');
    await once(idle, 'close');
    await waitFor('new connections to be refused', async () => {
      const { exitCode } = await curl(`http://127.0.0.1:${other.port}/`);
      return exitCode === 7 ? true : undefined;
    });
    for (const answer of release) answer();
    const { stdout } = await open;
    assert.match(stdout, /^HTTP\/1.1 200 OK\r\n[\s\S]*at last\n$/);
    assert.equal(await other.clientProgram.exitCode(), 0);
    assert.equal(await other.serverProgram.exitCode(), 0);
  });

  test('500 connections leave no socket behind', async () => {
    const before = { client: socketsOf(pair.clientProgram), server: socketsOf(pair.serverProgram) };
    const sockets = await Promise.all(
      Array.from({ length: 500 }, async () => {
        const socket = connect(pair.port, '127.0.0.1');
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        return socket;
      }),
    );
    sockets.forEach((socket, i) => {
      if (i % 2 === 0) socket.write('GET /left HTTP/1.1\r\nHost: a\r\n');
      if (i % 3 === 0) socket.resetAndDestroy();
      else socket.destroy();
    });
    await waitFor('the sockets to be closed', () =>
      socketsOf(pair.clientProgram) <= before.client && socketsOf(pair.serverProgram) <= before.server
        ? true
        : undefined,
    );
    assert.equal(await curlStatus(url('/')), 200);
  });
});
