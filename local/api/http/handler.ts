import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorText } from '@weft/policies/kit/error-text';
import { authenticate, impersonated } from '../auth/authenticate.ts';
import type { Attributes } from '../auth/rbac.ts';
import type { User } from '../auth/user.ts';
import { aggregated, apiGroup, apiGroupList, apiVersions, resourceList, versionInfo } from '../discovery/discovery.ts';
import { openApiV2 } from '../discovery/openapi-v2.ts';
import { openApiV3, openApiV3Index } from '../discovery/openapi-v3.ts';
import type { ApiContext } from '../rest/context.ts';
import { badRequest, forbidden, internalError, pathNotFound, StatusError, unauthorized } from '../status.ts';
import { parseFieldSelector } from '../store/selectors.ts';
import { StoreWriteError } from '../store/store.ts';
import { negotiate } from './negotiate.ts';
import { isProxy, serveProxy } from './proxy.ts';
import { type RequestInfo, type ResourcePath, readRequest } from './request-info.ts';
import { readCall, serveResource } from './resources.ts';
import { sendError, sendJson, sendText } from './respond.ts';

/** Every request comes through here: who asks, may they, what is it. The one place where an error becomes an answer. */
export async function handle(context: ApiContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const info = readRequest(request.method ?? 'GET', request.url ?? '/');
  try {
    if (info === undefined) throw badRequest('the request target is no path');
    await serve(context, info, request, response);
  } catch (error) {
    const status = statusOf(context, error, `${request.method} ${info?.path ?? ''}`);
    if (status.code === 413) context.counters.add('apiserver_refused_total', { limit: 'body' });
    if (response.headersSent) response.destroy();
    else sendError(response, status);
  } finally {
    const at = info?.resource;
    const labels = {
      verb: at?.verb ?? (request.method ?? '').toLowerCase(),
      // Only resources that exist: labels that anybody could invent would grow without end.
      resource: at !== undefined && context.registry.find(at.group, at.version, at.plural) ? at.plural : '',
      code: String(response.statusCode),
    };
    context.counters.add('apiserver_request_total', labels);
  }
}

function statusOf(context: ApiContext, error: unknown, request: string): StatusError {
  if (error instanceof StatusError) return error;
  const message = errorText(error);
  if (error instanceof StoreWriteError) {
    context.counters.add('apiserver_storage_write_errors_total');
    console.error(`api: ${request}: ${message}`);
  } else console.error(`api: ${request}: ${error instanceof Error ? (error.stack ?? message) : message}`);
  return internalError(message);
}

/** What may be asked by nobody in particular. */
const open = new Set(['/healthz', '/livez', '/readyz', '/version']);

async function serve(
  context: ApiContext,
  info: RequestInfo,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = info.path.length > 1 ? info.path.replace(/\/$/, '') : info.path;
  if (info.method === 'GET' && (open.has(path) || /^\/(healthz|livez|readyz)\//.test(path)))
    return servePublic(path, response);
  const caller = authenticate(request, context.tokens);
  const user = actAs(context, caller, request);
  const attributes = attributesOf(info, path);
  if (user.name === 'system:anonymous') throw unauthorized();
  const decision = context.authorizer.authorize(user, attributes);
  if (!decision.allowed) throw refusal(user, attributes);
  if (info.resource === undefined) return serveDocument(context, path, info, request, response);
  const type = context.registry.find(info.resource.group, info.resource.version, info.resource.plural);
  if (type === undefined) throw pathNotFound();
  if (isProxy(info.resource)) return serveProxy(context, info.resource, request, response);
  if (info.resource.tail.length > 0) throw pathNotFound();
  const call = readCall(info, user, request);
  return serveResource({ context, info, at: info.resource, type, call, request, response });
}

function servePublic(path: string, response: ServerResponse): void {
  if (path === '/version') sendJson(response, 200, versionInfo);
  else sendText(response, 200, 'ok', 'text/plain; charset=utf-8');
}

function actAs(context: ApiContext, caller: User, request: IncomingMessage): User {
  const wanted = impersonated(request);
  if (wanted === undefined) return caller;
  const may = (resource: string, name: string, namespace = ''): void => {
    const attributes: Attributes = {
      verb: 'impersonate',
      group: '',
      resource,
      subresource: '',
      name,
      namespace,
      path: '',
    };
    if (!context.authorizer.authorize(caller, attributes).allowed) throw refusal(caller, attributes);
  };
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(wanted.name);
  if (account === null) may('users', wanted.name);
  else may('serviceaccounts', account[2] ?? '', account[1] ?? '');
  if (request.headers['impersonate-group'] !== undefined) {
    for (const group of wanted.groups) if (group !== 'system:authenticated') may('groups', group);
  }
  return wanted;
}

function attributesOf(info: RequestInfo, path: string): Attributes {
  const at: ResourcePath | undefined = info.resource;
  if (at === undefined) {
    return { verb: info.method.toLowerCase(), group: '', resource: '', subresource: '', name: '', namespace: '', path };
  }
  const { verb, group, plural, subresource, name, namespace } = at;
  return { verb, group, resource: plural, subresource, name: name || selectedName(verb, info.query), namespace, path };
}

/** A list or watch that selects one name asks for that name: `resourceNames` of a role are for it as well. */
function selectedName(verb: string, query: URLSearchParams): string {
  if (verb !== 'list' && verb !== 'watch' && verb !== 'deletecollection') return '';
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  return fields.find((field) => field.path === 'metadata.name' && field.equals)?.value ?? '';
}

function refusal(user: User, wanted: Attributes): StatusError {
  if (wanted.resource === '') {
    return new StatusError(
      403,
      'Forbidden',
      `forbidden: User "${user.name}" cannot ${wanted.verb} path "${wanted.path}"`,
      {},
    );
  }
  const resource = wanted.subresource === '' ? wanted.resource : `${wanted.resource}/${wanted.subresource}`;
  const where =
    wanted.namespace === '' || wanted.resource === 'namespaces'
      ? 'at the cluster scope'
      : `in the namespace "${wanted.namespace}"`;
  const why = `User "${user.name}" cannot ${wanted.verb} resource "${resource}" in API group "${wanted.group}" ${where}`;
  return forbidden({ group: wanted.group, plural: wanted.resource }, wanted.name, why);
}

function serveDocument(
  context: ApiContext,
  path: string,
  info: RequestInfo,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (info.method !== 'GET' && info.method !== 'HEAD') throw pathNotFound();
  const { registry, tokens } = context;
  if (path === '/api' || path === '/apis') {
    serveRoot(context, path, info, request, response);
    return;
  }
  if (path === '/metrics') {
    serveMetrics(context, response);
    return;
  }
  if (path === '/openid/v1/jwks') {
    sendJson(response, 200, tokens.jwks());
    return;
  }
  if (path === '/.well-known/openid-configuration') {
    sendJson(response, 200, tokens.openIdConfiguration());
    return;
  }
  if (path === '/openapi/v2') {
    openApiV2(request.headers.accept, response);
    return;
  }
  if (path === '/openapi/v3') {
    sendJson(response, 200, openApiV3Index(registry));
    return;
  }
  const [root, group = '', version] = path.slice(1).split('/');
  if (root === 'openapi') {
    serveOpenApiV3(context, path, response);
    return;
  }
  if (root === 'api' && version === undefined) {
    sendFound(response, resourceList(registry, '', group));
    return;
  }
  if (root === 'apis') {
    sendFound(
      response,
      version === undefined ? apiGroupWithKind(context, group) : resourceList(registry, group, version),
    );
    return;
  }
  if (path === '/') {
    sendJson(response, 200, {
      paths: ['/api', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v2', '/openapi/v3', '/readyz', '/version'],
    });
    return;
  }
  throw pathNotFound();
}

function apiGroupWithKind(context: ApiContext, group: string): ReturnType<typeof apiGroup> {
  const found = apiGroup(context.registry, group);
  return found === undefined ? undefined : { kind: 'APIGroup', apiVersion: 'v1', ...found };
}

function sendFound(response: ServerResponse, body: ReturnType<typeof apiGroup>): void {
  if (body === undefined) throw pathNotFound();
  sendJson(response, 200, body);
}

function serveRoot(
  context: ApiContext,
  path: string,
  info: RequestInfo,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const isCore = path === '/api';
  if (negotiate(request.headers.accept, info.query).form.kind === 'discovery') {
    const body = JSON.stringify(aggregated(context.registry, isCore));
    response.setHeader('vary', 'Accept');
    sendText(response, 200, body, 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    return;
  }
  sendJson(response, 200, isCore ? apiVersions(request.headers.host ?? '') : apiGroupList(context.registry));
}

function serveMetrics(context: ApiContext, response: ServerResponse): void {
  context.counters.set('apiserver_storage_revision', context.store.revision);
  for (const resource of context.store.resources())
    context.counters.set('apiserver_storage_objects', context.store.count(resource), { resource });
  sendText(response, 200, context.counters.text(), 'text/plain; version=0.0.4; charset=utf-8');
}

function serveOpenApiV3(context: ApiContext, path: string, response: ServerResponse): void {
  const parts = path.slice('/openapi/v3/'.length).split('/');
  const [group, version] = parts[0] === 'api' ? ['', parts[1] ?? ''] : [parts[1] ?? '', parts[2] ?? ''];
  sendFound(response, openApiV3(context.registry, group, version));
}
