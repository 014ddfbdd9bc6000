import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { V1Pod } from '@kubernetes/client-node';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import type { Result } from '@weft/policies/kit/result';
import { serverTls } from '@weft/policies/kit/server-tls';
import { type AdmissionRequest, failureResponse, parseReview, podName, reviewResponse } from './admission.ts';
import type { Metrics } from './metrics.ts';
import type { InjectionPlan, NamespaceInfo } from './plan.ts';

/** The admission webhook over TLS: bounded in bytes, time and number of requests. */

/** Above the 1.5 MiB that etcd lets an object have, with the review around it. */
const BODY_BYTES_MAX = 3 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 60_000;
const REQUESTS_MAX = 256;

export interface KeyMaterial {
  readonly cert: string;
  readonly key: string;
}

export interface WebhookPorts {
  readonly plan: (pod: V1Pod, namespace: NamespaceInfo) => InjectionPlan;
  readonly readNamespace: (name: string) => Promise<Result<NamespaceInfo, string>>;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Runs a request inside a span when tracing is on. */
  readonly trace: (
    headers: IncomingMessage['headers'],
    attributes: Readonly<Record<string, string>>,
    run: () => Promise<string>,
  ) => Promise<string>;
}

/** The body as text, or why there is none. */
function readBody(request: IncomingMessage): Promise<string | 'too large'> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) {
        chunks.length = 0;
        request.pause();
        resolve('too large');
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
  });
}

async function review(ports: WebhookPorts, request: AdmissionRequest): Promise<string> {
  const { metrics, log } = ports;
  const where = { namespace: request.namespace, pod: podName(request.pod) };
  try {
    const namespace = await ports.readNamespace(request.namespace);
    if (!namespace.ok) {
      metrics.add('weft_injector_requests_total', { result: 'error', reason: 'namespace' });
      log.error('namespace cannot be read', { ...where, error: namespace.error });
      return failureResponse(
        request.uid,
        `the labels of namespace ${request.namespace} cannot be read: ${namespace.error}`,
      );
    }
    const plan = ports.plan(request.pod, namespace.value);
    const reason = plan.kind === 'patch' ? 'injected' : plan.reason;
    metrics.add('weft_injector_requests_total', { result: plan.kind, reason });
    log.info('admission', { ...where, result: plan.kind, reason });
    return reviewResponse(request.uid, plan);
  } catch (error) {
    metrics.add('weft_injector_panics_total');
    log.error('bug in the injection plan', { ...where, error: error instanceof Error ? error.stack : String(error) });
    return failureResponse(request.uid, `bug in weft-injector, see its log: ${errorText(error)}`);
  }
}

function reply(response: ServerResponse, status: number, body: string): void {
  const type = status === 200 ? 'application/json' : 'text/plain';
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function refuse(ports: WebhookPorts, response: ServerResponse, status: number, cause: string, text: string): void {
  ports.metrics.add('weft_injector_rejected_requests_total', { cause });
  response.setHeader('connection', 'close');
  reply(response, status, `${text}\n`);
}

async function answer(ports: WebhookPorts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?')[0];
  if (path !== '/inject') return refuse(ports, response, 404, 'path', 'only /inject is served here');
  if (request.method !== 'POST') return refuse(ports, response, 405, 'method', 'only POST is served here');
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    return refuse(ports, response, 415, 'content-type', 'content-type must be application/json');
  const declared = Number(request.headers['content-length'] ?? 0);
  const body = declared > BODY_BYTES_MAX ? 'too large' : await readBody(request);
  if (body === 'too large')
    return refuse(ports, response, 413, 'body-size', `the body has more than ${BODY_BYTES_MAX} bytes`);
  const parsed = parseReview(body);
  if (!parsed.ok) return refuse(ports, response, 400, 'body', parsed.error);
  const startMs = performance.now();
  const attributes = { 'k8s.namespace.name': parsed.value.namespace, 'k8s.pod.name': podName(parsed.value.pod) };
  const text = await ports.trace(request.headers, attributes, () => review(ports, parsed.value));
  ports.metrics.observeRequestSeconds((performance.now() - startMs) / 1000);
  reply(response, 200, text);
}

/** Not listening yet; `setSecureContext` on it takes a renewed certificate for new connections. */
export function createWebhook(ports: WebhookPorts, material: KeyMaterial): Server {
  let running = 0;
  const server = createServer(
    {
      ...material,
      ...serverTls,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      if (running >= REQUESTS_MAX) {
        refuse(ports, response, 503, 'overload', 'too many requests at once');
        return;
      }
      running += 1;
      response.on('close', () => {
        running -= 1;
      });
      answer(ports, request, response).catch((error: unknown) => {
        ports.log.warn('request failed', { error: errorText(error) });
        if (!response.headersSent) refuse(ports, response, 400, 'broken', 'the request could not be read');
        else response.destroy();
      });
    },
  );
  server.maxConnections = 4 * REQUESTS_MAX;
  return server;
}
