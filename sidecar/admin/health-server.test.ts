import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
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

async function health(t: TestContext, port: number): Promise<string> {
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
