/** Plain HTTP on 15014: for Prometheus, the kubelet and `weft status`. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { boundConnections } from '@weft/policies/kit/shares';
import type { ListenAddress } from '../config.ts';
import type { OperatorCheck } from './operators.ts';

interface MonitoringRoutes {
  readonly metrics: () => string;
  /** What is still missing; undefined when ready. */
  readonly missing: () => string | undefined;
  readonly sync: () => unknown;
  /** Who asked for what since a time, of one namespace or all. */
  readonly flows: (sinceUnixMs: number, namespace: string | undefined) => unknown;
  /** Who may see who is connected, and who called whom. */
  readonly isOperator: OperatorCheck;
}

export interface MonitoringServer {
  readonly port: number;
  stop(): Promise<void>;
}

const timeoutMs = 5_000;
/** Anybody reaches it, and the kubelet has to. */
const connectionsMax = { all: 512, ofAddress: 64 };

export async function startMonitoring(address: ListenAddress, routes: MonitoringRoutes): Promise<MonitoringServer> {
  const server = createServer({ requestTimeout: timeoutMs, headersTimeout: timeoutMs }, (request, response) => {
    const send = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type });
      response.end(body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'GET only\n');
    switch (request.url?.split('?')[0]) {
      case '/metrics':
        return send(200, routes.metrics(), 'text/plain; version=0.0.4; charset=utf-8');
      case '/healthz':
      case '/healthz/live':
        return send(200, 'ok\n');
      case '/readyz':
      case '/healthz/ready': {
        const missing = routes.missing();
        return missing === undefined ? send(200, 'ok\n') : send(503, `${missing}\n`);
      }
      case '/debug/sync':
      case '/debug/flows':
        routes.isOperator(request).then(
          (isOperator) =>
            isOperator
              ? send(200, `${JSON.stringify(debugAnswer(routes, request))}\n`, 'application/json')
              : send(403, 'for operators: "weft status" and "weft authz diff" bring a token\n'),
          () => send(503, 'the token could not be looked at\n'),
        );
        return;
      default:
        return send(404, 'paths: /metrics, /healthz, /readyz, /debug/sync, /debug/flows\n');
    }
  });
  boundConnections(server, connectionsMax, () => undefined);
  const port = await listen(server, address);
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function debugAnswer({ sync, flows }: MonitoringRoutes, { url = '' }: IncomingMessage): unknown {
  const [path, query] = url.split('?');
  if (path === '/debug/sync') return sync();
  const asked = new URLSearchParams(query);
  const since = Date.parse(asked.get('since') ?? '');
  return flows(Number.isNaN(since) ? 0 : since, asked.get('namespace') ?? undefined);
}

function listen(server: Server, address: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port);
    });
  });
}
