import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { hostPort } from '../net/connection-record.ts';
import { type AdminAnswer, AdminRoutes, type AdminViews } from './routes.ts';

export type { AdminViews } from './routes.ts';

const types = {
  text: 'text/plain; charset=UTF-8',
  json: 'application/json',
  html: 'text/html; charset=UTF-8',
} as const satisfies Record<AdminAnswer['type'], string>;

type AdminPlace = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** What to say of an address that others can reach: whoever opens it sees the configuration and can end the proxy. */
export function exposedAdmin(at: AdminPlace): string | undefined {
  if ('socketPath' in at || at.host === '::1' || at.host.startsWith('127.')) return undefined;
  const address = hostPort(at.host, at.port);
  return `admin listens on ${address}, for everybody who can reach it: a Unix socket (admin.address.pipe) or loopback is safer`;
}

/** Admin as on Envoy, on a Unix socket that only the proxy's user can open, or where it was asked for. */
export function startAdminServer(at: AdminPlace, views: AdminViews): Promise<Server> {
  const routes = new AdminRoutes(views);
  const server = createServer((request, response) => {
    routes
      .answer(request.method ?? 'GET', request.url ?? '/')
      .catch((error: unknown): AdminAnswer => ({ status: 500, type: 'text', body: `${(error as Error).message}\n` }))
      .then(({ status, type, body }) => {
        response.writeHead(status, {
          'content-type': types[type],
          'cache-control': 'no-cache, max-age=0',
          'x-content-type-options': 'nosniff',
        });
        response.end(body);
      });
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
