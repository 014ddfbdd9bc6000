import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startHealthServer } from './health-server.ts';
import { parseProbes } from './probes.ts';

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function application(t: TestContext, handle: RequestListener): Promise<number> {
  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return portOf(server);
}

async function health(t: TestContext, port: number, count: (event: string) => void = () => undefined): Promise<string> {
  const probes = parseProbes(JSON.stringify({ 'web/readyz': { httpGet: { port, path: '/health' } } }));
  assert.ok(probes.ok);
  const server = await startHealthServer({
    host: '127.0.0.1',
    port: 0,
    podIp: '127.0.0.1',
    probes: probes.value,
    scrape: { port, path: '/metrics' },
    notReady: () => undefined,
    metrics: () => 'own 1\n',
    drainWait: async () => 'removed',
    count,
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${portOf(server)}`;
}

test('a probe tells its outcome and nothing of what the application wrote: anybody can ask', async (t) => {
  let status = 200;
  const port = await application(t, (_request, response) => void response.writeHead(status).end('internal details'));
  const url = await health(t, port);
  for (const [answered, expected] of [
    [200, 200],
    [204, 200],
    // kubelet takes these for healthy, but fails on a redirect without a Location.
    [302, 200],
    [404, 404],
    [503, 503],
  ] as const) {
    status = answered;
    const response = await fetch(`${url}/app-health/web/readyz`, { redirect: 'manual' });
    assert.equal(response.status, expected, `application answered ${answered}`);
    assert.doesNotMatch(await response.text(), /internal/);
  }
  for (const path of ['/app-health/../metrics', '/app-health/http://127.0.0.1:1/', '/app-health/web/readyz/../x']) {
    const response = await fetch(`${url}${path}`);
    await response.text();
    assert.ok(response.status === 404 || response.url.endsWith('/metrics'), path);
  }
});

test("the proxy's own metrics are served when the application breaks off in its answer, or sends too much", async (t) => {
  let endless = false;
  const port = await application(t, (_request, response) => {
    response.writeHead(200);
    if (!endless) {
      response.write('half');
      setTimeout(() => response.destroy(), 50);
      return;
    }
    const chunk = Buffer.alloc(1_000_000, 0x61);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  const url = await health(t, port);
  for (endless of [false, true]) {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(8_000) });
    const text = await response.text();
    assert.match(text, /^own 1\n# application metrics are missing: /);
  }
});

test('one machine keeps the kubelet out neither by connections nor by slow answers', async (t) => {
  const waiting: ServerResponse[] = [];
  let answers = false;
  const port = await application(t, (_request, response) => {
    if (answers) response.end();
    else waiting.push(response);
  });
  const counted = new Map<string, number>();
  const url = new URL(await health(t, port, (event) => counted.set(event, (counted.get(event) ?? 0) + 1)));
  const hold = (localAddress: string, request: string): Socket => {
    const socket = connect({ host: '127.0.0.1', port: Number(url.port), localAddress });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    socket.write(request);
    return socket;
  };
  const scrape = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
  const held = Array.from({ length: 100 }, () => hold('127.0.0.2', scrape));
  const refused = await Promise.all(
    held.slice(64).map(async (socket) => String((await once(socket, 'data'))[0]).slice(0, 12)),
  );
  assert.deepEqual(new Set(refused), new Set(['HTTP/1.1 503']));
  assert.equal(counted.get('health.busy'), 36);
  // What is refused is told at once, and the others have to reach the application first.
  while (waiting.length < 64) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(waiting.length, 64);
  const more = Array.from({ length: 60 }, () => hold('127.0.0.2', ''));
  await Promise.all(more.slice(28).map((socket) => once(socket, 'close')));
  assert.equal(counted.get('health.connections_max'), 32);
  assert.equal((await fetch(new URL('/healthz/live', url))).status, 200);
  answers = true;
  for (const response of waiting) response.end();
  await once(held[0] ?? assert.fail(), 'data');
  const [again] = await once(hold('127.0.0.3', scrape), 'data');
  assert.match(String(again), /^HTTP\/1.1 /);
});
