import { PassThrough } from 'node:stream';
import { ManualClock } from '@weft/policies/kit/clock';
import { type Prng, SeededPrng } from '@weft/policies/kit/prng';
import type { Cluster, Endpoint, EndpointAssignment } from '@weft/policies/model/cluster';
import { defaultClusterLimits } from '@weft/policies/model/cluster';
import { type Direction, defaultHttpLimits, type HttpConnectionManager } from '@weft/policies/model/listener';
import { type ForwardAction, noMutation, type Route, type RouteConfiguration } from '@weft/policies/model/route';
import type { Lookup, ResourceKind, ResourceMap, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';
import { ClusterManager } from '../cluster/manager.ts';
import type { ProxyError } from '../http/errors.ts';
import type {
  Dispatch,
  Downstream,
  DownstreamConnection,
  RequestHead,
  RequestReceiver,
  ResponseHead,
  ResponseReceiver,
  Upstream,
  UpstreamConnection,
} from '../http/exchange.ts';
import { TestRecorder, testConnection } from '../http/h1/testing.ts';
import { Headers } from '../http/headers.ts';
import type { CertificateSource, WorkloadCertificate } from '../identity/source.ts';
import type { Dial, DialRequest } from '../net/connection.ts';
import { createDispatch, type DispatchDeps } from './chain.ts';

interface Waiting {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly finish: (pending: boolean) => void;
}

/** Configuration in memory. What was never set is absent, or pending where `pending` says so. */
export class TestSource implements SnapshotSource {
  pending: (kind: ResourceKind, name: string) => boolean = () => false;
  waitingMax = 100;
  private readonly clock: ManualClock;
  private readonly addresses = new Map<string, ResourceMap['address']>();
  private readonly listeners = new Map<string, ResourceMap['listener']>();
  private readonly routes = new Map<string, ResourceMap['route']>();
  private readonly clusters = new Map<string, ResourceMap['cluster']>();
  private readonly endpoints = new Map<string, ResourceMap['endpoints']>();
  private readonly changed = new Set<(snapshot: Snapshot) => void>();
  private readonly waiting = new Set<Waiting>();
  private version = 1;

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  address(ip: string, value: ResourceMap['address']): void {
    this.addresses.set(ip, value);
    this.publish();
  }

  route(value: RouteConfiguration): void {
    this.routes.set(value.name, value);
    this.publish();
  }

  cluster(value: Cluster): void {
    this.clusters.set(value.name, value);
    this.publish();
  }

  assignment(clusterName: string, endpoints: readonly Endpoint[]): void {
    this.endpoints.set(clusterName, { clusterName, endpoints } satisfies EndpointAssignment);
    this.publish();
  }

  removeCluster(name: string): void {
    this.clusters.delete(name);
    this.publish();
  }

  publish(): void {
    this.version++;
    const snapshot = this.current();
    for (const listener of this.changed) listener(snapshot);
    for (const entry of [...this.waiting]) {
      if (this.lookup(entry.kind, entry.name).state !== 'pending') entry.finish(false);
    }
  }

  current(): Snapshot {
    return { version: this.version, get: (kind, name) => this.lookup(kind, name) };
  }

  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]> {
    const tables: { readonly [T in ResourceKind]: ReadonlyMap<string, ResourceMap[T]> } = {
      address: this.addresses,
      listener: this.listeners,
      route: this.routes,
      cluster: this.clusters,
      endpoints: this.endpoints,
    };
    const value = tables[kind].get(name);
    if (value !== undefined) return { state: 'found', value };
    return { state: this.pending(kind, name) ? 'pending' : 'absent' };
  }

  wait<K extends ResourceKind>(
    kind: K,
    name: string,
    timeoutMs: number,
    done: (lookup: Lookup<ResourceMap[K]>) => void,
  ): boolean {
    if (this.waiting.size >= this.waitingMax) return false;
    const entry: Waiting = {
      kind,
      name,
      finish: (pending) => {
        if (!this.waiting.delete(entry)) return;
        cancel();
        done(pending ? { state: 'pending' } : this.lookup(kind, name));
      },
    };
    const cancel = this.clock.after(timeoutMs, () => entry.finish(true));
    this.waiting.add(entry);
    return true;
  }

  onChange(listener: (snapshot: Snapshot) => void): () => void {
    this.changed.add(listener);
    return () => this.changed.delete(listener);
  }
}

export class TestIdentity implements CertificateSource {
  private readonly listeners = new Set<(certificate: WorkloadCertificate) => void>();
  private certificate: WorkloadCertificate | undefined = undefined;

  get(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  own(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  rotate(certificate: WorkloadCertificate): void {
    this.certificate = certificate;
    for (const listener of this.listeners) listener(certificate);
  }

  onChange(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** A request as a test server sees it, complete. */
export interface ServedRequest {
  readonly head: RequestHead;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Headers;
  /** Until the head; 0 answers at once. */
  readonly afterMs?: number;
}

/** What a server does with a request: an answer, a broken connection, or nothing at all. */
export type Handler = (request: ServedRequest) => Answer | 'reset' | 'hang';

/** An upstream in memory that takes connections and answers requests, one at a time on each, as HTTP/1 does. */
export class TestServer {
  readonly requests: ServedRequest[] = [];
  readonly connections = new Set<TestUpstreamConnection>();
  readonly dials: DialRequest[] = [];
  accepts = true;
  connectMs = 0;
  handler: Handler;

  constructor(handler: Handler = () => ({ status: 200, body: 'ok' })) {
    this.handler = handler;
  }

  /** All idle connections go stale: the client learns only when it uses them. */
  makeStale(): void {
    for (const connection of this.connections) connection.stale = true;
  }
}

class TestUpstreamConnection implements UpstreamConnection {
  requests = 0;
  closed = false;
  stale = false;
  onChange: (() => void) | undefined = undefined;
  private draining = false;
  private busy: TestUpstream | undefined = undefined;
  readonly server: TestServer;
  readonly clock: ManualClock;

  constructor(server: TestServer, clock: ManualClock) {
    this.server = server;
    this.clock = clock;
    server.connections.add(this);
  }

  get available(): number {
    return this.closed || this.draining || this.busy !== undefined ? 0 : 1;
  }

  open(head: RequestHead, end: boolean, receiver: ResponseReceiver): Upstream {
    this.requests++;
    const upstream = new TestUpstream(this, { ...head, headers: head.headers.clone() }, receiver);
    this.busy = upstream;
    if (end) upstream.requestComplete();
    return upstream;
  }

  finished(): void {
    this.busy = undefined;
    if (this.draining) this.destroy();
    else this.onChange?.();
  }

  drain(): void {
    this.draining = true;
    if (this.busy === undefined) this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.server.connections.delete(this);
    const { busy } = this;
    this.busy = undefined;
    busy?.broken();
    this.onChange?.();
  }
}

class TestUpstream implements Upstream {
  private readonly connection: TestUpstreamConnection;
  private readonly head: RequestHead;
  private readonly receiver: ResponseReceiver;
  private readonly chunks: Buffer[] = [];
  private alive = true;

  constructor(connection: TestUpstreamConnection, head: RequestHead, receiver: ResponseReceiver) {
    this.connection = connection;
    this.head = head;
    this.receiver = receiver;
  }

  consumed(): void {}

  write(chunk: Buffer, end: boolean): boolean {
    this.chunks.push(chunk);
    if (end) this.requestComplete();
    return true;
  }

  trailers(): void {
    this.requestComplete();
  }

  reset(): void {
    if (!this.alive) return;
    this.alive = false;
    this.connection.destroy();
  }

  broken(): void {
    if (!this.alive) return;
    this.alive = false;
    const retry = this.connection.requests > 1 ? 'reusedOnly' : 'idempotent';
    this.receiver.onReset({ source: 'upstream', flag: 'UC', status: 503, retry, detail: 'closed before a response' });
  }

  requestComplete(): void {
    const { server, clock } = this.connection;
    if (this.connection.stale) {
      clock.after(0, () => this.connection.destroy());
      return;
    }
    const request = { head: this.head, body: Buffer.concat(this.chunks).toString() };
    server.requests.push(request);
    const answer = server.handler(request);
    if (answer === 'hang') return;
    if (answer === 'reset') clock.after(0, () => this.connection.destroy());
    else clock.after(answer.afterMs ?? 0, () => this.respond(answer));
  }

  private respond(answer: Answer): void {
    if (!this.alive) return;
    const body = Buffer.from(answer.body ?? '');
    const head: ResponseHead = {
      status: answer.status,
      reason: '',
      headers: answer.headers ?? new Headers(),
      contentLength: body.length,
    };
    this.receiver.onHead(head, body.length === 0);
    if (this.alive && body.length > 0) this.receiver.onData(body, true);
    if (!this.alive) return;
    this.alive = false;
    this.connection.finished();
  }
}

/** What came back to a client. */
export class TestDownstream implements Downstream {
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  readonly connection: DownstreamConnection;
  receiver: RequestReceiver | undefined = undefined;
  readonly bytesReceived = 0;
  readonly bytesSent = 0;
  response: ResponseHead | undefined = undefined;
  body = '';
  ended = false;
  resetWith: ProxyError | undefined = undefined;
  credited = 0;

  constructor(head: RequestHead, endOfRequest: boolean, connection: DownstreamConnection) {
    this.head = head;
    this.endOfRequest = endOfRequest;
    this.connection = connection;
  }

  get status(): number {
    return this.response?.status ?? 0;
  }

  consumed(bytes: number): void {
    this.credited += bytes;
  }

  interim(): void {}

  respond(head: ResponseHead, end: boolean): void {
    if (this.response !== undefined) throw new Error('responded twice');
    this.response = head;
    if (end) this.finish();
  }

  write(chunk: Buffer, end: boolean): boolean {
    this.body += chunk.toString();
    if (end) this.finish();
    return true;
  }

  trailers(): void {
    this.finish();
  }

  reset(error: ProxyError): void {
    this.resetWith = error;
    this.finish();
  }

  private finish(): void {
    if (this.ended) throw new Error('ended twice');
    this.ended = true;
    this.receiver?.onDone();
  }
}

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
  return {
    address: { ip, port },
    weight: 1,
    priority: 0,
    zone: '',
    health: 'healthy',
    mtls: false,
    spiffeId: undefined,
    workload: '',
    ...overrides,
  };
}

export function testCluster(name: string, overrides: Partial<Cluster> = {}): Cluster {
  return {
    name,
    discovery: { kind: 'eds', serviceName: name },
    connectTimeoutMs: 1_000,
    idleTimeoutMs: 60_000,
    requestsPerConnectionMax: 0,
    balancer: 'least-request',
    protocol: 'http1',
    limits: defaultClusterLimits,
    errorRate: undefined,
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
    serverHeader: 'passthrough',
    trustedHops: 0,
    accessLogs: [],
    ...overrides,
  };
  return hcm;
}

const refused: ProxyError = {
  source: 'upstream',
  flag: 'UF',
  status: 503,
  retry: 'yes',
  detail: 'connection refused',
};

/** A sidecar's request path on a clock that moves when told to, with servers in memory. */
export class World {
  readonly clock = new ManualClock();
  readonly prng: Prng;
  readonly source = new TestSource(this.clock);
  readonly identity = new TestIdentity();
  readonly recorder = new TestRecorder();
  readonly servers = new Map<string, TestServer>();
  readonly dials: DialRequest[] = [];
  /** What names resolve to. */
  readonly names = new Map<string, readonly string[]>();
  readonly clusters: ClusterManager;
  private readonly sockets = new Map<object, TestServer>();

  constructor(seed = 1, overrides: { readonly onDemandWaitMsMax?: number } = {}) {
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
