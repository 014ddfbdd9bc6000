/** How requests over HTTP/1, their connections and streams are treated, from one bootstrap on Weft and on a real Envoy. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { acceptOf } from '../../sidecar/http/h2/websocket.ts';
import { type At, cluster, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import {
  CLOSE,
  exchange,
  get,
  httpOptions,
  type Subject,
  Surface,
  same,
  stdoutLog,
  told,
} from './envoy-surface.fixture.ts';

const surface = new Surface('surface-http');

after(() => surface.close());

/** Says what it was asked; `/flaky` fails twice, `/slow` never answers, `/endless` never ends. */
async function origin(): Promise<At> {
  let asked = 0;
  const server = createServer((request, response) => {
    const { url = '', headers } = request;
    if (url === '/slow') return;
    if (url === '/endless') {
      response.write('begun');
      return;
    }
    if (url === '/flaky' && ++asked % 3 !== 0) response.writeHead(500);
    const { host, 'x-forwarded-host': forwarded = '-', 'x-envoy-attempt-count': attempts = '-' } = headers;
    response.end(`${url} host=${host} forwarded=${forwarded} attempts=${attempts}`);
  });
  server.on('upgrade', ({ headers }, socket) => {
    const accept = acceptOf(headers['sec-websocket-key'] ?? '');
    const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket';
    socket.end(`${head}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  });
  server.on('connect', ({ url }, socket) => {
    socket.write('HTTP/1.1 200 Connected\r\n\r\n');
    socket.once('data', (bytes: Buffer) => socket.end(`${url}: ${bytes}`));
  });
  return surface.listen(server);
}

describe('requests over HTTP/1', { timeout: 90_000 }, () => {
  let both: readonly [Subject, Subject];
  let weft: Subject;
  const log = stdoutLog('L %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%');

  before(async () => {
    const app = await origin();
    const slashes = (action: string): JsonObject => ({
      path_with_escaped_slashes_action: action,
      delayed_close_timeout: '0.05s',
    });
    both = await surface.startBoth({
      managers: {
        plain: { access_log: [log], http_protocol_options: {} },
        open: {
          http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'old.example' },
          upgrade_configs: [{ upgrade_type: 'websocket' }],
          merge_slashes: true,
        },
        keep: slashes('KEEP_UNCHANGED'),
        reject: slashes('REJECT_REQUEST'),
        redirect: slashes('UNESCAPE_AND_REDIRECT'),
        forward: { ...slashes('UNESCAPE_AND_FORWARD'), merge_slashes: true },
        short: {
          common_http_protocol_options: { max_stream_duration: '0.3s' },
          access_log: [log],
        },
        // Of which the beginning comes from this process.
        begun: {
          common_http_protocol_options: { max_stream_duration: '3s' },
          access_log: [log],
        },
        // A client that asks ten times a second finds out before the time to drain is over.
        aging: { common_http_protocol_options: { max_connection_duration: '0.4s' }, drain_timeout: '3s' },
        linger: { delayed_close_timeout: '0s' },
        tunnel: { upgrade_configs: [{ upgrade_type: 'CONNECT' }] },
      },
      routes: [
        route('named', '/named', 'app', { host_rewrite_header: 'x-host', append_x_forwarded_host: true }),
        route('literal', '/literal', 'app', { host_rewrite_literal: 'other', append_x_forwarded_host: true }),
        route('short', '/slow-route', 'app', {
          prefix_rewrite: '/slow',
          max_stream_duration: { max_stream_duration: '0.3s' },
        }),
        route('attempt', '/slow-attempt', 'timed', { prefix_rewrite: '/slow' }),
        {
          name: 'tunnel',
          match: {
            connect_matcher: {},
            headers: [{ name: ':authority', string_match: { exact: 'far.example:443' } }],
          },
          route: { cluster: 'app' },
        },
        route('all', '/', 'app'),
      ],
      clusters: [
        cluster({ name: 'app', endpoints: [app] }),
        cluster({
          name: 'timed',
          endpoints: [app],
          fields: httpOptions({
            explicit_http_config: { http_protocol_options: {} },
            common_http_protocol_options: { max_stream_duration: '0.3s' },
          }),
        }),
      ],
    });
    [weft] = both;
  });

  test('CONNECT opens a tunnel where a route is for it, and matches no other', async () => {
    const open = (port: number | undefined, target: string) =>
      exchange(port ?? 0, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\nbytes`, /bytes|HTTP.* 40/);
    const tunnelled = async ({ ports }: Subject) => (await open(ports['tunnel'], 'far.example:443')).slice(-22);
    await same(both, tunnelled, 'far.example:443: bytes');
    await same(both, async ({ ports }) => told(await open(ports['tunnel'], 'else:443')).slice(0, 3), '404');
  });

  test('HTTP/1.0 is spoken only where it is accepted', async () => {
    const old = (port: number | undefined) => exchange(port ?? 0, 'GET /x HTTP/1.0\r\n\r\n');
    await same(both, async ({ ports }) => told(await old(ports['plain'])).slice(0, 3), '426');
    await same(
      both,
      async ({ ports }) => told(await old(ports['open'])),
      '200 /x host=old.example forwarded=- attempts=-',
    );
  });

  test('upgrades only where they are allowed', async () => {
    const upgrade = (port: number | undefined, protocol: string) =>
      exchange(
        port ?? 0,
        get('/x', 'Connection: Upgrade', `Upgrade: ${protocol}`, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='),
        /\r\n\r\n/,
      );
    const status = async (port: number | undefined, protocol: string) =>
      told(await upgrade(port, protocol)).slice(0, 3);
    await same(both, ({ ports }) => status(ports['plain'], 'websocket'), '403');
    await same(both, ({ ports }) => status(ports['open'], 'websocket'), '101');
    await same(both, ({ ports }) => status(ports['open'], 'other'), '403');
    const tunnel = ({ ports }: Subject) =>
      exchange(ports['plain'] ?? 0, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', /\r\n\r\n/);
    await same(both, async (proxy) => told(await tunnel(proxy)).slice(0, 3));
  });

  for (const name of ['plain', 'open', 'keep', 'reject', 'redirect', 'forward']) {
    test(`slashes in paths: ${name}`, async () => {
      for (const path of ['/a%2Fb?c=%2F', '/a%5Cb', '//a///b', '/a%2F%2Fb//c', '/a/..%2Fb', '/%2E%2E%2Fb', '/x?y=//']) {
        const answer = ({ ports }: Subject) => exchange(ports[name] ?? 0, get(path, CLOSE));
        const seen = async (proxy: Subject): Promise<string> => {
          const text = await answer(proxy);
          // Why a request is refused is said in words of one's own.
          return /^HTTP\/1.1 400/.test(text) ? '400' : told(text, 'location');
        };
        await same(both, seen);
      }
    });
  }

  test('the host from a field, and the one before', async () => {
    const answers = async ({ ports }: Subject) => {
      const all: string[] = [];
      for (const request of [
        get('/named', 'X-Host: chosen:81', CLOSE),
        get('/named', CLOSE),
        get('/named', 'X-Host: ', CLOSE),
        get('/literal', CLOSE),
        get('/literal', 'X-Forwarded-Host: first', CLOSE),
        get('/literal', 'X-Forwarded-Host: first,shop', CLOSE),
      ]) {
        all.push(told(await exchange(ports['plain'] ?? 0, request)));
      }
      return all;
    };
    await same(both, answers);
  });

  test('streams end when their time is over', async () => {
    const ask = async (proxy: Subject, name: string, path: string): Promise<string> => {
      const text = await exchange(proxy.ports[name] ?? 0, get(path, CLOSE));
      return told(text).slice(0, 3);
    };
    for (const [name, path] of [
      ['short', '/slow'],
      ['begun', '/endless'],
      ['plain', '/slow-route'],
      ['plain', '/slow-attempt'],
    ] as const) {
      await same(both, (proxy) => ask(proxy, name, path), path === '/endless' ? '200' : '504');
    }
    const lines = ({ program }: Subject) =>
      program.stdout.split('\n').filter((line) => line.startsWith('L /slow') || line.startsWith('L /endless'));
    await waitFor('all lines', () => both.every((proxy) => lines(proxy).length === 4) || undefined);
    // Envoy has no flag for it, though its DT says so much.
    const unflagged = (line: string): string => line.replace(' DT max_duration', ' - max_duration');
    assert.deepEqual(lines(weft).map(unflagged).toSorted(), lines(both[1]).toSorted());
  });

  test('a connection of a certain age ends with its next response, or when it has been idle', async () => {
    const [own, other] = await Promise.all(
      both.map(async ({ ports }) => {
        const port = ports['aging'] ?? 0;
        const idle = await exchange(port, get('/x'));
        const used = await new Promise<string>((resolve, reject) => {
          const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(get('/1')));
          let text = '';
          let asked = 1;
          socket.on('data', (chunk: Buffer) => {
            text += chunk.toString('latin1');
            // As RFC 9112 section 9.6 has it: nothing is sent any more.
            if (/connection: close/i.test(text)) socket.end();
            else if (asked++ < 30) setTimeout(() => socket.writable && socket.write(get('/2')), 100);
          });
          socket.on('end', () => resolve(text));
          socket.on('error', reject);
        });
        const closes = used.match(/connection: close/gi)?.length ?? 0;
        return [
          idle.includes('200'),
          closes,
          used.toLowerCase().lastIndexOf('http/1.1 200') < used.toLowerCase().indexOf('connection: close'),
        ];
      }),
    );
    assert.deepEqual(own, [true, 1, true]);
    assert.deepEqual(own, other);
  });

  test('a closed connection is not waited for where nothing is', async () => {
    const bad = 'GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n';
    await same(both, async ({ ports }) => told(await exchange(ports['linger'] ?? 0, bad)).slice(0, 3), '400');
  });
});

describe('attempts are counted', { timeout: 60_000 }, () => {
  test('for the application and for the client', async () => {
    const app = await origin();
    const both = await surface.startBoth({
      managers: { l: {} },
      host: { include_request_attempt_count: true, include_attempt_count_in_response: true },
      routes: [
        route('dead', '/dead', 'dead'),
        route('r', '/', 'app', { retry_policy: { retry_on: '5xx', num_retries: 3 } }),
      ],
      clusters: [
        cluster({ name: 'app', endpoints: [app] }),
        cluster({ name: 'dead', endpoints: [{ ip: '127.0.0.1', port: await freePort() }] }),
      ],
    });
    const answers: string[][] = [];
    for (const { ports } of both) {
      const port = ports['l'] ?? 0;
      answers.push([
        told(await exchange(port, get('/flaky', CLOSE)), 'x-envoy-attempt-count'),
        told(await exchange(port, get('/x', 'X-Envoy-Attempt-Count: 7', CLOSE)), 'x-envoy-attempt-count'),
        told(await exchange(port, get('/dead', CLOSE)), 'x-envoy-attempt-count').slice(0, 28),
      ]);
    }
    const [own, other] = answers;
    assert.deepEqual(own, other);
    assert.match(own?.[0] ?? '', /^200 x-envoy-attempt-count: 3 .* attempts=3$/);
  });
});
