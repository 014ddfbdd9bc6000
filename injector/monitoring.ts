import { createServer, type Server } from 'node:http';
import type { Metrics } from './metrics.ts';

/** Plain HTTP for Prometheus and the kubelet. */
export function createMonitoring(metrics: Metrics, readiness: () => string | undefined): Server {
  return createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
    const send = (status: number, body: string, type = 'text/plain'): void => {
      response.writeHead(status, { 'content-type': type });
      response.end(body);
    };
    switch (request.url?.split('?')[0]) {
      case '/metrics':
        return send(200, metrics.render(), 'text/plain; version=0.0.4; charset=utf-8');
      case '/healthz':
      case '/healthz/live':
        return send(200, 'ok\n');
      case '/readyz':
      case '/healthz/ready': {
        const missing = readiness();
        return missing === undefined ? send(200, 'ok\n') : send(503, `${missing}\n`);
      }
      default:
        return send(404, 'paths: /metrics, /healthz, /readyz\n');
    }
  });
}
