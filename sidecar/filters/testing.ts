import { PassThrough } from 'node:stream';
import { ManualClock } from '@weft/policies/kit/clock';
import { type Prng, SeededPrng } from '@weft/policies/kit/prng';
import { leastRequest } from '@weft/policies/model/balancer';
import { type Cluster, defaultClusterLimits, type Endpoint, plainEndpoint } from '@weft/policies/model/cluster';
import { meshEdge } from '@weft/policies/model/edge';
import { type Direction, defaultHttpLimits, type HttpConnectionManager } from '@weft/policies/model/listener';
import { type ForwardAction, noMutation, type Route, type RouteConfiguration } from '@weft/policies/model/route';
import { ClusterManager } from '../cluster/manager.ts';
import type { ProxyError } from '../http/errors.ts';
import type { Dispatch, DownstreamConnection, RequestHead } from '../http/exchange.ts';
import { TestRecorder, testConnection } from '../http/h1/testing.ts';
import { Headers } from '../http/headers.ts';
import type { Dial, DialRequest } from '../net/connection.ts';
import { emptyRecord } from '../telemetry/record.ts';
import { createDispatch, type DispatchDeps } from './chain.ts';
import { HeaderFormats } from './header-formats.ts';
import { type Handler, TestDownstream, TestServer, TestUpstreamConnection } from './testing-peers.ts';
import { TestIdentity, TestSource } from './testing-source.ts';

export * from './testing-peers.ts';
export * from './testing-source.ts';

export function requestHead(overrides: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'shop.example',
    path: '/',
    protocol: undefined,
    headers: new Headers(),
    version: 11,
    contentLength: 0,
    expectContinue: false,
    ...overrides,
  };
}

export function testEndpoint(ip: string, port: number, overrides: Partial<Endpoint> = {}): Endpoint {
  return { ...plainEndpoint({ ip, port }), ...overrides };
}

export function testCluster(name: string, overrides: Partial<Cluster> = {}): Cluster {
  return {
    name,
    discovery: { kind: 'eds', serviceName: name },
    connectTimeoutMs: 1_000,
    idleTimeoutMs: 60_000,
    requestsPerConnectionMax: 0,
    balancer: leastRequest,
    protocol: 'http1',
    limits: defaultClusterLimits,
    errorRate: undefined,
    outlier: undefined,
    healthyPanicPercent: 0,
    tls: undefined,
    meshTls: true,
    service: undefined,
    ...overrides,
  };
}

export function testRoute(
  action: Partial<ForwardAction> | Route['action'],
  match: Partial<Route['match']> = {},
): Route {
  const forward: ForwardAction = {
    kind: 'forward',
    clusters: [],
    timeoutMs: 0,
    idleTimeoutMs: 0,
    retry: undefined,
    hostRewrite: undefined,
    pathRewrite: undefined,
  };
  return {
    name: 'ns/route/rule-0',
    match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], queryParameters: [], ...match },
    action: action.kind === 'redirect' || action.kind === 'direct' ? action : { ...forward, ...action },
    requestHeaders: noMutation,
    responseHeaders: noMutation,
  };
}

export function forwardTo(name: string, overrides: Partial<ForwardAction> = {}): Route {
  const clusters = [{ name, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }];
  return testRoute({ clusters, ...overrides });
}

export function routes(name: string, ...all: Route[]): RouteConfiguration {
  return { name, virtualHosts: [{ name: 'all', domains: ['*'], routes: all }] };
}

export function testHcm(route: HttpConnectionManager['route'], overrides: Partial<HttpConnectionManager> = {}) {
  const hcm: HttpConnectionManager = {
    kind: 'http',
    statPrefix: 'test',
    codec: 'auto',
    route,
    filters: [{ kind: 'router' }],
    limits: defaultHttpLimits,
    edge: meshEdge,
    trustedHops: 0,
    accessLogs: [],
    ...overrides,
  };
  return hcm;
}

/** For replies of which no header depends on the request. */
export const plainFormats = new HeaderFormats({
  ports: { trustedHops: 0, filterChainName: '', environment: {} },
  describe: () => emptyRecord('outbound'),
  count: () => {},
  ofResponses: [],
});

const refused: ProxyError = {
  source: 'upstream',
  flag: 'UF',
  status: 503,
  retry: 'yes',
  detail: 'connection refused',
};

/** A sidecar's request path on a clock that moves when told to, with servers in memory. */
export class World {
  readonly clock: ManualClock;
  readonly prng: Prng;
  readonly source: TestSource;
  readonly identity = new TestIdentity();
  readonly recorder = new TestRecorder();
  readonly servers = new Map<string, TestServer>();
  readonly dials: DialRequest[] = [];
  /** What names resolve to. */
  readonly names = new Map<string, readonly string[]>();
  readonly clusters: ClusterManager;
  private readonly sockets = new Map<object, TestServer>();

  constructor(
    seed = 1,
    overrides: {
      readonly onDemandWaitMsMax?: number;
      readonly ownIps?: readonly string[];
      readonly clock?: ManualClock;
    } = {},
  ) {
    this.clock = overrides.clock ?? new ManualClock();
    this.source = new TestSource(this.clock);
    this.prng = new SeededPrng(seed);
    this.clusters = new ClusterManager({
      source: this.source,
      dial: this.dial,
      connectHttp: (transport) => {
        const server = this.sockets.get(transport.socket);
        if (server === undefined) throw new Error('no server behind that socket');
        return new TestUpstreamConnection(server, this.clock);
      },
      identity: this.identity,
      recorder: this.recorder,
      clock: this.clock,
      prng: this.prng,
      onDemandWaitMsMax: overrides.onDemandWaitMsMax ?? 1_000,
      resolveHost: (host, done) => {
        this.clock.after(1, () => {
          const ips = this.names.get(host);
          done(ips === undefined ? { error: `no address of ${host}` } : { ips });
        });
      },
      ownIps: new Set(overrides.ownIps),
    });
  }

  server(ip: string, port: number, handler?: Handler): TestServer {
    const server = new TestServer(handler);
    this.servers.set(`${ip} ${port}`, server);
    return server;
  }

  dispatch(
    hcm: HttpConnectionManager,
    direction: Direction = 'outbound',
    overrides: Partial<DispatchDeps> = {},
  ): Dispatch {
    return createDispatch({
      hcm,
      direction,
      settings: undefined,
      source: this.source,
      clusters: this.clusters,
      recorder: this.recorder,
      clock: this.clock,
      prng: this.prng,
      onDemandWaitMsMax: 1_000,
      identity: this.identity,
      ...overrides,
    });
  }

  send(
    dispatch: Dispatch,
    head: Partial<RequestHead> = {},
    body?: readonly string[],
    connection: Partial<DownstreamConnection> = {},
  ): TestDownstream {
    const exchange = new TestDownstream(
      requestHead({ contentLength: body === undefined ? 0 : -1, ...head }),
      body === undefined,
      { ...testConnection, ...connection },
    );
    dispatch(exchange);
    body?.forEach((chunk, index) => {
      exchange.receiver?.onData(Buffer.from(chunk), index === body.length - 1);
    });
    return exchange;
  }

  count(event: string): number {
    return this.recorder.events.filter((other) => other === event).length;
  }

  private readonly dial: Dial = (request, done) => {
    this.dials.push(request);
    const { ip, port } = request.endpoint.address;
    const server = this.servers.get(`${ip} ${port}`);
    const cancel = this.clock.after(server?.connectMs ?? 0, () => {
      if (server?.accepts !== true) {
        done({ error: refused });
        return;
      }
      server.dials.push(request);
      const socket = new PassThrough();
      this.sockets.set(socket, server);
      done({ transport: { socket, alpn: '', peer: undefined, localIp: '192.0.2.2' } });
    });
    return { cancel };
  };
}
