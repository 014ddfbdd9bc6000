/** Names of endpoints, and times of gRPC that routes set, from one bootstrap on Weft and on Envoy. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import {
  CLOSE,
  exchange,
  get,
  type Subject,
  Surface,
  same,
  stdoutLog,
  told,
} from '../integration/envoy-surface.fixture.ts';
import { type At, cluster, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { waitFor } from '../support/wait.ts';

const surface = new Surface('route-actions');

after(() => surface.close());

const endpoint = ({ port }: At, address: string, more: JsonObject = {}): JsonObject => ({
  lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: port } }, ...more } }],
});
const named = (name: string, type: string, endpoints: JsonObject): JsonObject => ({
  name,
  type,
  connect_timeout: '1s',
  dns_lookup_family: 'V4_ONLY',
  load_assignment: { cluster_name: name, endpoints: [endpoints] },
});
const operators = [
  'UPSTREAM_HOST_NAME',
  'UPSTREAM_HOST_NAME_WITHOUT_PORT',
  'UPSTREAM_HOST_NAMES_ATTEMPTED',
  'UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT',
  'UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
];

describe('route actions', { timeout: 60_000 }, () => {
  let both: readonly [Subject, Subject];

  before(async () => {
    const app = await surface.listen(
      createServer(({ headers, url }, response) => {
        if (url?.startsWith('/late')) setTimeout(() => response.end('[late]'), 700);
        if (url?.startsWith('/late') || url === '/slow' || url === '/slower') return;
        const shown = [headers.host, headers['x-forwarded-host'], url, headers['grpc-timeout'] === undefined];
        response.statusCode = url === '/bad' || url === '/shared' ? 503 : 200;
        response.end(JSON.stringify(shown));
      }),
    );
    const h2 = await surface.listen(
      createHttp2Server(({ httpVersion }, response) => void response.end(`[${httpVersion}]`)),
    );
    const upgrading = createServer((_request, response) => void response.end('[no upgrade]'));
    upgrading.on('upgrade', (_request, socket) => {
      const accepted = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${accepted}\r\n\r\n`,
      );
    });
    const sockets = await surface.listen(upgrading);
    const auto = { auto_host_rewrite: true };
    const rewritten = (path: string, regex: string, substitution: string): JsonObject =>
      route(path, path, 'nameless', { regex_rewrite: { pattern: { regex }, substitution } });
    const retried = { retry_policy: { retry_on: '5xx', num_retries: 2 } };
    both = await surface.startBoth({
      managers: {
        open: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
        idle: { stream_idle_timeout: '0.3s' },
        plain: { access_log: [stdoutLog(`line %REQ(:PATH)% ${operators.map((one) => `%${one}%`).join(' ')}`)] },
      },
      routes: [
        route('ws', '/ws/no', 'called', { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] }),
        route('ws', '/ws', 'sockets', { upgrade_configs: [{ upgrade_type: 'WebSocket' }] }),
        route('rest', '/rest', 'sockets'),
        route('late', '/late/idle', 'nameless', { idle_timeout: '0s', timeout: '0s' }),
        route('late', '/late', 'nameless'),
        route('h2', '/h2', 'h2'),
        route('logical', '/logical', 'logical', { ...auto, append_x_forwarded_host: true }),
        route('strict', '/strict', 'strict', auto),
        route('called', '/called', 'called', auto),
        route('nameless', '/nameless', 'nameless', auto),
        route('bad', '/bad', 'called', retried),
        { match: { prefix: '/grpc', grpc: {} }, direct_response: { status: 418 } },
        rewritten('/groups', '^/groups/([^/]+)(/.*)$', '\\2/of/\\1'),
        rewritten('/every', '[aeiou]', '<\\0>'.replaceAll(/[<>]/g, '.')),
        rewritten('/slashes', '/+', '/'),
        ...['exact', 'prefix', 'suffix', 'contains'].map((kind) => ({
          match: { prefix: '/older', headers: [{ name: 'x-older', [`${kind}_match`]: `${kind}y` }] },
          direct_response: { status: 210, body: { inline_string: `[${kind}]` } },
        })),
        {
          match: {
            prefix: '/older',
            headers: [{ name: 'x-older', safe_regex_match: { regex: 'r.*x' }, invert_match: true }],
          },
          direct_response: { status: 211 },
        },
        route('shared', '/shared', 'called'),
        route('slower', '/slower', 'nameless', { max_grpc_timeout: '10s', timeout: '0.1s' }),
        route('slow', '/slow', 'nameless', { max_grpc_timeout: '0.4s', timeout: '0.1s' }),
        route('told', '/told', 'nameless', { max_grpc_timeout: '5s' }),
        route('rest', '/', 'nameless'),
      ],
      host: { retry_policy: { retry_on: '5xx', num_retries: 1 } },
      clusters: [
        named('logical', 'LOGICAL_DNS', endpoint(app, 'localhost')),
        named('strict', 'STRICT_DNS', endpoint(app, 'localhost')),
        named('called', 'STATIC', endpoint(app, '127.0.0.1', { hostname: 'its.name' })),
        { ...named('h2', 'STATIC', endpoint(h2, '127.0.0.1')), http2_protocol_options: { max_concurrent_streams: 10 } },
        cluster({ name: 'sockets', endpoints: [sockets] }),
        cluster({ name: 'nameless', endpoints: [app] }),
      ],
    });
  });

  const askOf = async (
    name: string,
    { ports }: Subject,
    path: string,
    ...fields: readonly string[]
  ): Promise<string> => {
    const answer = await exchange(ports[name] ?? 0, get(path, ...fields, CLOSE));
    const body = /\[.*\]/.exec(answer)?.[0] ?? '';
    return `${told(answer.split('\r\n\r\n', 1)[0] ?? '', 'grpc-status')} ${body}`;
  };
  const ask = (proxy: Subject, path: string, ...fields: readonly string[]): Promise<string> =>
    askOf('plain', proxy, path, ...fields);
  const lineOf = ({ program }: Subject, path: string): Promise<string> =>
    waitFor(path, () => program.stdout.split('\n').find((line) => line.startsWith(`line ${path} `)));

  for (const path of ['/logical', '/strict', '/called', '/nameless']) {
    test(`the host is the name of the endpoint: ${path}`, async () => {
      await same(both, (proxy) => ask(proxy, path));
      await same(both, (proxy) => lineOf(proxy, path).then((line) => line.replaceAll(/:\d+/g, ':port')));
    });
  }

  test('all endpoints that were tried', async () => {
    await same(both, (proxy) => ask(proxy, '/bad'));
    const [weft, envoy] = await Promise.all(both.map((proxy) => lineOf(proxy, '/bad')));
    assert.equal(
      weft,
      `line /bad its.name its.name ${Array(3).fill('its.name').join(',')} ${Array(3).fill('its.name').join(',')} ${Array(3).fill('127.0.0.1').join(',')} 3`,
    );
    // Envoy forgets those of earlier attempts, against what it says of the operator.
    assert.equal(envoy, 'line /bad its.name its.name its.name its.name 127.0.0.1 3');
  });

  test('a cluster that says that it speaks HTTP/2 as in older files', async () => {
    await same(both, (proxy) => ask(proxy, '/h2'), '200  [2.0]');
  });

  for (const manager of ['plain', 'open']) {
    for (const path of ['/ws', '/ws/no', '/rest', '/grpc']) {
      for (const protocol of ['websocket', 'other']) {
        test(`Upgrade to ${protocol} of ${path} where the connection manager is ${manager}`, () =>
          same(both, async ({ ports }) => {
            const bytes = get(
              path,
              'Connection: Upgrade',
              `Upgrade: ${protocol}`,
              'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
            );
            return told(await exchange(ports[manager] ?? 0, bytes, /\r\n\r\n/)).slice(0, 3);
          }));
      }
    }
  }

  test('a route without an idle timeout', async () => {
    await same(both, (proxy) => askOf('idle', proxy, '/late/idle'), '200  [late]');
    await same(both, (proxy) => askOf('idle', proxy, '/late'));
  });

  test('retries of the virtual host are those of a route without its own', async () => {
    await same(both, (proxy) => ask(proxy, '/shared'));
    for (const proxy of both) assert.match(await lineOf(proxy, '/shared'), / 2$/);
  });

  for (const path of ['/groups/a/b/c?d=/groups/e/', '/groups', '/every/aeb?a', '/slashes//a///b?c//d']) {
    test(`a path that is searched: ${path}`, () => same(both, (proxy) => ask(proxy, path)));
  }

  for (const value of ['exacty', 'prefixyes', 'my suffixy', 'a containsy b', 'regex', 'other']) {
    test(`a header matched as in older files: ${value}`, () =>
      same(both, (proxy) => ask(proxy, '/older', `X-Older: ${value}`)));
  }

  for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc-web', 'text/plain']) {
    test(`a route for gRPC: ${type}`, async () => {
      await same(both, (proxy) => ask(proxy, '/grpc', `Content-Type: ${type}`));
    });
  }

  const grpc = 'Content-Type: application/grpc';
  // Envoy's timers count from when its loop last looked at the clock: on a busy machine they are early.
  for (const [what, path, minMs, maxMs, ...fields] of [
    ['a call has the time of the route', '/slow', 200, 5_000, grpc],
    ['a call has the time that it asks for', '/slower', 100, 5_000, grpc, 'grpc-timeout: 200m'],
    ['but no more than that of the route', '/slow', 200, 5_000, grpc, 'grpc-timeout: 10S'],
    ['other requests have their own', '/slow', 50, 5_000],
  ] as const) {
    test(what, async () => {
      const codes = await Promise.all(
        both.map(async (proxy) => {
          const startMs = performance.now();
          const answer = await ask(proxy, path, ...fields);
          const tookMs = performance.now() - startMs;
          assert.ok(tookMs > minMs && tookMs < maxMs, `${tookMs}`);
          return answer;
        }),
      );
      // Weft says DEADLINE_EXCEEDED, Envoy UNAVAILABLE, of which clients think that they may ask again.
      const wanted = ['200 grpc-status: 4  ', '200 grpc-status: 14  '];
      assert.deepEqual(codes, fields.length === 0 ? ['504  ', '504  '] : wanted);
    });
  }

  test('the upstream is told what time there is', async () => {
    for (const fields of [[grpc], [grpc, 'grpc-timeout: 1S'], []]) {
      await same(both, (proxy) => ask(proxy, '/told', ...fields));
    }
  });
});
