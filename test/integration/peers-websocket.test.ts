/** WebSockets of Node and of Python through two sidecars, over HTTP/1.1 and over HTTP/2 (RFC 8441) between them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { accepts } from '../support/nginx.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { type PeerPair, startPeerPair } from '../support/peers/pair.ts';
import { python } from '../support/peers/python.ts';
import { waitFor } from '../support/wait.ts';

const MIB = 1_048_576;
const folder = testFolder('peers-websocket');
let authority: CertificateFolder;

before(async () => {
  authority = await CertificateFolder.make(folder);
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function open(port: number, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, ['echo']);
  socket.binaryType = 'arraybuffer';
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = (event) => reject(new Error(`no WebSocket: ${event.type}`));
  });
  assert.equal(socket.protocol, 'echo');
  return socket;
}

const echo = (socket: WebSocket, message: string | Uint8Array<ArrayBuffer>): Promise<unknown> =>
  new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.send(message);
  });

const closed = (socket: WebSocket): Promise<CloseEvent> =>
  new Promise((resolve) => {
    socket.onerror = () => undefined;
    socket.onclose = resolve;
  });

for (const wire of ['http1', 'http2'] as const) {
  describe(`WebSockets, ${wire} between the sidecars`, () => {
    let server: Program;
    let pair: PeerPair;
    let serverPort = 0;

    before(async () => {
      serverPort = await freePort();
      server = await python('websocket_server.py', String(serverPort));
      await server.until('listening', () => accepts('127.0.0.1', serverPort));
      pair = await startPeerPair(folder, authority, { applicationPort: serverPort, wire, application: 'http1' });
    });

    after(async () => {
      await pair?.stop();
      await server?.stop();
    });

    test("Node's client: text, 1 MB of binary, and the close that it asks for", async () => {
      const socket = await open(pair.port, '/node');
      assert.equal(await echo(socket, 'grüße'), 'grüße');
      const bytes = new Uint8Array(randomBytes(MIB));
      const back = await echo(socket, bytes);
      assert.ok(back instanceof ArrayBuffer && Buffer.from(back).equals(bytes));
      socket.close(4000, 'done');
      const { code, wasClean } = await closed(socket);
      assert.deepEqual({ code, wasClean }, { code: 4000, wasClean: true });
      await waitFor('the server to know', () => server.stdout.includes('closed /node 4000 done') || undefined);
    });

    test('a close by the server arrives with its code and reason', async () => {
      const socket = await open(pair.port, '/by-server');
      const end = closed(socket);
      socket.send('close 4002');
      const { code, reason } = await end;
      assert.deepEqual({ code, reason }, { code: 4002, reason: 'as asked' });
    });

    test("Python's client: text, binary, fragments, pings both ways, close codes", async () => {
      const client = await python('websocket_client.py', String(pair.port));
      assert.equal(await client.exitCode(), 0, client.stderr);
      assert.equal(client.stdout, 'ok\n');
    });

    test('50 at once', async () => {
      const sockets = await Promise.all(Array.from({ length: 50 }, (_, i) => open(pair.port, `/many/${i}`)));
      const answers = await Promise.all(sockets.map((socket, i) => echo(socket, `${i}`)));
      assert.deepEqual(
        answers,
        sockets.map((_, i) => `${i}`),
      );
      await Promise.all(
        sockets.map((socket) => {
          const end = closed(socket);
          socket.close();
          return end;
        }),
      );
    });

    test('a client that vanishes is closed at the server', async () => {
      const socket = connect(pair.port, '127.0.0.1');
      const fields =
        'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: echo\r\n';
      socket.write(
        `GET /vanish HTTP/1.1\r\nHost: a\r\n${fields}Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
      );
      const [head]: Buffer[] = await once(socket, 'data');
      assert.match(String(head), /^HTTP\/1.1 101 /);
      socket.resetAndDestroy();
      await waitFor('the server to know', () => server.stdout.includes('closed /vanish 1006') || undefined);
    });

    test('a server that refuses the upgrade is heard', async () => {
      const socket = connect(pair.port, '127.0.0.1');
      socket.write(
        'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\n\r\n',
      );
      const [head]: Buffer[] = await once(socket, 'data');
      assert.match(String(head), /^HTTP\/1.1 4\d\d /);
      socket.destroy();
    });

    test('a server that dies ends the socket of its client', async () => {
      const socket = await open(pair.port, '/dies');
      const end = closed(socket);
      await server.stop('SIGKILL');
      assert.equal((await end).code, 1006);
    });
  });
}
