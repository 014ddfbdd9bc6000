/** HTTP/2 and connections to upstreams: what is announced, asked and kept alive, on Weft and on a real Envoy. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import {
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  createSecureServer,
  type ServerHttp2Session,
  type Settings,
} from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { type CertificateFiles, CertificateFolder } from '../support/certs.ts';
import { type At, cluster, type JsonObject, route, typed } from '../support/pair-bootstrap.ts';
import { waitFor } from '../support/wait.ts';
import { CLOSE, exchange, get, httpOptions, type Subject, Surface, same, told } from './envoy-surface.fixture.ts';

const surface = new Surface('surface-http2');
let certificates: CertificateFiles;

before(async () => {
  certificates = await (await CertificateFolder.make(surface.folder)).issue(
    'server',
    'spiffe://cluster.local/ns/a/sa/b',
  );
});

after(() => surface.close());

const h2Options: JsonObject = {
  initial_stream_window_size: 131_072,
  initial_connection_window_size: 2_097_152,
  max_concurrent_streams: 77,
  hpack_table_size: 8_192,
};

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HEADERS = 1;
const SETTINGS = 4;
/** RST_STREAM of stream 1, or GOAWAY. */
const RESET = /00000403000000000[1]|0000..0700{8}/;
/** HEADERS of stream 1 with END_HEADERS. */
const ANSWERED = '010400000001';

const frame = (type: number, flags: number, stream: number, payload = ''): string =>
  Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream]).toString('latin1') + payload;
const hexOf = (text: string): string => Buffer.from(text, 'latin1').toString('hex');

/** What a peer announced, of what a test looks at. */
const announced = ({ headerTableSize, initialWindowSize, maxConcurrentStreams, enableConnectProtocol }: Settings) => ({
  headerTableSize,
  initialWindowSize,
  maxConcurrentStreams,
  enableConnectProtocol: enableConnectProtocol ?? false,
});

interface Asked {
  readonly settings: Settings;
  /** Of the connection, beyond the initial one. */
  readonly window: number;
  readonly statuses: readonly number[];
}

/** Opens a connection and sends requests on it, one after the other. */
async function ask(port: number, ...requests: readonly Record<string, string>[]): Promise<Asked> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    const settings = await new Promise<Settings>((resolve, reject) => {
      session.once('remoteSettings', resolve);
      session.once('error', reject);
    });
    const statuses: number[] = [];
    for (const fields of requests) {
      const stream = session.request(fields);
      statuses.push(
        await new Promise<number>((resolve) => {
          stream.on('response', (head) => resolve(Number(head[':status'])));
          stream.on('error', () => undefined);
          stream.on('close', () => resolve(-stream.rstCode));
          stream.resume();
        }),
      );
      stream.close();
    }
    return { settings, window: session.state.remoteWindowSize ?? 0, statuses };
  } finally {
    session.destroy();
  }
}

describe('towards clients', { timeout: 60_000 }, () => {
  let both: readonly [Subject, Subject];

  before(async () => {
    const app = await surface.listen(createHttpServer((_request, response) => void response.end('ok')));
    both = await surface.startBoth({
      managers: {
        set: {
          http2_protocol_options: { ...h2Options, allow_connect: true },
          upgrade_configs: [{ upgrade_type: 'websocket' }],
        },
        closed: { http2_protocol_options: { ...h2Options, hpack_table_size: 0 } },
        kept: { http2_protocol_options: { connection_keepalive: { interval: '0.2s', timeout: '3s' } } },
        aging: { common_http_protocol_options: { max_connection_duration: '0.3s' }, drain_timeout: '0.3s' },
      },
      routes: [route('r', '/', 'app')],
      clusters: [cluster({ name: 'app', endpoints: [app] })],
    });
  });

  test('settings are announced as configured', async () => {
    for (const name of ['set', 'closed']) {
      await same(both, async ({ ports }) => {
        const { settings, window, statuses } = await ask(
          ports[name] ?? 0,
          { ':path': '/' },
          { ':path': '/', 'x-a': 'b' },
        );
        return [announced(settings), window, statuses];
      });
    }
  });

  test('extended CONNECT only where it is announced', async () => {
    const tunnel = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/',
      ':authority': 'a',
    };
    const answers = async ({ ports }: Subject) => (await rawConnect(ports['closed'] ?? 0, tunnel)) < 200;
    await same(both, answers, true);
  });

  test('a client that answers no PING is let go, one that does is kept', async () => {
    const kept = async ({ ports }: Subject): Promise<readonly [boolean, boolean]> => {
      const session = connectHttp2(`http://127.0.0.1:${ports['kept']}`);
      let pings = 0;
      session.on('ping', () => pings++);
      session.on('error', () => undefined);
      await waitFor('two PINGs', () => pings >= 2 || undefined);
      const alive = !session.closed && !session.destroyed;
      session.destroy();
      // The preface and SETTINGS, and not a byte more.
      const silent = await exchange(ports['kept'] ?? 0, `${PREFACE}${frame(SETTINGS, 0, 0)}`);
      return [alive, hexOf(silent).includes('0000080600')];
    };
    await same(both, kept, [true, true]);
  });

  test('GOAWAY when the time of a connection is over', async () => {
    const left = async ({ ports }: Subject): Promise<readonly number[]> => {
      const session = connectHttp2(`http://127.0.0.1:${ports['aging']}`);
      const codes: number[] = [];
      session.on('goaway', (code) => codes.push(code));
      await new Promise<void>((resolve) => session.on('close', resolve));
      return [codes.at(-1) ?? -1];
    };
    await same(both, left, [constants.NGHTTP2_NO_ERROR]);
  });
});

/** The status, or minus the code of the reset. node:http2 refuses to ask for what was not announced, so bytes do. */
async function rawConnect(port: number, fields: Record<string, string>): Promise<number> {
  const literal = (text: string): Buffer => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
  const block = Buffer.concat(
    Object.entries(fields).map(([name, value]) => Buffer.concat([Buffer.of(0), literal(name), literal(value)])),
  );
  const bytes =
    PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + frame(HEADERS, 5, 1, block.toString('latin1'));
  let hex = '';
  await exchange(port, bytes, {
    test: (answer) => {
      hex = hexOf(answer);
      return RESET.test(hex) || hex.includes(ANSWERED);
    },
  });
  return RESET.test(hex) ? -1 : 200;
}

describe('towards upstreams', { timeout: 60_000 }, () => {
  let both: readonly [Subject, Subject];
  const seen: Settings[] = [];
  const sessions: ServerHttp2Session[] = [];
  let pings = 0;
  let old: At;

  before(async () => {
    const server = createHttp2Server((request, response) => void response.end(`h${request.httpVersion}`));
    server.on('session', (session) => {
      sessions.push(session);
      session.on('remoteSettings', (settings) => seen.push(settings));
      session.on('ping', () => pings++);
      session.on('error', () => undefined);
    });
    const files = { key: readFileSync(certificates.keyFile), cert: readFileSync(certificates.certificateFile) };
    const answer = (request: { httpVersion: string }, response: { end(text: string): unknown }) =>
      void response.end(`h${request.httpVersion}`);
    const [modern, classic] = [
      await surface.listen(createSecureServer({ ...files, allowHTTP1: true }, answer)),
      await surface.listen(createTlsServer(files, answer)),
    ];
    const h2 = await surface.listen(server);
    old = await surface.listen(createHttpServer(answer));
    const tls: JsonObject = {
      name: 'tls',
      typed_config: typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', { common_tls_context: {} }),
    };
    const auto = httpOptions({ auto_config: { http2_protocol_options: h2Options } });
    const explicit = (fields: JsonObject, common: JsonObject = {}): JsonObject =>
      httpOptions({ explicit_http_config: { http2_protocol_options: fields }, common_http_protocol_options: common });
    both = await surface.startBoth({
      managers: { l: {} },
      routes: ['set', 'kept', 'aging', 'modern', 'classic', 'old'].map((name) => route(name, `/${name}`, name)),
      clusters: [
        cluster({ name: 'set', endpoints: [h2], fields: explicit(h2Options) }),
        cluster({
          name: 'kept',
          endpoints: [h2],
          fields: explicit({ connection_keepalive: { interval: '0.2s', timeout: '30s' } }),
        }),
        cluster({ name: 'aging', endpoints: [h2], fields: explicit({}, { max_connection_duration: '0.3s' }) }),
        cluster({ name: 'modern', endpoints: [modern], tls, fields: auto }),
        cluster({ name: 'classic', endpoints: [classic], tls, fields: auto }),
        cluster({
          name: 'old',
          endpoints: [old],
          fields: { upstream_connection_options: { tcp_keepalive: { keepalive_time: 30, keepalive_probes: 3 } } },
        }),
      ],
    });
  });

  const body = async ({ ports }: Subject, path: string): Promise<string> => {
    const answer = told(await exchange(ports['l'] ?? 0, get(path, CLOSE)));
    return answer.replace(/^(\d+) .*(h\d\.\d).*$/s, '$1 $2');
  };

  test('settings are announced as configured', async () => {
    const settings: unknown[] = [];
    for (const subject of both) {
      seen.length = 0;
      assert.equal(await body(subject, '/set'), '200 h2.0');
      const { headerTableSize, initialWindowSize } = await waitFor('settings', () => seen[0]);
      settings.push([headerTableSize, initialWindowSize]);
    }
    assert.deepEqual(settings, [
      [8_192, 131_072],
      [8_192, 131_072],
    ]);
  });

  test('ALPN chooses the version', async () => {
    for (let i = 0; i < 2; i++) {
      await same(both, (subject) => body(subject, '/modern'), '200 h2.0');
      await same(both, (subject) => body(subject, '/classic'), '200 h1.1');
    }
  });

  test('a connection without requests is kept alive by PINGs', async () => {
    for (const subject of both) {
      assert.equal(await body(subject, '/kept'), '200 h2.0');
      pings = 0;
      await waitFor(subject === both[0] ? 'PINGs of Weft' : 'PINGs of Envoy', () => pings >= 2 || undefined);
    }
  });

  test('a connection of a certain age is not used any more', async () => {
    for (const subject of both) {
      const before = sessions.length;
      assert.equal(await body(subject, '/aging'), '200 h2.0');
      // It may have ended by now.
      const opened = sessions.slice(before);
      assert.equal(opened.length, 1);
      await waitFor('its end', () => opened[0]?.destroyed || undefined);
      assert.equal(await body(subject, '/aging'), '200 h2.0');
    }
  });

  test('TCP keep-alive', async () => {
    for (const subject of both) assert.equal(await body(subject, '/old'), '200 h1.1');
    const port = old.port.toString(16).toUpperCase().padStart(4, '0');
    // proc(5): the timer of a socket is 02 while keep-alive is on, and what it has left is in ticks of 10 ms.
    const timers = readFileSync('/proc/net/tcp', 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , remote = '', state]) => remote.endsWith(`:${port}`) && state === '01')
      .map(([, , , , , timer = '']) => timer.split(':'));
    assert.equal(timers.length, 2);
    for (const [kind, left = ''] of timers) {
      assert.equal(kind, '02');
      assert.ok(Number.parseInt(left, 16) <= 3_000, left);
    }
  });
});
