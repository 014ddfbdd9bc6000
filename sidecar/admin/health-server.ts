import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { boundConnections, Shares } from '@weft/policies/kit/shares';
import { type Probes, runProbe } from './probes.ts';

/** The application's own metrics endpoint; from WEFT_SCRAPE. */
export interface ScrapeTarget {
  readonly port: number;
  readonly path: string;
}

interface HealthServerOptions {
  readonly host: string;
  readonly port: number;
  readonly podIp: string;
  readonly probes: Probes;
  readonly scrape: ScrapeTarget | undefined;
  /** Undefined: ready; else the reason why not. */
  readonly notReady: () => string | undefined;
  readonly metrics: () => string | Promise<string>;
  readonly drainWait: () => Promise<string>;
  readonly count: (event: string) => void;
}

const SCRAPE_TIMEOUT_MS = 3_000;
const SCRAPE_BYTES_MAX = 16 * 1_024 * 1_024;
/** Beyond, connections are refused; short timeouts give places back, so that kubelet's probes get through. */
const CONNECTIONS_MAX = 1_024;
/** Anybody reaches this port: one machine must not keep the kubelet out, whose probes decide on the pod's life. */
const OF_ADDRESS_MAX = 128;
/** Under way of each kind: answers with metrics are large, and those about the end of the pod wait for it. */
const OF_KIND_MAX = 64;

type Kind = 'metrics' | 'wait' | 'probe';

const kindOf = (path: string): Kind | undefined => {
  if (path === '/metrics' || path === '/stats/prometheus') return 'metrics';
  if (path === '/drain/wait') return 'wait';
  return path.startsWith('/app-health/') ? 'probe' : undefined;
};

/** Port 15020: what kubelet and Prometheus see of the sidecar. */
export function startHealthServer(options: HealthServerOptions): Promise<Server> {
  const kinds = new Shares<Kind>(OF_KIND_MAX);
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 5_000, connectionsCheckingInterval: 1_000 },
    (request, response) => {
      const kind = kindOf(pathOf(request));
      if (kind !== undefined && !kinds.hold(kind, response)) {
        options.count('health.busy');
        send(response, 503, 'too many of these are under way\n');
        return;
      }
      answer(options, request, response).catch((error: unknown) => {
        if (!response.headersSent) send(response, 500, `${(error as Error).message}\n`);
        else response.destroy();
      });
    },
  );
  boundConnections(server, { all: CONNECTIONS_MAX, ofAddress: OF_ADDRESS_MAX }, () =>
    options.count('health.connections_max'),
  );
  return new Promise((resolve, reject) => {
    // After it listens, out of descriptors most often: the next connection may succeed again.
    server.on('error', reject);
    server.listen({ host: options.host, port: options.port, ipv6Only: false }, () => resolve(server));
  });
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?', 1)[0] ?? '/';

async function answer(options: HealthServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = pathOf(request);
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET\n');
  if (path === '/healthz/ready') {
    const reason = options.notReady();
    return reason === undefined ? send(response, 200, 'ready\n') : send(response, 503, `not ready: ${reason}\n`);
  }
  if (path === '/healthz/live') return send(response, 200, 'live\n');
  if (path === '/drain/wait') return send(response, 200, `${await options.drainWait()}\n`);
  if (path === '/metrics' || path === '/stats/prometheus') {
    const own = await options.metrics();
    const application = options.scrape === undefined ? '' : await scrape(options.scrape, options.podIp);
    return send(response, 200, own + application, 'text/plain; version=0.0.4; charset=utf-8');
  }
  if (path.startsWith('/app-health/')) {
    const probe = options.probes.get(path.slice('/app-health/'.length));
    if (probe === undefined) return send(response, 404, `no probe is known as ${path}\n`);
    const outcome = await runProbe(probe, options.podIp);
    return send(response, outcome.status, outcome.body);
  }
  send(response, 404, 'here are /healthz/ready, /metrics, /drain/wait and /app-health/<container>/<probe>\n');
}

/** The application's metrics follow ours; while it does not answer, ours alone are served, with a line that says so. */
function scrape(target: ScrapeTarget, podIp: string): Promise<string> {
  return new Promise((resolve) => {
    const failed = (reason: string): void =>
      resolve(`# application metrics are missing: ${reason.replaceAll('\n', ' ')}\n`);
    const request = get(
      {
        host: podIp,
        port: target.port,
        path: target.path,
        agent: false,
        signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS),
      },
      (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          return failed(`status ${response.statusCode ?? 0}`);
        }
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > SCRAPE_BYTES_MAX) request.destroy(new Error(`more than ${SCRAPE_BYTES_MAX} bytes`));
          else chunks.push(chunk);
        });
        // Also the application that breaks off: by then the request itself reports nothing any more.
        response.on('error', (error) => failed(error.message));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve(text.endsWith('\n') ? text : `${text}\n`);
        });
      },
    );
    request.on('error', (error) => failed(error.message));
  });
}
