import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { errorText } from '@weft/policies/kit/error-text';
import type { ApiContext } from '../rest/context.ts';
import { type ProxyTarget, podTarget, serviceTarget } from '../rest/proxy-target.ts';
import { methodNotAllowed, pathNotFound, StatusError, tooManyRequests } from '../status.ts';
import type { ResourcePath } from './request-info.ts';
import { sendText } from './respond.ts';

/** pods/proxy and services/proxy: one HTTP request handed on to a pod, streamed both ways, so that memory stays small whatever the bodies. */
const proxied: Readonly<Record<string, (context: ApiContext, namespace: string, name: string) => ProxyTarget>> = {
  pods: podTarget,
  services: serviceTarget,
};

export function isProxy(at: ResourcePath): boolean {
  return at.group === '' && at.subresource === 'proxy' && proxied[at.plural] !== undefined && at.name !== '';
}

/** RFC 9110 section 7.6.1; what authenticated the client here is not the pod's to see. */
const hopByHop = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade', 'expect'],
]);
const isCredential = (name: string): boolean =>
  name === 'authorization' || name.startsWith('impersonate-') || name.startsWith('x-remote-');

function forwarded(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const listed = new Set((headers.connection ?? '').split(',').map((item) => item.trim().toLowerCase()));
  const out: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hopByHop.has(name) && !listed.has(name)) out[name] = value;
  }
  return out;
}

function requestHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  const headers = forwarded(request.headers);
  for (const name of Object.keys(headers)) if (isCredential(name)) delete headers[name];
  // Without it a method that seldom has a body would send a chunked one unframed.
  if (request.headers['transfer-encoding'] !== undefined) headers['transfer-encoding'] = 'chunked';
  headers['x-forwarded-for'] = [request.headers['x-forwarded-for'], request.socket.remoteAddress]
    .filter((item) => item !== undefined)
    .join(', ');
  headers['x-forwarded-host'] = request.headers.host;
  headers['x-forwarded-proto'] = 'https';
  headers['x-forwarded-uri'] = request.url;
  return headers;
}

interface ProxyPath {
  /** What stands before the pod's own path. */
  readonly prefix: string;
  readonly path: string;
  readonly search: string;
}

function splitPath(target: string): ProxyPath {
  const url = new URL(`https://api.invalid${target.replace(/^\/+/, '/')}`);
  const match = /^(\/+api\/+v1\/+namespaces\/+[^/]+\/+(?:pods|services)\/+[^/]+\/+proxy)(\/.*)?$/.exec(url.pathname);
  if (match?.[1] === undefined) throw pathNotFound();
  return { prefix: match[1], path: match[2] ?? '', search: url.search };
}

/** A redirect within the pod stays within the proxy. */
function relocated(location: string, target: ProxyTarget, prefix: string, host: string | undefined): string {
  const origin = `${target.scheme}://${authority(target)}`;
  let url: URL;
  try {
    url = new URL(location, origin);
  } catch {
    return location;
  }
  const isOwn = url.origin === new URL(origin).origin || (location.includes('//') && url.host === host);
  const isRelative = !/^([a-z][a-z0-9+.-]*:|\/)/i.test(location);
  return !isOwn || isRelative ? location : `${prefix}${url.pathname}${url.search}${url.hash}`;
}

const authority = ({ ip, port }: ProxyTarget): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`;

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const open = new WeakMap<ApiContext, { count: number }>();

export async function serveProxy(
  context: ApiContext,
  at: ResourcePath,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const resolve = proxied[at.plural];
  if (resolve === undefined) throw pathNotFound();
  if (!methods.has(request.method ?? '')) throw methodNotAllowed();
  if (request.headers.upgrade !== undefined) {
    const message = `the proxy of ${at.plural} does not carry upgraded connections (${request.headers.upgrade}); connect to the pod's address instead`;
    throw new StatusError(501, 'NotImplemented', message);
  }
  const where = splitPath(request.url ?? '');
  const target = resolve(context, at.namespace, at.name);
  if (where.path === '') {
    response.setHeader('location', `${where.prefix}/${where.search}`);
    sendText(response, 301, '', 'text/plain; charset=utf-8');
    return;
  }
  const gauge = open.get(context) ?? { count: 0 };
  open.set(context, gauge);
  if (gauge.count >= context.limits.proxiesMax) {
    context.counters.add('apiserver_refused_total', { limit: 'proxies' });
    throw tooManyRequests('too many requests are being proxied to pods');
  }
  gauge.count++;
  try {
    await forward(context, target, where, request, response);
  } finally {
    gauge.count--;
  }
}

async function forward(
  context: ApiContext,
  target: ProxyTarget,
  where: ProxyPath,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const idleMs = context.limits.proxyIdleMsMax;
  const options: RequestOptions = {
    host: target.ip,
    port: target.port,
    method: request.method,
    path: `${where.path}${where.search}`,
    headers: requestHeaders(request),
    agent: false,
  };
  // As on Kubernetes, the pod's certificate is not checked: there is no authority to check it against.
  const outgoing =
    target.scheme === 'https'
      ? httpsRequest({ ...options, rejectUnauthorized: false, servername: '' })
      : httpRequest(options);
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('error', reject);
  });
  const connecting = setTimeout(
    () => outgoing.destroy(new Error(`no connection within ${context.limits.proxyConnectMsMax} ms`)),
    context.limits.proxyConnectMsMax,
  );
  outgoing.on('socket', (socket) =>
    socket.once(target.scheme === 'https' ? 'secureConnect' : 'connect', () => clearTimeout(connecting)),
  );
  outgoing.setTimeout(idleMs, () => {
    context.counters.add('apiserver_refused_total', { limit: 'proxy-idle' });
    outgoing.destroy(new Error(`nothing was sent or received for ${idleMs} ms`));
  });
  const left = (): void => void outgoing.destroy();
  response.on('close', left);
  // A pod may answer before it has read the whole body: a failure to send the rest is no failure then.
  pipeline(request, outgoing).catch(() => undefined);
  try {
    const answer = await answered;
    const headers = forwarded(answer.headers);
    if (typeof headers['location'] === 'string')
      headers['location'] = relocated(headers['location'], target, where.prefix, request.headers.host);
    response.writeHead(answer.statusCode ?? 502, headers);
    await pipeline(answer, response);
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const why = errorText(error);
    throw new StatusError(503, 'ServiceUnavailable', `error trying to reach service: ${authority(target)}: ${why}`);
  } finally {
    clearTimeout(connecting);
    response.off('close', left);
    outgoing.destroy();
  }
}
