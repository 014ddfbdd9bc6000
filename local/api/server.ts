import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTcpUserTimeout } from '../node/syscalls.ts';
import { Admission } from './admission/webhooks.ts';
import { openPki, type Pki } from './auth/pki.ts';
import { Authorizer } from './auth/rbac.ts';
import { TokenIssuer } from './auth/tokens.ts';
import { bootstrap } from './bootstrap.ts';
import { Collector } from './gc/collector.ts';
import { ContentCleaner } from './gc/content.ts';
import { handle } from './http/handler.ts';
import { watchDefinitions } from './kinds/definitions.ts';
import { Registry } from './kinds/registry.ts';
import { ServiceIps } from './kinds/service-ips.ts';
import { fileLogs, type LogsBackend } from './logs.ts';
import { Counters } from './metrics.ts';
import { type ApiContext, type ApiLimits, defaultLimits } from './rest/context.ts';
import { Store } from './store/store.ts';

/** The embedded Kubernetes API: one process, one SQLite file, TLS listeners. */
export interface EmbeddedApiOptions {
  /** api.db, pki/ and logs/ live here. */
  readonly dataDir: string;
  /** Port 0 takes a free one; further listeners with port 0 share the first one's. */
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly serviceCidrs: readonly string[];
  readonly podCidrs: readonly string[];
  /** Endpoints of the `kubernetes` Service; without a port, the listeners' one. */
  readonly advertise: readonly { readonly ip: string; readonly port?: number }[];
  readonly clusterDomain: string;
  readonly logsBackend?: LogsBackend;
  readonly limits?: Partial<ApiLimits>;
  readonly eventsKeptMax?: number;
  readonly now?: () => number;
}

export interface EmbeddedApi {
  readonly port: number;
  readonly caPem: string;
  /** YAML, client certificate of group system:masters, server https://127.0.0.1:port. */
  readonly adminKubeconfig: string;
  kubeconfigFor(user: string, groups: readonly string[], server: string): string;
  close(): Promise<void>;
}

const eventsKeptDefault = 20_000;

function certificateNames(options: EmbeddedApiOptions, serviceIps: readonly string[]): string[] {
  const service = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${options.clusterDomain}`,
  ];
  const listened = options.listen.map(({ host }) => host).filter((host) => host !== '0.0.0.0' && host !== '::');
  return [
    ...service,
    'localhost',
    '127.0.0.1',
    '::1',
    ...listened,
    ...options.advertise.map(({ ip }) => ip),
    ...serviceIps,
  ];
}

function buildContext(options: EmbeddedApiOptions, store: Store, pki: Pki, serviceIps: ServiceIps): ApiContext {
  const now = options.now ?? Date.now;
  const counters = new Counters();
  const issuer = `https://kubernetes.default.svc.${options.clusterDomain}`;
  const tokens = new TokenIssuer({
    key: pki.tokenKey,
    issuer,
    apiAudiences: [issuer, 'https://kubernetes.default.svc'],
    store,
    now,
  });
  return {
    store,
    registry: new Registry(),
    authorizer: new Authorizer(store),
    tokens,
    admission: new Admission(store, counters),
    serviceIps,
    logs: options.logsBackend ?? fileLogs(options.dataDir),
    counters,
    limits: { ...defaultLimits, ...options.limits },
    now,
  };
}

function newListener(context: ApiContext, pki: Pki): Server {
  const server = createServer(
    {
      key: pki.serverKeyPem,
      cert: pki.serverCertificatePem,
      ca: pki.caPem,
      requestCert: true,
      // Who has no certificate comes with a token, or is anonymous: authentication decides, not the handshake.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      headersTimeout: context.limits.headerTimeoutMs,
      requestTimeout: context.limits.requestTimeoutMs,
      connectionsCheckingInterval: Math.min(5000, context.limits.headerTimeoutMs),
      keepAliveTimeout: 90_000,
      maxHeaderSize: 32 * 1024,
      noDelay: true,
      // A watch may be silent for long: only the kernel can tell that its client has vanished.
      keepAlive: true,
      keepAliveInitialDelay: context.limits.tcpKeepAliveMs,
    },
    (request, response) => void handle(context, request, response),
  );
  server.on('connection', (socket: Socket) => limitUnacknowledged(socket, context.limits.tcpUserTimeoutMs));
  server.on('tlsClientError', () => context.counters.add('apiserver_refused_total', { limit: 'tls' }));
  server.on('clientError', (_error, socket) => {
    context.counters.add('apiserver_refused_total', { limit: 'http' });
    socket.destroy();
  });
  return server;
}

/** What is on its way to a client that has vanished would be sent again for a quarter of an hour. */
function limitUnacknowledged(socket: Socket, timeoutMs: number): void {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd === 'number' && fd >= 0) setTcpUserTimeout(fd, timeoutMs);
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, ipv6Only: host.includes(':') && host !== '::' }, () => {
      server.off('error', reject);
      const address = server.address() as AddressInfo | null;
      resolve(address?.port ?? port);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

export async function startEmbeddedApi(options: EmbeddedApiOptions): Promise<EmbeddedApi> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o755 });
  const now = options.now ?? Date.now;
  const store = new Store({
    path: join(options.dataDir, 'api.db'),
    eventsKeptMax: options.eventsKeptMax ?? eventsKeptDefault,
  });
  const serviceIps = new ServiceIps(options.serviceCidrs, store);
  serviceIps.renumber();
  const pki = openPki({
    directory: join(options.dataDir, 'pki'),
    serverNames: certificateNames(options, serviceIps.firstIps()),
    now,
  });
  const context = buildContext(options, store, pki, serviceIps);
  const stopDefinitions = watchDefinitions(store, context.registry, now);
  const servers: Server[] = [];
  let port = 0;
  for (const { host, port: asked } of options.listen) {
    const server = newListener(context, pki);
    const bound = await listen(server, host, asked === 0 ? port : asked);
    if (port === 0) port = bound;
    servers.push(server);
  }
  const advertise = options.advertise.map((item) => ({ ip: item.ip, port: item.port ?? port }));
  await bootstrap(context, { advertise });
  const collector = new Collector(context);
  const cleaner = new ContentCleaner(context);
  return {
    port,
    caPem: pki.caPem,
    adminKubeconfig: pki.kubeconfigFor('weft-admin', ['system:masters'], `https://127.0.0.1:${port}`),
    kubeconfigFor: (user, groups, server) => pki.kubeconfigFor(user, groups, server),
    close: async () => {
      await Promise.all(servers.map(closeServer));
      collector.close();
      cleaner.close();
      stopDefinitions();
      store.close();
    },
  };
}
