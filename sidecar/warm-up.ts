import { connect, createServer, type Socket } from 'node:net';
import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { leastRequest } from '@weft/policies/model/balancer';
import { type Cluster, defaultClusterLimits, plainEndpoint } from '@weft/policies/model/cluster';
import { meshEdge } from '@weft/policies/model/edge';
import { anyTraffic, type Direction, defaultHttpLimits, type Listener } from '@weft/policies/model/listener';
import { defaultRetry } from '@weft/policies/model/retry';
import { noMutation, type Route } from '@weft/policies/model/route';
import type { DownstreamTls } from '@weft/policies/model/tls';
import { noIdentity } from './bootstrap/no-identity.ts';
import { StaticSource } from './bootstrap/static-source.ts';
import { createDataPlane, type DataPlane } from './data-plane.ts';
import type { Downstream, RequestReceiver } from './http/exchange.ts';
import { serveHttp1 } from './http/h1/server.ts';
import { Headers } from './http/headers.ts';
import type { CertificateSource } from './identity/source.ts';
import { AccessLog } from './telemetry/access-log.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { Recorder } from './telemetry/record.ts';
import { SidecarRecorder } from './telemetry/recorder.ts';
import { SpanRing } from './telemetry/span-ring.ts';
import type { WarmUpTls } from './warm-up-tls.ts';

/** Readiness must not wait for a machine that is busy. */
export const WARM_UP_MS_MAX = 120;
const CONNECT_TIMEOUT_MS = 1_000;
/** More would make the code of a sidecar without traffic larger than what later requests save. */
const REQUESTS = 100;
const CONNECTIONS = 8;
const LOOPBACK = '127.0.0.1';
const NAME = 'warm-up';

interface WarmUpPorts {
  readonly clock: Clock;
  readonly prng: Prng;
}

interface WarmUpOptions {
  readonly budgetMs: number;
  /** Between the two paths; undefined: plaintext. */
  readonly tls?: WarmUpTls | undefined;
  /** It ends early when it is no longer wanted. */
  readonly isWanted?: () => boolean;
}

const PASSED = 'HTTP/1.1 200';
const RESPONSE_FIELDS = ['Server', NAME, 'Date', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Content-Type', 'text/plain'];
const RESPONSE_BODY = Buffer.from('warm-up response');
const HEAD =
  'Host: warm-up.example\r\nUser-Agent: warm-up/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nX-Request-Id: warm-up\r\n';
const REQUESTS_IN_TURN = [
  Buffer.from(`GET /warm-up/items?page=1 HTTP/1.1\r\n${HEAD}\r\n`, 'latin1'),
  Buffer.from(`GET /warm-up HTTP/1.1\r\n${HEAD}Cookie: a=b\r\n\r\n`, 'latin1'),
  Buffer.from(
    `POST /warm-up HTTP/1.1\r\n${HEAD}Content-Type: text/plain\r\nContent-Length: 12\r\n\r\nwarm-up body`,
    'latin1',
  ),
  Buffer.from(
    `POST /warm-up HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n7\r\nwarm-up\r\n5\r\n body\r\n0\r\n\r\n`,
    'latin1',
  ),
];

/**
 * Requests of its own through a client's and a server's path on loopback, HTTP/1 to HTTP/2 to HTTP/1: what the first real
 * requests meet is loaded and compiled. What these do is in no metric and no log. Resolves to how many came through.
 */
export async function warmUp(
  { clock, prng }: WarmUpPorts,
  { budgetMs, tls, isWanted = () => true }: WarmUpOptions,
): Promise<number> {
  const deadlineMs = clock.nowMs() + budgetMs;
  const opened: { close(): void }[] = [];
  try {
    const log = new AccessLog({ write: () => true, onDrain: () => undefined }, () => undefined);
    const ports = { clock, prng, recorder: new SidecarRecorder(new Metrics(), log, new SpanRing(1)) };
    const applicationPort = await startApplication(clock, ports.recorder, opened);
    if (applicationPort === 0) return 0;
    const certificates = tls?.certificates ?? noIdentity;
    const inbound = listenerOf('inbound', tls?.downstream);
    const application = clusterOf(applicationPort, 'http1', undefined);
    const server = await startPlane(ports, { listener: inbound, cluster: application, certificates }, opened);
    if (server === 0) return 0;
    const outbound = listenerOf('outbound', undefined);
    const cluster = clusterOf(server, 'http2', tls);
    const client = await startPlane(ports, { listener: outbound, cluster, certificates }, opened);
    return client === 0 ? 0 : await sendRequests(client, deadlineMs, clock, isWanted);
  } finally {
    for (const one of opened.reverse()) one.close();
  }
}

/** Answers a request when all of it has come. */
class Answer implements RequestReceiver {
  private readonly exchange: Downstream;

  constructor(exchange: Downstream) {
    this.exchange = exchange;
    exchange.receiver = this;
    if (exchange.endOfRequest) this.answer();
  }

  onData(chunk: Buffer, end: boolean): void {
    this.exchange.consumed(chunk.length);
    if (end) this.answer();
  }

  onTrailers(): void {
    this.answer();
  }

  onReset(): void {}

  onWritable(): void {}

  onDone(): void {}

  private answer(): void {
    const headers = Headers.from(RESPONSE_FIELDS);
    this.exchange.respond({ status: 200, reason: 'OK', headers, contentLength: RESPONSE_BODY.length }, false);
    this.exchange.write(RESPONSE_BODY, true);
  }
}

function startApplication(clock: Clock, recorder: Recorder, opened: { close(): void }[]): Promise<number> {
  return new Promise((resolve) => {
    const sockets = new Set<Socket>();
    const connection = { id: 0, remoteIp: LOOPBACK, remotePort: 0, destinationIp: LOOPBACK, destinationPort: 0 };
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      const dispatch = (exchange: Downstream): void => void new Answer(exchange);
      const options = { limits: defaultHttpLimits, dispatch, clock, recorder, direction: 'inbound' } as const;
      serveHttp1(socket, { ...connection, peer: undefined, tls: false }, options);
    });
    opened.push({
      close: () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    });
    server.once('error', () => resolve(0));
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

interface Plane {
  readonly listener: Listener;
  readonly cluster: Cluster;
  readonly certificates: CertificateSource;
}

/** Resolves to the port of its listener, 0 where it could not be bound. */
async function startPlane(
  { clock, prng, recorder }: WarmUpPorts & { readonly recorder: Recorder },
  { listener, cluster, certificates }: Plane,
  opened: { close(): void }[],
): Promise<number> {
  const plane: DataPlane = createDataPlane({
    source: new StaticSource({
      listener: new Map([[NAME, listener]]),
      cluster: new Map([[NAME, cluster]]),
      route: new Map(),
      endpoints: new Map(),
      secret: new Map(),
      address: new Map(),
    }),
    listenerNames: [NAME],
    certificates,
    recorder,
    clock,
    prng,
    ownIps: new Set(),
  });
  opened.push({
    close: () => {
      plane.listeners.close();
      plane.clusters.close();
    },
  });
  const started = await plane.listeners.start();
  return started.ok ? (plane.listeners.stats()[0]?.addresses[0]?.port ?? 0) : 0;
}

function sendRequests(port: number, deadlineMs: number, clock: Clock, isWanted: () => boolean): Promise<number> {
  return new Promise((resolve) => {
    let sent = 0;
    let answered = 0;
    let passed = 0;
    const sockets: Socket[] = [];
    const finish = (): void => {
      cancel();
      for (const socket of sockets) socket.destroy();
      resolve(passed);
    };
    const cancel = clock.after(Math.max(1, deadlineMs - clock.nowMs()), finish);
    const next = (socket: Socket): void => {
      const request = REQUESTS_IN_TURN[sent % REQUESTS_IN_TURN.length];
      if (sent >= REQUESTS || request === undefined) return;
      sent++;
      socket.write(request);
    };
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = connect({ port, host: LOOPBACK, noDelay: true });
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('connect', () => next(socket));
      socket.on('data', (chunk) => {
        answered++;
        if (String(chunk).startsWith(PASSED)) passed++;
        if (answered >= REQUESTS || clock.nowMs() >= deadlineMs || !isWanted()) finish();
        else next(socket);
      });
    }
  });
}

const listenerOf = (direction: Direction, tls: DownstreamTls | undefined): Listener => ({
  name: NAME,
  direction,
  addresses: [{ ip: LOOPBACK, port: 0 }],
  useOriginalDst: false,
  proxyProtocol: false,
  detectTls: false,
  detectHttp: false,
  detectTimeoutMs: 0,
  filterChains: [],
  defaultFilterChain: {
    name: NAME,
    match: anyTraffic,
    tls,
    networkRbac: [],
    terminal: {
      kind: 'http',
      statPrefix: NAME,
      codec: direction === 'outbound' ? 'http1' : 'http2',
      route: {
        kind: 'inline',
        config: { name: NAME, virtualHosts: [{ name: NAME, domains: ['*'], routes: [route] }] },
      },
      filters: [{ kind: 'router' }],
      limits: defaultHttpLimits,
      edge: meshEdge,
      trustedHops: 0,
      accessLogs: [],
    },
  },
  settings: undefined,
});

const route: Route = {
  name: NAME,
  match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], queryParameters: [] },
  action: {
    kind: 'forward',
    clusters: [{ name: NAME, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }],
    timeoutMs: 15_000,
    idleTimeoutMs: 0,
    retry: defaultRetry,
    hostRewrite: undefined,
    pathRewrite: undefined,
  },
  requestHeaders: noMutation,
  responseHeaders: noMutation,
};

const clusterOf = (
  port: number,
  protocol: Cluster['protocol'],
  tls: Pick<WarmUpTls, 'cluster' | 'endpoint'> | undefined,
): Cluster => ({
  name: NAME,
  discovery: {
    kind: 'static',
    assignment: { clusterName: NAME, endpoints: [{ ...plainEndpoint({ ip: LOOPBACK, port }), ...tls?.endpoint }] },
  },
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
  idleTimeoutMs: 60_000,
  requestsPerConnectionMax: 0,
  balancer: leastRequest,
  protocol,
  limits: defaultClusterLimits,
  errorRate: undefined,
  outlier: undefined,
  healthyPanicPercent: 50,
  tls: undefined,
  meshTls: false,
  service: undefined,
  ...tls?.cluster,
});
