import assert from 'node:assert/strict';
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ManualClock, systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import { ClusterManager } from '../cluster/manager.ts';
import { connectHttp1 } from '../http/h1/client.ts';
import { serveHttp1 } from '../http/h1/server.ts';
import { TestRecorder, testConnection } from '../http/h1/testing.ts';
import { createDial } from '../net/dial.ts';
import { createDispatch } from './chain.ts';
import { forwardTo, routes, TestIdentity, TestSource, testCluster, testEndpoint, testHcm } from './testing.ts';

const LARGE_BYTES = 3_000_000;

function listen(server: Server | ReturnType<typeof createTcpServer>, host: string): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port));
  });
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, 'state not reached in time');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function application(): Server {
  const server = createServer((req, res) => {
    if (req.url === '/large') res.end(Buffer.alloc(LARGE_BYTES, 'x'));
    else if (req.url === '/break') {
      res.writeHead(200, { 'content-length': '100' });
      res.write('half', () => req.socket.destroy());
    } else if (req.url === '/close') req.socket.destroy();
    else req.pipe(res.writeHead(200, { 'x-url': req.url }));
  });
  server.on('upgrade', (_req, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  return server;
}

for (const host of ['127.0.0.1', '::1']) {
  describe(`a request through real sockets on ${host}`, () => {
    const recorder = new TestRecorder();
    const agent = new Agent({ keepAlive: true });
    const upstream = application();
    const source = new TestSource(new ManualClock());
    const identity = new TestIdentity();
    const clusters = new ClusterManager({
      source,
      dial: createDial({ certificates: identity, clock: systemClock, recorder }),
      connectHttp: (transport) => connectHttp1(transport, { recorder }),
      identity,
      recorder,
      clock: systemClock,
      prng: systemPrng,
      onDemandWaitMsMax: 100,
      resolveHost: (_host, done) => done({ error: 'none' }),
    });
    const dispatch = createDispatch({
      hcm: testHcm({ kind: 'inline', config: routes('r', forwardTo('app', { timeoutMs: 20_000 })) }),
      direction: 'outbound',
      settings: undefined,
      source,
      clusters,
      recorder,
      clock: systemClock,
      prng: systemPrng,
      onDemandWaitMsMax: 100,
      identity,
    });
    const sockets = new Set<Socket>();
    const proxy = createTcpServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      serveHttp1(socket, testConnection, {
        limits: defaultHttpLimits,
        dispatch,
        clock: systemClock,
        recorder,
        direction: 'outbound',
      });
    });
    let port = 0;

    before(async () => {
      const appPort = await listen(upstream, host);
      source.cluster(testCluster('app'));
      source.assignment('app', [testEndpoint(host, appPort)]);
      port = await listen(proxy, host);
    });

    after(() => {
      agent.destroy();
      for (const socket of sockets) socket.destroy();
      proxy.close();
      clusters.close();
      upstream.close();
      upstream.closeAllConnections();
    });

    function call(
      path: string,
      body?: Buffer,
    ): Promise<{ status: number; bytes: number; headers: IncomingMessage['headers'] }> {
      return new Promise((resolve, reject) => {
        const req = request({ host, port, path, agent, method: body === undefined ? 'GET' : 'POST' }, (res) => {
          let bytes = 0;
          res.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
          });
          res.on('error', reject);
          res.on('end', () => resolve({ status: res.statusCode ?? 0, bytes, headers: res.headers }));
        });
        req.on('error', reject);
        req.end(body);
      });
    }

    test('bodies of any size arrive whole, on one connection', async () => {
      assert.equal((await call('/large')).bytes, LARGE_BYTES);
      const posted = await call('/a?b', Buffer.alloc(LARGE_BYTES));
      assert.equal(posted.bytes, LARGE_BYTES);
      assert.equal(posted.headers['x-url'], '/a?b');
      for (let i = 0; i < 20; i++) assert.equal((await call('/')).status, 200);
      assert.equal(clusters.get('app')?.limits.connections, 1);
      assert.equal(recorder.records.length, 22);
      assert.ok(recorder.records.every((record) => record.flag === '' && record.attempts === 1));
    });

    test('a response that breaks off breaks off for the client too', async () => {
      await assert.rejects(call('/break'));
      await until(() => recorder.records.at(-1)?.path === '/break');
      assert.equal(recorder.records.at(-1)?.flag, 'UPE');
      assert.equal(recorder.records.at(-1)?.status, 200);
      assert.equal((await call('/close')).status, 503);
      assert.equal((await call('/')).status, 200);
    });

    test('an upgrade becomes a tunnel', async () => {
      const socket = connect(port, host);
      sockets.add(socket);
      socket.write('GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      const text = await new Promise<string>((resolve, reject) => {
        let all = '';
        socket.on('error', reject);
        socket.on('close', () => resolve(all));
        socket.on('data', (chunk) => {
          all += chunk.toString();
          if (all.endsWith('\r\n\r\n')) socket.write('ping');
          if (all.endsWith('ping')) socket.end();
        });
      });
      assert.match(text, /^HTTP\/1\.1 101 [\s\S]*ping$/);
      await until(() => recorder.records.at(-1)?.path === '/up');
      assert.equal(recorder.records.at(-1)?.status, 101);
      assert.equal(clusters.get('app')?.limits.requests, 0);
    });
  });
}
