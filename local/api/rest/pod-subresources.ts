import type { ServerResponse } from 'node:http';
import { nodeOf } from '../admission/node-restriction.ts';
import { asNumber, asObject, asObjects, asString, asStrings, at, clone, ensure, type JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { metaOf, nameOf, rfc3339, uidOf } from '../object.ts';
import { badRequest, conflict, forbidden, notFound, StatusError } from '../status.ts';
import type { ApiContext, Call } from './context.ts';
import { readDeleteOptions, remove } from './delete.ts';
import { checkEviction } from './disruption.ts';
import { update } from './update.ts';

/** pods/log, pods/binding, pods/eviction and serviceaccounts/token. */
const success: JsonObject = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

export function sendLog(
  context: ApiContext,
  type: ResourceType,
  namespace: string,
  name: string,
  query: URLSearchParams,
  response: ServerResponse,
): void {
  const stored = context.store.get(type.storage, namespace, name);
  if (stored === undefined) throw notFound(type, name);
  const pod = stored.object;
  const containers = ['containers', 'initContainers'].flatMap((list) =>
    asObjects(at(pod, 'spec', list)).map((c) => asString(c['name'])),
  );
  const asked = query.get('container') ?? '';
  const regular = asObjects(at(pod, 'spec', 'containers')).map((c) => asString(c['name']));
  if (asked === '' && regular.length > 1) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${containers.join(' ')}]`);
  }
  const container = asked === '' ? (regular[0] ?? '') : asked;
  if (!containers.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`);
  const number = (key: string): number | undefined => (query.get(key) === null ? undefined : Number(query.get(key)));
  const uid = uidOf(pod);
  const answer = context.logs.open({
    namespace,
    pod: name,
    podUid: uid,
    container,
    follow: query.get('follow') === 'true',
    previous: query.get('previous') === 'true',
    timestamps: query.get('timestamps') === 'true',
    tailLines: number('tailLines'),
    sinceSeconds: number('sinceSeconds'),
    sinceTime: query.get('sinceTime') ?? undefined,
    limitBytes: number('limitBytes'),
    isOver: () => isOver(context, namespace, name, uid, container),
  });
  if (!answer.ok) throw badRequest(logProblem(pod, container, answer.message));
  response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
  answer.stream.on('error', () => response.destroy());
  response.on('close', () => answer.stream.destroy());
  answer.stream.pipe(response);
}

function statusOf(pod: JsonObject, container: string): JsonObject | undefined {
  const statuses = ['containerStatuses', 'initContainerStatuses'].flatMap((list) => asObjects(at(pod, 'status', list)));
  return statuses.find((status) => status['name'] === container);
}

function logProblem(pod: JsonObject, container: string, otherwise: string): string {
  const waiting = asString(at(statusOf(pod, container), 'state', 'waiting', 'reason')) || 'ContainerCreating';
  const isWaiting =
    at(statusOf(pod, container), 'state', 'running') === undefined &&
    at(statusOf(pod, container), 'state', 'terminated') === undefined;
  return isWaiting ? `container "${container}" in pod "${nameOf(pod)}" is waiting to start: ${waiting}` : otherwise;
}

function isOver(context: ApiContext, namespace: string, name: string, uid: string, container: string): boolean {
  const pod = context.store.get('/pods', namespace, name)?.object;
  if (pod === undefined || uidOf(pod) !== uid) return true;
  return at(statusOf(pod, container), 'state', 'terminated') !== undefined;
}

/** The scheduler's write: a pod gets its node once. */
export async function bind(
  context: ApiContext,
  type: ResourceType,
  namespace: string,
  name: string,
  body: JsonObject,
  call: Call,
): Promise<JsonObject> {
  const node = asString(at(body, 'target', 'name'));
  if (node === '') throw badRequest('target.name: Required value');
  const change = {
    subresource: '',
    make: (pod: JsonObject): JsonObject => {
      const spec = ensure(pod, 'spec');
      if (asString(spec['nodeName']) !== '')
        throw conflict(
          { group: '', plural: 'pods/binding' },
          name,
          `pod ${name} is already assigned to node "${spec['nodeName']}"`,
        );
      if (metaOf(pod)['deletionTimestamp'] !== undefined)
        throw conflict(
          { group: '', plural: 'pods/binding' },
          name,
          `pod ${name} is being deleted, cannot be assigned to a host`,
        );
      spec['nodeName'] = node;
      Object.assign(ensure(pod, 'metadata', 'annotations'), asObject(at(body, 'metadata', 'annotations')) ?? {});
      if (Object.keys(ensure(pod, 'metadata', 'annotations')).length === 0)
        delete ensure(pod, 'metadata')['annotations'];
      return pod;
    },
  };
  await update(context, type, namespace, name, change, call);
  const status = {
    subresource: 'status',
    make: (pod: JsonObject): JsonObject => {
      const conditions = asObjects(at(pod, 'status', 'conditions')).filter((item) => item['type'] !== 'PodScheduled');
      const scheduled = {
        type: 'PodScheduled',
        status: 'True',
        lastProbeTime: null,
        lastTransitionTime: rfc3339(context.now()),
      };
      ensure(pod, 'status')['conditions'] = [...conditions, scheduled];
      return pod;
    },
  };
  await update(context, type, namespace, name, status, call);
  return clone(success);
}

export async function evict(
  context: ApiContext,
  type: ResourceType,
  namespace: string,
  name: string,
  body: JsonObject,
  call: Call,
): Promise<JsonObject> {
  const stored = context.store.get(type.storage, namespace, name);
  if (stored === undefined) throw notFound(type, name);
  checkEviction(context, namespace, stored.object);
  const options = asObject(body['deleteOptions']) ?? {};
  const asked = { ...call, dryRun: call.dryRun || asStrings(options['dryRun']).includes('All') };
  await remove(context, type, namespace, name, readDeleteOptions(options, new URLSearchParams()), asked);
  return clone(success);
}

const expirationMinSeconds = 600;
const expirationDefaultSeconds = 3600;
const expirationMaxSeconds = 24 * 3600;

export function requestToken(
  context: ApiContext,
  namespace: string,
  name: string,
  body: JsonObject,
  call: Call,
): JsonObject {
  const account = context.store.get('/serviceaccounts', namespace, name);
  if (account === undefined) throw notFound({ group: '', plural: 'serviceaccounts' }, name);
  const spec = asObject(body['spec']) ?? {};
  const asked = asNumber(spec['expirationSeconds']) ?? expirationDefaultSeconds;
  if (asked < expirationMinSeconds) {
    throw new StatusError(
      422,
      'Invalid',
      `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: ${asked}: may not specify a duration less than 10 minutes`,
      {},
    );
  }
  const seconds = Math.min(asked, expirationMaxSeconds);
  const pod = boundPod(context, namespace, name, asObject(spec['boundObjectRef']));
  const node = nodeOf(call.user);
  if (node !== undefined && pod?.node !== node) {
    const why = `node "${node}" can only request tokens bound to a pod on itself`;
    throw forbidden({ group: '', plural: 'serviceaccounts' }, name, why);
  }
  const audiences = asStrings(spec['audiences']);
  const issued = context.tokens.issue({
    namespace,
    serviceAccount: name,
    serviceAccountUid: uidOf(account.object),
    audiences,
    expirationSeconds: seconds,
    ...(pod === undefined ? {} : { pod }),
  });
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: rfc3339(context.now()) },
    spec: {
      ...spec,
      audiences: audiences.length > 0 ? audiences : [...context.tokens.apiAudiences],
      expirationSeconds: seconds,
    },
    status: { token: issued.token, expirationTimestamp: rfc3339(issued.expiresMs) },
  };
}

function boundPod(
  context: ApiContext,
  namespace: string,
  account: string,
  ref: JsonObject | undefined,
): { name: string; uid: string; node: string } | undefined {
  if (ref === undefined) return undefined;
  if (ref['kind'] !== 'Pod')
    throw badRequest(
      `cannot bind token to object of type ${asString(ref['apiVersion'])}, Kind=${asString(ref['kind'])}`,
    );
  const name = asString(ref['name']);
  const pod = context.store.get('/pods', namespace, name);
  if (pod === undefined) throw notFound({ group: '', plural: 'pods' }, name);
  const uid = uidOf(pod.object);
  if (asString(ref['uid']) !== '' && ref['uid'] !== uid) {
    throw conflict(
      { group: '', plural: 'pods' },
      name,
      `the UID in the bound object reference (${asString(ref['uid'])}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (at(pod.object, 'spec', 'serviceAccountName') !== account)
    throw badRequest(
      `cannot bind token for serviceaccount "${account}" to pod running with different serviceaccount name.`,
    );
  return { name, uid, node: asString(at(pod.object, 'spec', 'nodeName')) };
}
