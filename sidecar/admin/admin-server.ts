import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';

/** What the admin socket shows; each value is made when it is asked for, some of them by other threads. */
export interface AdminViews {
  readonly configDump: () => unknown;
  readonly stats: () => string | Promise<string>;
  readonly certs: () => unknown;
  readonly clusters: () => unknown;
  readonly listeners: () => unknown;
  readonly notReady: () => string | undefined;
  readonly quit: () => void;
}

/** Admin as on Envoy, on a Unix socket that only the proxy's user can open, or on loopback when asked for. */
export function startAdminServer(
  at: { readonly socketPath: string } | { readonly host: string; readonly port: number },
  views: AdminViews,
): Promise<Server> {
  const json = (view: () => unknown) => async (): Promise<string> =>
    `${JSON.stringify(await view(), presentable, 2)}\n`;
  const pages: Readonly<Record<string, () => string | Promise<string>>> = {
    '/config_dump': json(views.configDump),
    '/certs': json(views.certs),
    '/clusters': json(views.clusters),
    '/listeners': json(views.listeners),
    '/stats': views.stats,
    '/stats/prometheus': views.stats,
  };
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const page = pages[path];
    if (path === '/quitquitquit') {
      if (request.method !== 'POST') return void response.writeHead(405).end('POST /quitquitquit ends the proxy\n');
      response.end('OK\n');
      return views.quit();
    }
    if (path === '/ready') {
      const reason = views.notReady();
      return void response
        .writeHead(reason === undefined ? 200 : 503)
        .end(reason === undefined ? 'LIVE\n' : `${reason}\n`);
    }
    if (page === undefined) return void response.writeHead(404).end(`${Object.keys(pages).join('\n')}\n/ready\n`);
    void Promise.resolve()
      .then(page)
      .then(
        (text) => response.end(text),
        (error: unknown) => response.writeHead(500).end(`${(error as Error).message}\n`),
      );
  });
  if ('socketPath' in at) rmSync(at.socketPath, { force: true });
  return new Promise((resolve, reject) => {
    // After it listens, out of descriptors most often: the next connection may succeed again.
    server.on('error', reject);
    if (!('socketPath' in at)) {
      server.listen(at, () => resolve(server));
      return;
    }
    server.listen({ path: at.socketPath }, () => {
      chmodSync(at.socketPath, 0o600);
      resolve(server);
    });
  });
}

const presentable = (key: string, value: unknown): unknown => {
  // Inline in a bootstrap, or a path; neither is for showing.
  if (key === 'privateKey') return '[redacted]';
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
};
