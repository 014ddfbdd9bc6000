import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AdminAnswer, AdminRoutes, type AdminViews } from './routes.ts';

export type { AdminViews } from './routes.ts';

const types = {
  text: 'text/plain; charset=UTF-8',
  json: 'application/json',
  html: 'text/html; charset=UTF-8',
} as const satisfies Record<AdminAnswer['type'], string>;

/** Admin as on Envoy, on a Unix socket that only the proxy's user can open, or on loopback when asked for. */
export function startAdminServer(
  at: { readonly socketPath: string } | { readonly host: string; readonly port: number },
  views: AdminViews,
): Promise<Server> {
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
