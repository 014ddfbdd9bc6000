import type { IncomingMessage, ServerResponse } from 'node:http';
import type { User } from '../auth/user.ts';
import { asStrings, type JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { finalizersOf } from '../object.ts';
import type { ApiContext, Call } from '../rest/context.ts';
import { create } from '../rest/create.ts';
import { decode } from '../rest/decode.ts';
import { detailsOf, readDeleteOptions, remove } from '../rest/delete.ts';
import { finalizeNamespace } from '../rest/finalize.ts';
import { list, readSelection } from '../rest/list.ts';
import { patch } from '../rest/patch.ts';
import { bind, evict, requestToken, sendLog } from '../rest/pod-subresources.ts';
import { review } from '../rest/reviews.ts';
import { readScale, writeScale } from '../rest/scale.ts';
import { isStream, refuseStream } from '../rest/streams.ts';
import { update } from '../rest/update.ts';
import { watch } from '../rest/watch.ts';
import { badRequest, methodNotAllowed, notFound, pathNotFound } from '../status.ts';
import { readObject, readOptionalObject } from './body.ts';
import { negotiate } from './negotiate.ts';
import type { RequestInfo, ResourcePath } from './request-info.ts';
import { presenter, sendJson, sendObject, sendPage, setWarnings } from './respond.ts';

/** Requests on resources: from verb and subresource to the layer that does it. */
interface ResourceRequest {
  readonly context: ApiContext;
  readonly info: RequestInfo;
  readonly at: ResourcePath;
  readonly type: ResourceType;
  readonly call: Call;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export function readCall(info: RequestInfo, user: User, request: IncomingMessage): Call {
  const { query } = info;
  const validation = query.get('fieldValidation');
  const agent = (request.headers['user-agent'] ?? '').split('/')[0]?.slice(0, 128) ?? '';
  return {
    user,
    dryRun: isDryRun(query.getAll('dryRun')),
    fieldManager:
      query.get('fieldManager') ??
      (info.method === 'PATCH' && request.headers['content-type']?.includes('apply') === true
        ? ''
        : agent || 'unknown'),
    fieldValidation: validation === 'Strict' || validation === 'Ignore' ? validation : 'Warn',
    force: query.get('force') === 'true',
    warnings: [],
  };
}

export async function serveResource(wanted: ResourceRequest): Promise<void> {
  const { at, type } = wanted;
  if (type.namespaced && at.namespace === '' && at.verb !== 'list' && at.verb !== 'watch') throw pathNotFound();
  if (!type.namespaced && at.namespace !== '' && type.storage !== '/namespaces') throw pathNotFound();
  if (at.subresource !== '') return serveSubresource(wanted);
  const plain = type.verbs.find((verb) => verb === at.verb);
  if (plain === undefined) throw methodNotAllowed();
  switch (plain) {
    case 'get':
      return serveGet(wanted);
    case 'list':
      return serveList(wanted);
    case 'watch':
      return serveWatch(wanted);
    case 'create':
      return serveCreate(wanted);
    case 'update':
    case 'patch':
      return serveWrite(wanted);
    case 'delete':
      return serveDelete(wanted);
    case 'deletecollection':
      return serveDeleteCollection(wanted);
  }
}

function nsOf({ type, at }: ResourceRequest): string {
  return type.namespaced ? at.namespace : '';
}

function serveGet(wanted: ResourceRequest): void {
  const { context, type, at, response, request, info } = wanted;
  const stored = context.store.get(type.storage, nsOf(wanted), at.name);
  if (stored === undefined) throw notFound(type, at.name);
  sendObject(
    response,
    type,
    type.fromStorage(stored.object),
    200,
    negotiate(request.headers.accept, info.query),
    context.now(),
  );
}

function serveList(wanted: ResourceRequest): void {
  const { context, type, info, request, response } = wanted;
  const selection = readSelection(type, nsOf(wanted), info.query);
  const page = list(context, type, selection, info.query);
  sendPage(response, type, page, negotiate(request.headers.accept, info.query), context.now());
}

function serveWatch(wanted: ResourceRequest): void {
  const { context, type, info, request, response, at } = wanted;
  const selection = readSelection(type, nsOf(wanted), info.query, at.name);
  const present = presenter(type, negotiate(request.headers.accept, info.query), context.now);
  watch(context, type, selection, info.query, response, present);
}

async function serveCreate(wanted: ResourceRequest): Promise<void> {
  const { context, type, call, request, response, info } = wanted;
  if (wanted.at.name !== '') throw methodNotAllowed();
  const body = await readObject(request, context.limits.bodyBytesMax);
  const answer =
    type.verbs.length === 1 ? review(context, type, decode(type, body, call), nsOf(wanted), call) : undefined;
  const object = answer ?? (await create(context, type, nsOf(wanted), body, call));
  setWarnings(response, call.warnings);
  sendObject(response, type, object, 201, negotiate(request.headers.accept, info.query), context.now());
}

async function serveWrite(wanted: ResourceRequest): Promise<void> {
  const { context, type, at, call, request, response, info } = wanted;
  const namespace = nsOf(wanted);
  const subresource = at.subresource;
  const as = negotiate(request.headers.accept, info.query);
  if (at.verb === 'patch') {
    const result = await patch(context, { type, namespace, name: at.name, subresource }, request, call);
    setWarnings(response, call.warnings);
    return sendObject(response, type, result.object, result.created ? 201 : 200, as, context.now());
  }
  const body = decode(type, await readObject(request, context.limits.bodyBytesMax), call);
  const object = await update(context, type, namespace, at.name, { subresource, make: () => body }, call);
  setWarnings(response, call.warnings);
  sendObject(response, type, object, 200, as, context.now());
}

async function serveDelete(wanted: ResourceRequest): Promise<void> {
  const { context, type, at, call, request, response, info } = wanted;
  const body = await readOptionalObject(request, context.limits.bodyBytesMax);
  const options = readDeleteOptions(body, info.query);
  const deleted = await remove(context, type, nsOf(wanted), at.name, options, withDryRun(call, body));
  setWarnings(response, call.warnings);
  const waits = !deleted.gone && finalizersOf(deleted.object).length === 0;
  // A pod that stops and a namespace that empties are shown as they are; what is gone is a Status.
  if (waits || type.storage === '/pods')
    return sendObject(
      response,
      type,
      deleted.object,
      200,
      negotiate(request.headers.accept, info.query),
      context.now(),
    );
  sendJson(response, 200, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: detailsOf(type, deleted.object),
  });
}

/** kubectl says it in the query, other clients only in the DeleteOptions of the body. */
function withDryRun(call: Call, body: JsonObject): Call {
  return { ...call, dryRun: isDryRun(asStrings(body['dryRun'])) || call.dryRun };
}

function isDryRun(values: readonly string[]): boolean {
  if (values.some((value) => value !== 'All'))
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(values)}: supported values: "All"`);
  return values.length > 0;
}

async function serveDeleteCollection(wanted: ResourceRequest): Promise<void> {
  const { context, type, call, request, response, info } = wanted;
  const body = await readOptionalObject(request, context.limits.bodyBytesMax);
  const options = readDeleteOptions(body, info.query);
  const asked = withDryRun(call, body);
  const page = list(context, type, readSelection(type, nsOf(wanted), info.query), info.query);
  const objects: JsonObject[] = [];
  for (const object of page.objects) {
    const meta = object['metadata'];
    const [namespace, name] = namesOf(meta);
    try {
      objects.push((await remove(context, type, namespace, name, options, asked)).object);
    } catch (error) {
      if (context.store.get(type.storage, namespace, name) !== undefined) throw error;
    }
  }
  sendPage(response, type, { ...page, objects }, negotiate(request.headers.accept, info.query), context.now());
}

function namesOf(meta: JsonObject['metadata']): [string, string] {
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) return ['', ''];
  return [String(meta['namespace'] ?? ''), String(meta['name'] ?? '')];
}

async function serveSubresource(wanted: ResourceRequest): Promise<void> {
  const { context, type, at, call, request, response, info } = wanted;
  const namespace = nsOf(wanted);
  const bytesMax = context.limits.bodyBytesMax;
  if (at.subresource === 'status' && type.hasStatus) {
    if (at.verb === 'get') return serveGet(wanted);
    if (at.verb === 'update' || at.verb === 'patch') return serveWrite(wanted);
    throw methodNotAllowed();
  }
  if (at.subresource === 'scale' && type.scale !== undefined) {
    const target = { type, paths: type.scale, namespace, name: at.name };
    if (at.verb === 'get') return sendJson(response, 200, readScale(context, target));
    if (at.verb !== 'update' && at.verb !== 'patch') throw methodNotAllowed();
    return sendJson(response, 200, await writeScale(context, target, at.verb, request, call));
  }
  if (isStream(type.plural, at.subresource)) refuseStream(context, namespace, at.name, at.subresource, info.query);
  const known = type.subresources.find((item) => item.name === at.subresource);
  if (known === undefined) throw pathNotFound();
  if (!known.verbs.includes(at.verb)) throw methodNotAllowed();
  switch (`${type.plural}/${at.subresource}`) {
    case 'pods/log':
      return sendLog(context, type, namespace, at.name, info.query, response);
    case 'pods/binding':
      return sendJson(
        response,
        201,
        await bind(context, type, namespace, at.name, await readObject(request, bytesMax), call),
      );
    case 'pods/eviction':
      return sendJson(
        response,
        201,
        await evict(context, type, namespace, at.name, await readObject(request, bytesMax), call),
      );
    case 'serviceaccounts/token':
      return sendJson(
        response,
        201,
        requestToken(context, namespace, at.name, await readObject(request, bytesMax), call),
      );
    case 'namespaces/finalize':
      return sendJson(response, 200, finalizeNamespace(context, type, at.name, await readObject(request, bytesMax)));
    default:
      throw pathNotFound();
  }
}
