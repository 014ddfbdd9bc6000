/**
 * Outlier detection and active health checks: one bootstrap on Weft and on a real Envoy, endpoints that fail and come
 * back, and what both then send where and say of it.
 */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer } from 'node:net';
import { after, before, test } from 'node:test';
import { exchange, get, type Subject, Surface, same } from '../integration/envoy-surface.fixture.ts';
import { type At, cluster, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { adminPage } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const BOUND_MS = 20_000;

/** An origin over HTTP/1 that does as it is told. */
class Origin {
  readonly at: At;
  status = 200;
  health = 200;
  /** Fields of its answers to requests. */
  fields: Record<string, string> = {};
  lastCheck: IncomingMessage | undefined = undefined;

  constructor(at: At) {
    this.at = at;
  }
}

const surface = new Surface('upstream-health');
/** Two origins for each matter, so that tests do not disturb each other. */
const origins = new Map<string, readonly [Origin, Origin]>();
const grpc = { serving: 1, asked: '' };
const tcp = { answer: '+PONG\r\n' };
let both: readonly [Subject, Subject];

async function origin(name: string): Promise<Origin> {
  const made: { origin?: Origin } = {};
  const server = createServer((request, response) => {
    const { origin: self } = made;
    if (self === undefined) return;
    if (request.url === '/healthz') {
      self.lastCheck = request;
      response.writeHead(self.health).end();
      return;
    }
    response.writeHead(self.status, self.fields).end(name);
  });
  made.origin = new Origin(await surface.listen(server));
  return made.origin;
}

async function pair(matter: string): Promise<readonly At[]> {
  const two = [await origin('a'), await origin('b')] as const;
  origins.set(matter, two);
  return two.map(({ at }) => at);
}

function originsOf(matter: string): readonly [Origin, Origin] {
  const two = origins.get(matter);
  assert.ok(two);
  return two;
}

/** grpc.health.v1.Health/Check, with the status that is set; the frame is of five bytes and a message of two. */
function answerHealth(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    grpc.asked = Buffer.concat(chunks).subarray(7).toString();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, grpc.serving]));
  });
}

const often: JsonObject = {
  timeout: '1s',
  interval: '0.1s',
  no_traffic_interval: '0.1s',
  unhealthy_threshold: 2,
  healthy_threshold: 2,
};

const robin = (name: string, ats: readonly At[], more: JsonObject): JsonObject =>
  cluster({ name, endpoints: ats, fields: more });

before(async () => {
  const grpcServer = createHttp2Server().on('stream', (stream: ServerHttp2Stream, headers) => {
    if (headers[':path'] === '/grpc.health.v1.Health/Check') return answerHealth(stream);
    stream.respond({ ':status': 200 });
    return stream.end('grpc');
  });
  const grpcAt = await surface.listen(grpcServer);
  const tcpAt = await surface.listen(
    createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        if (bytes.toString().startsWith('GET')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntcp');
        else if (bytes.toString().startsWith('PING')) socket.write(tcp.answer);
      });
    }),
  );
  const gone: At = { ip: '127.0.0.1', port: 1 };
  const matters = ['outlier', 'http', 'aside', 'panic', 'refused', 'grpc', 'tcp'];
  both = await surface.startBoth({
    // Or each 503 of Envoy's takes a second.
    managers: { main: { delayed_close_timeout: '0.01s' } },
    routes: matters.map((name) => route(name, `/${name}`, name)),
    clusters: [
      robin('outlier', await pair('outlier'), {
        outlier_detection: {
          consecutive_5xx: 3,
          interval: '0.1s',
          // Long enough to be looked at meanwhile, also on a busy machine.
          base_ejection_time: '5s',
          max_ejection_percent: 50,
          enforcing_success_rate: 0,
        },
      }),
      robin('http', await pair('http'), {
        common_lb_config: { healthy_panic_threshold: { value: 0 } },
        health_checks: [
          {
            ...often,
            http_health_check: {
              path: '/healthz',
              host: 'shop.example',
              method: 'HEAD',
              request_headers_to_add: [{ header: { key: 'x-probe', value: 'yes' } }],
              expected_statuses: [{ start: 200, end: 205 }],
              retriable_statuses: [{ start: 503, end: 504 }],
            },
          },
        ],
      }),
      robin('aside', await pair('aside'), { health_checks: [{ ...often, http_health_check: { path: '/healthz' } }] }),
      robin('panic', await pair('panic'), {
        common_lb_config: { healthy_panic_threshold: { value: 60 } },
        health_checks: [{ ...often, http_health_check: { path: '/healthz' } }],
      }),
      robin('refused', [gone], {
        common_lb_config: { healthy_panic_threshold: { value: 0 } },
        health_checks: [{ ...often, tcp_health_check: {} }],
      }),
      robin('grpc', [grpcAt], {
        common_lb_config: { healthy_panic_threshold: { value: 0 } },
        health_checks: [{ ...often, grpc_health_check: { service_name: 'shop.Cart', authority: 'shop.example' } }],
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
            '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            explicit_http_config: { http2_protocol_options: {} },
          },
        },
      }),
      robin('tcp', [tcpAt], {
        common_lb_config: { healthy_panic_threshold: { value: 0 } },
        health_checks: [
          { ...often, tcp_health_check: { send: { text: '50494e470d0a' }, receive: [{ text: '504f4e47' }] } },
        ],
      }),
    ],
  });
});

after(() => surface.close());

const portOf = (proxy: Subject): number => proxy.ports['main'] ?? 0;

async function ask(proxy: Subject, matter: string): Promise<string> {
  const answer = await exchange(portOf(proxy), get(`/${matter}`, 'Connection: close'));
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2);
  const status = head.split(' ')[1] ?? '';
  return status === '200' ? body.replaceAll(/^\d+\r\n|\r\n.*$/gs, '') : status;
}

/** Who answers eight requests in a row. */
async function served(proxy: Subject, matter: string): Promise<string> {
  const seen = new Set<string>();
  for (let i = 0; i < 8; i++) seen.add(await ask(proxy, matter));
  return [...seen].sort().join(' ');
}

async function flags(proxy: Subject, matter: string): Promise<readonly string[]> {
  const { text } = await adminPage(proxy.adminPort, '/clusters');
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${matter}::`) && line.includes('::health_flags::'))
    .map((line) => line.split('::').at(-1) ?? '');
}

async function statistic(proxy: Subject, name: string): Promise<number> {
  const { text } = await adminPage(proxy.adminPort, '/stats');
  return Number(new RegExp(`^${name.replaceAll('.', '\\.')}: (\\d+)$`, 'm').exec(text)?.[1] ?? -1);
}

/** On both, within the bound. */
const become = (matter: string, wanted: string): Promise<unknown> =>
  Promise.all(
    both.map((proxy, i) => {
      let last = '';
      return waitFor(
        `${matter} is served by ${wanted} on ${i === 0 ? 'weft' : 'envoy'}`,
        async () => {
          last = await served(proxy, matter);
          if (last !== wanted) throw new Error(`it is ${last}`);
          return last;
        },
        BOUND_MS,
      );
    }),
  );

test('an outlier is left out for its time and comes back', async () => {
  const [, b] = originsOf('outlier');
  await become('outlier', 'a b');
  b.status = 500;
  await become('outlier', 'a');
  await same(both, (proxy) => flags(proxy, 'outlier'), ['healthy', '/failed_outlier_check']);
  for (const [name, value] of [
    ['ejections_active', 1],
    ['ejections_enforced_total', 1],
    ['ejections_enforced_consecutive_5xx', 1],
  ] as const) {
    await same(both, (proxy) => statistic(proxy, `cluster.outlier.outlier_detection.${name}`), value);
  }
  b.status = 200;
  await become('outlier', 'a b');
  await same(both, (proxy) => flags(proxy, 'outlier'), ['healthy', 'healthy']);
  await same(both, (proxy) => statistic(proxy, 'cluster.outlier.outlier_detection.ejections_active'), 0);
});

test('an endpoint that says no to a check takes nothing until it has said yes twice', async () => {
  const [, b] = originsOf('http');
  await become('http', 'a b');
  const asked = b.lastCheck;
  assert.equal(asked?.method, 'HEAD');
  assert.equal(asked?.headers.host, 'shop.example');
  assert.equal(asked?.headers['x-probe'], 'yes');
  b.health = 404;
  await become('http', 'a');
  await same(both, (proxy) => flags(proxy, 'http'), ['healthy', '/failed_active_hc']);
  await same(both, (proxy) => statistic(proxy, 'cluster.http.membership_healthy'), 1);
  b.health = 204;
  await become('http', 'a b');
  b.health = 503;
  await become('http', 'a');
  b.health = 200;
  await become('http', 'a b');
});

test('nobody is well: UH, which is 503', async () => {
  const [a, b] = originsOf('http');
  a.health = 500;
  b.health = 500;
  await become('http', '503');
  a.health = 200;
  b.health = 200;
  await become('http', 'a b');
  await become('refused', '503');
  await same(both, (proxy) => flags(proxy, 'refused'), ['/failed_active_hc']);
});

test('too few are well: all of them get traffic', async () => {
  const [, b] = originsOf('panic');
  await become('panic', 'a b');
  b.health = 500;
  await Promise.all(
    both.map((proxy) =>
      waitFor(
        'the check failed',
        async () => ((await flags(proxy, 'panic'))[1] === '/failed_active_hc' ? true : undefined),
        BOUND_MS,
      ),
    ),
  );
  await same(both, (proxy) => served(proxy, 'panic'), 'a b');
});

test('an endpoint that steps aside in an answer takes nothing, and does not count', async () => {
  const [, b] = originsOf('aside');
  await become('aside', 'a b');
  b.health = 500;
  b.fields = { 'x-envoy-immediate-health-check-fail': 'true' };
  await become('aside', 'a');
  b.fields = {};
  b.health = 200;
  await become('aside', 'a b');
});

test('a server says over gRPC whether it serves', async () => {
  await become('grpc', 'grpc');
  assert.equal(grpc.asked, 'shop.Cart');
  grpc.serving = 2;
  await become('grpc', '503');
  await same(both, (proxy) => flags(proxy, 'grpc'), ['/failed_active_hc']);
  grpc.serving = 1;
  await become('grpc', 'grpc');
});

test('bytes that are wanted of a server', async () => {
  await become('tcp', 'tcp');
  tcp.answer = '-LOADING\r\n';
  await become('tcp', '503');
  await same(both, (proxy) => flags(proxy, 'tcp'), ['/failed_active_hc/active_hc_timeout']);
  tcp.answer = '+PONG\r\n';
  await become('tcp', 'tcp');
});
