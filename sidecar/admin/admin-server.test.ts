import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { anyTraffic, type Listener } from '@weft/policies/model/listener';
import type { DownstreamTls } from '@weft/policies/model/tls';
import { type AdminViews, startAdminServer } from './admin-server.ts';
import { AdminRoutes } from './routes.ts';

const tls: DownstreamTls = {
  certificate: {
    kind: 'inline',
    certificateChain: { kind: 'pem', pem: 'CHAIN' },
    privateKey: { kind: 'pem', pem: 'THE-KEY' },
  },
  validation: undefined,
  requireClientCertificate: false,
  alpn: [],
  parameters: { versionMin: 'TLSv1.2', versionMax: 'TLSv1.3' },
};
const listener: Listener = {
  name: 'in',
  direction: 'inbound',
  addresses: [{ ip: '127.0.0.1', port: 1 }],
  useOriginalDst: false,
  detectTls: false,
  detectHttp: false,
  proxyProtocol: false,
  detectTimeoutMs: 0,
  filterChains: [
    {
      name: 'c',
      match: anyTraffic,
      tls,
      networkRbac: [],
      terminal: {
        kind: 'tcp',
        statPrefix: 't',
        clusters: [{ name: 'x', weight: 1 }],
        idleTimeoutMs: 0,
        accessLogs: [],
      },
    },
  ],
  defaultFilterChain: undefined,
  settings: undefined,
};

const views: AdminViews = {
  node: { id: 'n', cluster: 'c' },
  concurrency: 1,
  config: () => ({ listeners: [listener], clusters: [], routes: [], endpoints: [], static: true }),
  metrics: async () => 'weft_x 1\n',
  counters: async () => ({ 'http.a.downstream_rq_2xx': 7, 'http.a.downstream_rq_5xx': 0 }),
  certs: () => ({ certificates: [] }),
  clusters: async () => [],
  listeners: async () => [{ name: 'in', addresses: [{ ip: '::1', port: 80 }], connections: 3, accepted: 5 }],
  notReady: () => undefined,
  drain: () => {},
  quit: () => {},
};

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject).end();
  });
}

test('the socket is for its own user alone, whatever the umask, and shows no key', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-admin-'));
  const socketPath = join(folder, 'admin.sock');
  const umask = process.umask(0);
  const server = await startAdminServer({ socketPath }, views);
  try {
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    const text = await get(socketPath, '/config_dump');
    assert.match(text, /CHAIN/);
    assert.match(text, /redacted/);
    assert.doesNotMatch(text, /THE-KEY/);
  } finally {
    process.umask(umask);
    server.close();
    rmSync(folder, { recursive: true });
  }
});

test('what changes something wants POST, and everything else GET', async () => {
  let ended = 0;
  const routes = new AdminRoutes({ ...views, quit: () => ended++ });
  assert.deepEqual(await routes.answer('GET', '/quitquitquit'), {
    status: 405,
    type: 'text',
    body: 'Method GET not allowed, POST required.',
  });
  assert.equal(ended, 0);
  assert.equal((await routes.answer('POST', '/quitquitquit')).body, 'OK\n');
  assert.equal(ended, 1);
  assert.equal((await routes.answer('POST', '/stats')).status, 405);
  assert.equal((await routes.answer('GET', '/nothing')).status, 404);
});

test('statistics: filter, used only, JSON, reset', async () => {
  const routes = new AdminRoutes(views);
  const body = async (target: string) => (await routes.answer('GET', target)).body;
  assert.equal(
    await body('/stats'),
    'http.a.downstream_rq_2xx: 7\nhttp.a.downstream_rq_5xx: 0\nlistener.[__1]_80.downstream_cx_active: 3\n',
  );
  assert.equal(await body('/stats?usedonly&filter=2xx$'), 'http.a.downstream_rq_2xx: 7\n');
  assert.deepEqual(JSON.parse(await body('/stats?format=json&filter=_2xx')), {
    stats: [{ name: 'http.a.downstream_rq_2xx', value: 7 }],
  });
  assert.equal(await body('/stats?format=prometheus'), 'weft_x 1\n');
  assert.equal((await routes.answer('GET', '/stats?filter=(')).status, 400);
  await routes.answer('POST', '/reset_counters');
  assert.equal(await body('/stats?usedonly'), 'listener.[__1]_80.downstream_cx_active: 3\n');
});

test('readiness follows the state, and may be made to fail', async () => {
  let reason: string | undefined;
  const routes = new AdminRoutes({ ...views, notReady: () => reason });
  assert.deepEqual(await routes.answer('GET', '/ready'), { status: 200, type: 'text', body: 'LIVE\n' });
  await routes.answer('POST', '/healthcheck/fail');
  assert.deepEqual(await routes.answer('GET', '/ready'), { status: 503, type: 'text', body: 'DRAINING\n' });
  assert.match((await routes.answer('GET', '/server_info')).body, /"state": "DRAINING"/);
  await routes.answer('POST', '/healthcheck/ok');
  reason = 'listeners are not open yet';
  assert.equal((await routes.answer('GET', '/ready')).body, 'PRE_INITIALIZING\nlisteners are not open yet\n');
});
