/**
 * What operators see of a proxy, from one bootstrap on Weft and on a real Envoy: access log lines, admin pages, and which
 * endpoints are left out.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startEnvoy } from '../support/envoy.ts';
import { type At, bootstrap, cluster, httpListener, type JsonObject, typed } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { adminPage, adminPost, startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

interface Proxy {
  readonly program: Program;
  readonly port: number;
  readonly adminPort: number;
}

const folder = testFolder('surface');
const running: Proxy[] = [];
const servers: Server[] = [];

/** Echoes the length of what it got; `/fail` answers 500. */
async function origin(failing = false): Promise<At> {
  const server = createServer((incoming, response) => {
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    incoming.on('end', () => {
      const status = failing || incoming.url === '/fail' ? 500 : 200;
      response.writeHead(status, { server: 'app', 'x-app': 'yes' }).end(`got ${bytes}`);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { ip: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

interface Sent {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

function send(port: number, path: string, body = '', headers: Record<string, string> = {}): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        port,
        host: '127.0.0.1',
        path,
        method: body === '' ? 'GET' : 'POST',
        agent: false,
        headers: { host: 'shop', ...headers },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
      },
    );
    sent.on('error', reject).end(body);
  });
}

/** Of Weft and of Envoy. */
const tuple = <T>([own, other]: readonly T[]): [T | undefined, T | undefined] => [own, other];

const stdout = (format: JsonObject | undefined, filter?: JsonObject): JsonObject => ({
  name: 'log',
  ...(filter === undefined ? {} : { filter }),
  typed_config: typed('extensions.access_loggers.stream.v3.StdoutAccessLog', format && { log_format: format }),
});

const text = (format: string): JsonObject => ({ text_format_source: { inline_string: `${format}\n` } });

/** Everything that does not depend on the time, the port or the words of the one that says it. */
const TEXT =
  'T %PROTOCOL% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% rx=%BYTES_RECEIVED% ' +
  '%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH):8% %REQ(X-NONE)% %REQ(X-NONE?USER-AGENT)% %RESP(X-APP)% ' +
  '%RESP(X-NONE?X-APP):2% %TRAILER(X)% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% n=%UPSTREAM_REQUEST_ATTEMPT_COUNT% ' +
  '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %ROUTE_NAME% %GRPC_STATUS% %ENVIRONMENT(HOME)% %ENVIRONMENT(NO_SUCH)% ' +
  '%PATH(NQ)% %HOSTNAME% %START_TIME(%Y)% 100%%';
const JSON_FORMAT = {
  kind: 'json',
  code: '%RESPONSE_CODE%',
  none: '%REQ(X-NONE)%',
  mixed: 'a%REQ(X-NONE)%b',
  five: 5,
  yes: true,
  list: ['%PROTOCOL%', '%REQ(X-NONE)%', 1],
  nested: { method: '%REQ(:METHOD)%', none: '%REQ(X-NONE)%', deeper: { none: '%REQ(X-NONE)%' } },
  nothing: null,
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  percent: '100%%',
};

const status = (op: string, value: number): JsonObject => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'k' } } },
});

function accessLogs(): JsonObject[] {
  return [
    stdout(undefined),
    stdout(text(TEXT)),
    stdout({ json_format: JSON_FORMAT }),
    stdout({ json_format: { ...JSON_FORMAT, kind: 'short' }, omit_empty_values: true }),
    stdout({ ...text('O [%REQ(X-NONE)%] %RESPONSE_CODE%'), omit_empty_values: true }),
    stdout(text('5xx %REQ(:PATH)%'), status('GE', 500)),
    stdout(text('not-found %REQ(:PATH)%'), status('EQ', 404)),
    stdout(text('flagged %RESPONSE_FLAGS%'), { response_flag_filter: {} }),
    stdout(text('unreachable'), { response_flag_filter: { flags: ['UF', 'UH'] } }),
    stdout(text('posted'), {
      and_filter: {
        filters: [
          { header_filter: { header: { name: ':method', string_match: { exact: 'POST' } } } },
          { or_filter: { filters: [status('LE', 200), { not_health_check_filter: {} }] } },
        ],
      },
    }),
  ];
}

const to = (name: string, path: string, target: string, more: JsonObject = {}): JsonObject => ({
  name,
  match: { prefix: path },
  route: { cluster: target, timeout: '5s', ...more },
});

const routes: readonly JsonObject[] = [
  { name: 'direct', match: { path: '/direct' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
  to('rewritten', '/rewritten', 'app', { prefix_rewrite: '/other' }),
  to('dead', '/dead', 'dead'),
  to('none', '/none', 'none'),
  to('ok', '/ok', 'app'),
  to('fail', '/fail', 'app'),
];

async function startBoth(listener: JsonObject, manager: JsonObject, clusters: readonly JsonObject[]) {
  const made = async (): Promise<{ readonly text: string; readonly port: number; readonly adminPort: number }> => {
    const [port, adminPort] = [await freePort(), await freePort()];
    const one = httpListener({
      name: 'surface',
      at: { ip: '127.0.0.1', port },
      direction: 'OUTBOUND',
      routes,
      manager: { access_log: [], ...manager },
      ...listener,
    });
    return { text: bootstrap({ id: 'surface', adminPort, listeners: [one], clusters }), port, adminPort };
  };
  const [forWeft, forEnvoy] = [await made(), await made()];
  const weft: Proxy = { ...forWeft, program: await startSidecar(folder, forWeft.text) };
  running.push(weft);
  const flush = ['--file-flush-interval-msec', '50'];
  const envoy: Proxy = { ...forEnvoy, program: await startEnvoy(folder, forEnvoy.text, forEnvoy.adminPort, flush) };
  running.push(envoy);
  return { weft, envoy, both: [weft, envoy] as const };
}

after(async () => {
  for (const { program } of running) await program.stop();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('access logs', { timeout: 60_000 }, () => {
  let weft: Proxy;
  let envoy: Proxy;

  before(async () => {
    const app = await origin();
    const dead = { ip: '127.0.0.1', port: await freePort() };
    ({ weft, envoy } = await startBoth({}, { access_log: accessLogs() }, [
      cluster({ name: 'app', endpoints: [app] }),
      cluster({ name: 'dead', endpoints: [dead] }),
      cluster({ name: 'none', endpoints: [] }),
    ]));
    for (const { port } of [weft, envoy]) {
      for (const path of ['/direct', '/rewritten/x?q=1', '/dead', '/none', '/ok?a=b', '/nowhere', '/fail']) {
        await send(port, path, '', { 'user-agent': 'test' });
      }
      await send(port, '/ok', 'abc');
    }
    const lines = ({ program }: Proxy) => program.stdout.split('\n').filter((line) => line.startsWith('O ')).length;
    await waitFor('all lines', () => (lines(weft) === 8 && lines(envoy) === 8) || undefined);
    await waitFor(
      'the last line',
      () => [weft, envoy].every(({ program }) => program.stdout.endsWith('posted\n')) || undefined,
    );
  });

  const linesOf = ({ program }: Proxy, begin: string): readonly string[] =>
    program.stdout.split('\n').filter((line) => line.startsWith(begin));

  test('text with every operator', () => {
    // Why a connection failed is said in words of one's own, and an endpoint that was never picked is no attempt to us.
    const plain = (line: string): string =>
      line
        .replace(/\{remote_connection_failure\|[^}]*\}/, '{remote_connection_failure}')
        .replace(/ n=\d+ (?=.* none )/, ' n=? ');
    assert.deepEqual(linesOf(weft, 'T ').map(plain), linesOf(envoy, 'T ').map(plain));
  });

  test('JSON, with and without empty values', () => {
    const objects = (proxy: Proxy) =>
      linesOf(proxy, '{').map((line) => {
        const object: Record<string, unknown> = JSON.parse(line);
        // An endpoint that was never picked is no attempt to us.
        return object['attempts'] === 0 ? { ...object, attempts: 1 } : object;
      });
    assert.equal(objects(weft).length, 16);
    assert.deepEqual(objects(weft), objects(envoy));
    // Keys are in the same order.
    assert.deepEqual(
      Object.keys(JSON.parse(linesOf(weft, '{')[0] ?? '')),
      Object.keys(JSON.parse(linesOf(envoy, '{')[0] ?? '')),
    );
    assert.deepEqual(linesOf(weft, 'O '), linesOf(envoy, 'O '));
  });

  test('filters', () => {
    for (const begin of ['5xx ', 'not-found ', 'flagged ', 'unreachable', 'posted']) {
      const lines = linesOf(weft, begin);
      assert.ok(lines.length > 0, begin);
      assert.deepEqual(lines, linesOf(envoy, begin), begin);
    }
  });

  test("the default is Envoy's own line", () => {
    const shape = (line: string): string =>
      line
        .replace(/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]/, '[time]')
        .replace(/ (\d+) (\d+) (\d+) (\d+|-) "/, ' $1 sent ms $4 "')
        .replace(/ sent ms \d+ "/, ' sent ms ms "')
        .replace(/"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"/, '"uuid"');
    const lines = linesOf(weft, '[').map(shape);
    assert.equal(lines.length, 8);
    assert.deepEqual(lines, linesOf(envoy, '[').map(shape));
  });
});

describe('headers that a proxy adds', { timeout: 60_000 }, () => {
  test('Server, Via and the request id in responses', async () => {
    const app = await origin();
    const none = cluster({ name: 'none', endpoints: [] });
    const dead = cluster({ name: 'dead', endpoints: [app] });
    const manager = {
      server_header_transformation: 'APPEND_IF_ABSENT',
      server_name: 'front',
      via: '1.1 front',
      always_set_request_id_in_response: true,
      use_remote_address: true,
      preserve_external_request_id: true,
    };
    const { both } = await startBoth({}, manager, [cluster({ name: 'app', endpoints: [app] }), none, dead]);
    const seen = await Promise.all(
      both.map(async ({ port }) => {
        const answers: unknown[] = [];
        for (const path of ['/ok', '/direct', '/nowhere']) {
          const { status: code, headers } = await send(port, path, '', { 'x-request-id': 'given' });
          answers.push([path, code, headers['server'], headers['via'], headers['x-request-id']]);
        }
        return answers;
      }),
    );
    assert.deepEqual(seen[0], seen[1]);
  });
});

describe('admin', { timeout: 60_000 }, () => {
  let weft: Proxy;
  let envoy: Proxy;

  before(async () => {
    const [app, bad] = [await origin(), await origin(true)];
    const outlier = {
      consecutive_5xx: 3,
      interval: '0.2s',
      base_ejection_time: '60s',
      max_ejection_percent: 50,
      enforcing_success_rate: 0,
    };
    ({ weft, envoy } = await startBoth({}, {}, [
      {
        ...cluster({ name: 'app', endpoints: [app, bad] }),
        lb_policy: 'ROUND_ROBIN',
        outlier_detection: outlier,
        common_lb_config: { healthy_panic_threshold: { value: 0 } },
      },
      cluster({ name: 'dead', endpoints: [app] }),
      cluster({ name: 'none', endpoints: [] }),
    ]));
  });

  test('an endpoint that fails is left out, and shown', async () => {
    for (const { port, adminPort } of [weft, envoy]) {
      const statuses: number[] = [];
      for (let i = 0; i < 6; i++) statuses.push((await send(port, '/ok')).status);
      assert.deepEqual(statuses.toSorted(), [200, 200, 200, 500, 500, 500]);
      await waitFor('the ejection', async () => {
        const { text: page } = await adminPage(adminPort, '/clusters');
        return page.includes('::health_flags::/failed_outlier_check\n') || undefined;
      });
      for (let i = 0; i < 6; i++) assert.equal((await send(port, '/ok')).status, 200);
    }
  });

  test('the same counters say the same', async () => {
    const names = [
      'cluster.app.membership_healthy',
      'cluster.app.membership_total',
      'cluster.app.outlier_detection.ejections_active',
      'cluster.app.outlier_detection.ejections_enforced_consecutive_5xx',
      'cluster.app.outlier_detection.ejections_enforced_total',
      'cluster.app.upstream_rq_200',
      'cluster.app.upstream_rq_2xx',
      'cluster.app.upstream_rq_500',
      'cluster.app.upstream_rq_5xx',
      'cluster.app.upstream_rq_completed',
      'cluster.app.upstream_rq_total',
      'http.surface.downstream_rq_2xx',
      'http.surface.downstream_rq_5xx',
    ];
    const values = async ({ adminPort }: Proxy): Promise<string[]> =>
      (await adminPage(adminPort, '/stats')).text
        .split('\n')
        .filter((line) => names.includes(line.split(':', 1)[0] ?? ''));
    const own = await values(weft);
    assert.equal(own.length, names.length);
    assert.deepEqual(own, await values(envoy));
    const filtered = async ({ adminPort }: Proxy): Promise<unknown> =>
      JSON.parse((await adminPage(adminPort, '/stats?format=json&usedonly&filter=upstream_rq_5xx$')).text);
    const wanted = { name: 'cluster.app.upstream_rq_5xx', value: 3 };
    for (const proxy of [weft, envoy]) {
      const { stats } = (await filtered(proxy)) as { readonly stats: readonly unknown[] };
      assert.ok(
        stats.some((row) => JSON.stringify(row) === JSON.stringify(wanted)),
        JSON.stringify(stats),
      );
    }
  });

  test('pages are of the same shape', async () => {
    const page = async (path: string) => Promise.all([weft, envoy].map(({ adminPort }) => adminPage(adminPort, path)));
    assert.deepEqual(...tuple(await page('/ready')));
    for (const path of ['/runtime', '/certs']) {
      assert.deepEqual(...tuple((await page(path)).map(({ text: body }): unknown => JSON.parse(body))), path);
    }
    const [listeners, theirs] = await page('/listeners?format=json');
    const plain = (answer: { readonly text: string } | undefined) => answer?.text.replaceAll(/\d{4,5}/g, '0');
    assert.deepEqual(JSON.parse(plain(listeners) ?? ''), JSON.parse(plain(theirs) ?? ''));
    const [ownHosts, otherHosts] = (await page('/clusters')).map(({ text: body }) =>
      body
        .split('\n')
        .filter(
          (line) => line.includes('::health_flags::') || line.includes('::weight::') || line.includes('::cx_active::'),
        )
        .map((line) => line.replace(/cx_active::\d+/, 'cx_active')),
    );
    assert.deepEqual(ownHosts?.toSorted(), otherHosts?.toSorted());
    const [info, theirInfo] = (await page('/server_info')).map(({ text: body }) => JSON.parse(body));
    for (const key of Object.keys(info)) assert.ok(key in theirInfo, key);
    assert.equal(info.state, theirInfo.state);
  });

  test('the configuration is shown as Envoy has it', async () => {
    const [own, other] = await Promise.all(
      [weft, envoy].map(async ({ adminPort }) => {
        const { configs } = JSON.parse((await adminPage(adminPort, '/config_dump?resource=static_clusters')).text);
        return new Map(
          configs.map((one: { cluster: { name: string; outlier_detection?: object } }) => [one.cluster.name, one]),
        );
      }),
    );
    assert.deepEqual([...(own?.keys() ?? [])].toSorted(), [...(other?.keys() ?? [])].toSorted());
  });

  test('what changes something wants POST', async () => {
    for (const { adminPort } of [weft, envoy]) {
      for (const path of ['/quitquitquit', '/healthcheck/fail', '/reset_counters', '/drain_listeners', '/logging']) {
        const { status: code, text: body } = await adminPage(adminPort, path);
        assert.deepEqual([path, code, body], [path, 405, 'Method GET not allowed, POST required.']);
      }
      assert.equal((await adminPage(adminPort, '/nothing')).status, 404);
      assert.equal(await adminPost(adminPort, '/healthcheck/fail'), 200);
      assert.equal((await adminPage(adminPort, '/ready')).status, 503);
      assert.equal(await adminPost(adminPort, '/healthcheck/ok'), 200);
      assert.equal((await adminPage(adminPort, '/ready')).status, 200);
      assert.equal(await adminPost(adminPort, '/reset_counters'), 200);
      assert.doesNotMatch((await adminPage(adminPort, '/stats')).text, /^cluster\.app\.upstream_rq_total: [1-9]/m);
      assert.equal(await adminPost(adminPort, '/quitquitquit'), 200);
    }
    await waitFor('both to end', () => [weft, envoy].every(({ program }) => program.ended) || undefined);
  });
});
