/** CORS, faults, sessions and mirrors of one bootstrap, asked of Weft and of a real Envoy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startEnvoy } from '../support/envoy.ts';
import { bootstrap, cluster, httpListener, type JsonObject, typed } from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const CORS = 'envoy.filters.http.cors';
const FAULT = 'envoy.filters.http.fault';
const SESSION = 'envoy.filters.http.stateful_session';
const folder = testFolder('route-filters');
const servers: Server[] = [];
const copies: { readonly host: string; readonly path: string }[] = [];
const ports: { [Kind in 'weft' | 'envoy']: number } = { weft: 0, envoy: 0 };
const programs: Program[] = [];

async function listen(onRequest: (request: IncomingMessage) => string): Promise<number> {
  const server = createServer((request, response) => {
    request.resume();
    response.end(onRequest(request));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const all: JsonObject = { numerator: 100, denominator: 'HUNDRED' };
const corsPolicy = (fields: JsonObject): JsonObject => ({
  [CORS]: typed('extensions.filters.http.cors.v3.CorsPolicy', fields),
});
const fault = (fields: JsonObject): JsonObject => ({
  [FAULT]: typed('extensions.filters.http.fault.v3.HTTPFault', fields),
});
const session = (kind: 'cookie' | 'header', state: JsonObject): JsonObject => ({
  [SESSION]: typed('extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute', {
    stateful_session: { session_state: { name: `envoy.http.stateful_session.${kind}`, typed_config: state } },
  }),
});
const route = (prefix: string, perFilter: JsonObject, more: JsonObject = {}): JsonObject => ({
  match: { prefix },
  route: { cluster: 'app', ...more },
  typed_per_filter_config: perFilter,
});

const routes: readonly JsonObject[] = [
  route(
    '/cors',
    corsPolicy({
      allow_origin_string_match: [
        { exact: 'https://a.example' },
        { safe_regex: { regex: 'https://.*\\.b\\.example' } },
      ],
      allow_methods: 'GET, PUT',
      allow_headers: 'x-a',
      expose_headers: 'x-b',
      max_age: '60',
      allow_credentials: true,
    }),
  ),
  route('/any', corsPolicy({ allow_origin_string_match: [{ exact: '*' }], allow_methods: '*', allow_headers: '*' })),
  route('/abort', fault({ abort: { http_status: 418, percentage: all } })),
  route('/grpc', fault({ abort: { grpc_status: 14, percentage: all } })),
  route('/never', fault({ abort: { http_status: 418, percentage: { numerator: 0, denominator: 'MILLION' } } })),
  route(
    '/matched',
    fault({
      abort: { http_status: 503, percentage: all },
      headers: [
        { name: 'x-fault', string_match: { exact: 'yes' } },
        { name: ':method', string_match: { exact: 'GET' } },
      ],
    }),
  ),
  route(
    '/hosted',
    fault({
      abort: { http_status: 503, percentage: all },
      headers: [{ name: 'host', string_match: { exact: 'a.example' } }],
    }),
  ),
  route(
    '/header',
    fault({
      delay: { header_delay: {}, percentage: all },
      abort: { header_abort: {}, percentage: { numerator: 50, denominator: 'HUNDRED' } },
    }),
  ),
  route('/delay', fault({ delay: { fixed_delay: '0.2s', percentage: all } })),
  route(
    '/cookie',
    session(
      'cookie',
      typed('extensions.http.stateful_session.cookie.v3.CookieBasedSessionState', {
        cookie: { name: 'sid', path: '/cookie' },
      }),
    ),
  ),
  route(
    '/session',
    session('header', typed('extensions.http.stateful_session.header.v3.HeaderBasedSessionState', { name: 'x-sid' })),
  ),
  route('/mirror', {}, { request_mirror_policies: [{ cluster: 'copy' }] }),
  route(
    '/plain-mirror',
    {},
    { request_mirror_policies: [{ cluster: 'copy', disable_shadow_host_suffix_append: true }] },
  ),
];

before(async () => {
  const apps = [await listen(({ method }) => `one ${method}`), await listen(({ method }) => `two ${method}`)];
  const copy = await listen(({ headers, url }) => {
    copies.push({ host: headers.host ?? '', path: url ?? '' });
    return '';
  });
  const at = (port: number) => ({ ip: '127.0.0.1', port });
  for (const kind of ['weft', 'envoy'] as const) {
    ports[kind] = await freePort();
    const admin = await freePort();
    const listener = httpListener({
      name: 'in',
      at: at(ports[kind]),
      direction: 'OUTBOUND',
      routes,
      filters: [
        { name: CORS, typed_config: typed('extensions.filters.http.cors.v3.Cors') },
        { name: FAULT, typed_config: typed('extensions.filters.http.fault.v3.HTTPFault') },
        { name: SESSION, typed_config: typed('extensions.filters.http.stateful_session.v3.StatefulSession') },
      ],
    });
    const clusters = [
      cluster({ name: 'app', endpoints: apps.map(at) }),
      cluster({ name: 'copy', endpoints: [at(copy)] }),
    ];
    const text = bootstrap({ id: kind, adminPort: admin, listeners: [listener], clusters });
    programs.push(kind === 'weft' ? await startSidecar(folder, text) : await startEnvoy(folder, text, admin));
  }
});

after(async () => {
  for (const program of programs) await program.stop();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Of each proxy the status, what this is about of the head, and whether the application answered. */
async function ask(kind: 'weft' | 'envoy', args: readonly string[]) {
  const [path = '', ...more] = args;
  const { stdout } = await curl('-i', ...more, `http://127.0.0.1:${ports[kind]}${path}`);
  const [head = '', body = ''] = stdout.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const kept = fields
    .map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase()))
    .filter((field) => /^(access-control-|grpc-status:|set-cookie:|x-sid:)/.test(field))
    .map((field) => field.replace(/(sid="|x-sid: ).*?("|$)/, '$1...$2'))
    .sort();
  return { status: line.split(' ')[1], fields: kept, body: body.replace(/^(one|two) /, 'application ') };
}

const preflight = (origin: string): string[] => [
  ...['-X', 'OPTIONS', '-H', `Origin: ${origin}`],
  ...['-H', 'Access-Control-Request-Method: PUT', '-H', 'Access-Control-Request-Headers: x-z'],
];
const grpc = ['-X', 'POST', '-H', 'content-type: application/grpc'];

const requests: readonly (readonly string[])[] = [
  ['/cors', ...preflight('https://a.example')],
  ['/cors', ...preflight('https://x.b.example')],
  ['/cors', ...preflight('https://evil.example')],
  ['/cors', '-H', 'Origin: https://a.example'],
  ['/cors', '-H', 'Origin: https://evil.example'],
  ['/cors', '-X', 'OPTIONS', '-H', 'Origin: https://a.example'],
  ['/cors'],
  ['/any', ...preflight('https://any.example')],
  ['/any', '-H', 'Origin: null'],
  ['/abort'],
  ['/abort', '-X', 'POST', '-d', 'x'],
  ['/abort', ...grpc],
  ['/grpc', ...grpc],
  ['/grpc'],
  ['/never'],
  ['/matched'],
  ['/matched', '-H', 'X-Fault: yes'],
  ['/matched', '-X', 'PUT', '-H', 'X-Fault: yes'],
  ['/hosted'],
  ['/hosted', '-H', 'Host: a.example'],
  ['/header'],
  ['/header', '-H', 'x-envoy-fault-delay-request: 50'],
  ['/header', '-H', 'x-envoy-fault-abort-request: 429', '-H', 'x-envoy-fault-abort-request-percentage: 0'],
  ['/header', '-H', 'x-envoy-fault-abort-request: 99'],
  ['/cookie'],
  ['/cookie/below', '-H', 'Cookie: sid=rubbish'],
  ['/cookies'],
  ['/session'],
];

describe('the same answers', () => {
  for (const request of requests) {
    test(request.join(' '), async () => {
      assert.deepEqual(await ask('weft', request), await ask('envoy', request));
    });
  }
});

test('a session of one is kept by the other', async () => {
  for (const [giver, keeper] of [
    ['envoy', 'weft'],
    ['weft', 'envoy'],
  ] as const) {
    const first = await curl('-i', `http://127.0.0.1:${ports[giver]}/cookie`);
    const value = /sid="?([^";]+)/.exec(first.stdout)?.[1] ?? '';
    const body = first.stdout.slice(first.stdout.indexOf('\r\n\r\n') + 4);
    for (let i = 0; i < 6; i++) {
      const next = await curl('-i', '-H', `Cookie: sid=${value}`, `http://127.0.0.1:${ports[keeper]}/cookie`);
      assert.ok(next.stdout.endsWith(body), `${giver} to ${keeper}: ${next.stdout}`);
      assert.doesNotMatch(next.stdout, /set-cookie/i);
    }
  }
});

test('a delay is as long', async () => {
  for (const kind of ['weft', 'envoy'] as const) {
    const startMs = performance.now();
    assert.equal((await ask(kind, ['/delay'])).status, '200');
    assert.ok(performance.now() - startMs >= 200, kind);
  }
});

test('copies look the same', async () => {
  for (const path of ['/mirror/a?b', '/plain-mirror']) {
    const seen: { readonly host: string; readonly path: string }[] = [];
    for (const kind of ['weft', 'envoy'] as const) {
      copies.length = 0;
      await curl('-H', 'Host: shop.example:8080', `http://127.0.0.1:${ports[kind]}${path}`);
      seen.push(await waitFor('the copy', () => copies[0]));
    }
    assert.deepEqual(seen[0], seen[1]);
  }
});
