import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { chain, http, listener, plaintext, type Rig, startRig } from './listener-rig.fixture.ts';

/** curl through the HTTP/1.1 codecs to nginx, and to Node's http for what nginx does not do by itself. */

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'weft-h1-'));
const big = randomBytes(3_000_000);
let nginx: ChildProcess;
let origin: Server;
let rig: Rig;

async function startNginx(port: number): Promise<ChildProcess> {
  writeFileSync(join(folder, 'index.html'), 'from nginx\n');
  writeFileSync(join(folder, 'big'), big);
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; user root; worker_processes 1; pid ${folder}/pid; error_log stderr; events {}
     http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
     uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
     server { listen 127.0.0.1:${port}; root ${folder}; location /host { return 200 "$http_host $http_x_mixed"; } } }`,
  );
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], { stdio: 'ignore' });
  await waitFor('nginx listening', async () => {
    const socket = connect(port, '127.0.0.1');
    const up = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    return up || undefined;
  });
  return child;
}

function startOrigin(): Server {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const framing = request.headers['transfer-encoding'] ?? request.headers['content-length'] ?? 'none';
      response.setHeader('X-Raw', JSON.stringify(request.rawHeaders));
      response.setHeader('X-Framing', framing);
      response.end(Buffer.concat(chunks));
    });
  });
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  return server;
}

before(async () => {
  const nginxPort = await freePort();
  nginx = await startNginx(nginxPort);
  origin = startOrigin().listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const address = origin.address();
  const originPort = address !== null && typeof address === 'object' ? address.port : 0;
  rig = await startRig({
    listeners: [
      listener('nginx', { filterChains: [chain(http('nginx'))] }),
      listener('origin', { filterChains: [chain(http('origin'))] }),
      listener('dead', { filterChains: [chain(http('dead'))] }),
    ],
    clusters: {
      nginx: { address: { ip: '127.0.0.1', port: nginxPort }, security: plaintext },
      origin: { address: { ip: '127.0.0.1', port: originPort }, security: plaintext },
      dead: { address: { ip: '127.0.0.1', port: await freePort() }, security: plaintext },
    },
  });
});

after(async () => {
  rig?.manager.close();
  origin?.closeAllConnections();
  origin?.close();
  if (nginx !== undefined) {
    nginx.kill('SIGKILL');
    await once(nginx, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

const curl = async (...args: string[]): Promise<string> => {
  const { stdout } = await run('curl', ['-s', '--max-time', '10', ...args], { encoding: 'latin1', maxBuffer: 1e8 });
  return stdout;
};

for (const host of ['127.0.0.1', '[::1]']) {
  describe(`curl to ${host} through the codecs`, () => {
    const url = (name: string, path: string): string => `http://${host}:${rig.port(name)}${path}`;

    test('GET, also twice on one connection', async () => {
      const text = await curl('-v', '--stderr', '-', url('nginx', '/'), url('nginx', '/'));
      assert.equal(text.match(/from nginx/g)?.length, 2);
      assert.match(text, /Re-using existing connection/i);
      assert.match(text, /< Server: nginx/);
    });

    test('a large file arrives whole', async () => {
      const body = await curl(url('nginx', '/big'));
      assert.ok(Buffer.from(body, 'latin1').equals(big));
    });

    test('HEAD, 404, HTTP/1.0, ranges', async () => {
      assert.match(await curl('-I', url('nginx', '/big')), /Content-Length: 3000000/);
      assert.match(await curl('-i', url('nginx', '/nope')), /^HTTP\/1.1 404 Not Found/);
      assert.equal(await curl('--http1.0', url('nginx', '/')), 'from nginx\n');
      assert.equal(await curl('-r', '5-9', url('nginx', '/')), 'nginx');
    });

    test('Host and the casing of fields pass unchanged', async () => {
      assert.equal(
        await curl('-H', 'Host: shop.example:81', '-H', 'X-MiXed: v', url('nginx', '/host')),
        'shop.example:81 v',
      );
      const text = await curl('-i', '-H', 'X-MiXed: v', url('origin', '/'));
      assert.match(text, /"X-MiXed","v"/);
    });

    test('uploads: known length with 100-continue, and chunked', async () => {
      const file = join(folder, 'big');
      // After a second curl would go on without being told.
      const expecting = ['-H', 'Expect: 100-continue', '--expect100-timeout', '10'];
      const sent = await curl('-i', ...expecting, '--data-binary', `@${file}`, url('origin', '/'));
      assert.match(sent, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
      assert.match(sent, /X-Framing: 3000000/);
      assert.ok(sent.endsWith(big.toString('latin1').slice(-1_000_000)));
      const chunked = await curl('-H', 'Transfer-Encoding: chunked', '--data-binary', `@${file}`, url('origin', '/'));
      assert.ok(Buffer.from(chunked, 'latin1').equals(big));
    });

    test('an upstream that refuses: 503 with the cause', async () => {
      assert.match(
        await curl('-i', url('dead', '/')),
        /^HTTP\/1.1 503 [\s\S]*UF connection to .* failed: connection refused/,
      );
    });
  });
}

test('Upgrade carries bytes both ways', async () => {
  const socket = connect(rig.port('origin'), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await waitFor('the switch', () => text.includes('101 Switching') || undefined);
  socket.write('ping');
  await waitFor('the echo', () => text.endsWith('\r\n\r\nping') || undefined);
  socket.end();
  await once(socket, 'close');
});

test('a malformed request is answered and recorded, the next client is served', async () => {
  const socket = connect(rig.port('nginx'), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
  await once(socket, 'end');
  socket.destroy();
  assert.match(text, /^HTTP\/1.1 400 Bad Request\r\n[\s\S]*RFC 9112 section 6.1/);
  assert.equal(rig.recorder.records.find((record) => record.flag === 'DPE')?.status, 400);
  assert.equal(await curl(`http://127.0.0.1:${rig.port('nginx')}/`), 'from nginx\n');
});
