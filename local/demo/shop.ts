/**
 * The demo shop: four small HTTP services in one program, chosen by SERVICE.
 *
 *   web -> cart -> catalog -> pricing
 *
 * Each calls the next by its Service name and passes the trace context on, as an application has to.
 * FAIL_PERCENT makes that share of the requests answer 500; DELAY_MS slows every answer down.
 */
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';

const services = ['web', 'cart', 'catalog', 'pricing'] as const;
type ServiceName = (typeof services)[number];

const PORT = 8080;
const UPSTREAM_TIMEOUT_MS = 5_000;
/** How long a stopping service still answers, while clients move to other pods. */
const LINGER_MS = 3_000;
/** W3C and B3 headers and the request id: what a span chain needs (W3C Trace Context section 3). */
const CONTEXT_HEADERS = ['traceparent', 'tracestate', 'baggage', 'b3', 'x-request-id'] as const;

interface Config {
  readonly service: ServiceName;
  readonly version: string;
  readonly namespace: string;
  readonly failPercent: number;
  readonly delayMs: number;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

function readConfig(env: NodeJS.ProcessEnv): Config {
  const service = services.find((name) => name === env['SERVICE']);
  if (service === undefined)
    throw new Error(`SERVICE is "${env['SERVICE'] ?? ''}", must be one of ${services.join(', ')}`);
  return {
    service,
    version: env['VERSION'] ?? 'v1',
    namespace: env['POD_NAMESPACE'] ?? 'shop',
    failPercent: Number(env['FAIL_PERCENT'] ?? 0),
    delayMs: Number(env['DELAY_MS'] ?? 0),
  };
}

const config = readConfig(process.env);
let closing = false;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** Calls another service of the shop; a failure there is a failure here. */
function call(service: ServiceName, path: string, incoming: IncomingMessage): Promise<Answer> {
  const headers: Record<string, string> = {};
  for (const name of CONTEXT_HEADERS) {
    const value = incoming.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  return new Promise((resolve) => {
    const failed = (reason: string): void => resolve({ status: 502, body: { error: `${service}: ${reason}` } });
    const request = get(
      { host: `${service}.${config.namespace}.svc`, port: 80, path, agent, headers, timeout: UPSTREAM_TIMEOUT_MS },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', (error) => failed(error.message));
        response.on('end', () => {
          if (response.statusCode !== 200) return failed(`status ${response.statusCode}: ${text.slice(0, 200).trim()}`);
          try {
            resolve({ status: 200, body: JSON.parse(text) });
          } catch {
            failed('answer is not JSON');
          }
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${UPSTREAM_TIMEOUT_MS} ms`)));
    request.on('error', (error) => failed(error.message));
  });
}

async function answer(request: IncomingMessage): Promise<Answer> {
  const me = { service: config.service, version: config.version };
  if (Math.random() * 100 < config.failPercent)
    return { status: 500, body: { ...me, error: 'failed on purpose (FAIL_PERCENT)' } };
  switch (config.service) {
    case 'web':
      return wrap(me, 'cart', await call('cart', '/cart/42', request));
    case 'cart':
      return wrap(me, 'catalog', await call('catalog', '/items/7', request));
    case 'catalog':
      return wrap(me, 'pricing', await call('pricing', '/price/7', request));
    case 'pricing':
      return { status: 200, body: { ...me, item: 7, cents: 1999 } };
  }
}

const wrap = (me: object, name: string, upstream: Answer): Answer => ({
  status: upstream.status,
  body: { ...me, [name]: upstream.body },
});

function send(response: ServerResponse, { status, body }: Answer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'X-Shop-Version': `${config.service}-${config.version}`,
    ...(closing ? { Connection: 'close' } : {}),
  });
  response.end(text);
}

const server = createServer((request, response) => {
  if (request.url === '/healthz') return send(response, { status: 200, body: 'ok' });
  const respond = (): void => {
    answer(request).then(
      (result) => send(response, result),
      (error: unknown) => send(response, { status: 500, body: { error: String(error) } }),
    );
  };
  if (config.delayMs > 0) setTimeout(respond, config.delayMs);
  else respond();
});
server.keepAliveTimeout = 65_000;
server.listen({ host: '::', port: PORT }, () =>
  console.log(`${config.service} ${config.version} listens on port ${PORT}`),
);

process.on('SIGTERM', () => {
  // Clients that hold a connection learn with their next answer that it ends, instead of losing a request to it.
  closing = true;
  setTimeout(() => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  }, LINGER_MS);
});
