import type { IncomingMessage } from 'node:http';
import { mediaTypeOf, parseBody, readBytes, readObject } from '../http/body.ts';
import { asNumber, asObject, asString, at, ensure, isObject, type JsonObject } from '../json.ts';
import type { ResourceType, ScalePaths } from '../kinds/resource.ts';
import { metaOf } from '../object.ts';
import { badRequest, invalid, invalidValue, notFound } from '../status.ts';
import { labelSelectorOf } from '../store/selectors.ts';
import { jsonPath, plainPath } from '../table/jsonpath.ts';
import type { ApiContext, Call } from './context.ts';
import { makerFor } from './patch.ts';
import { update } from './update.ts';

/** The scale subresource (autoscaling/v1 Scale) of workloads and of definitions that declare one. */
function selectorText(object: JsonObject, paths: ScalePaths): string {
  const value = paths.labelSelector === '' ? undefined : jsonPath(object, paths.labelSelector)[0];
  if (typeof value === 'string') return value;
  return labelSelectorOf(value)
    .map(({ key, operator, values }) => {
      if (operator === 'In') return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
      if (operator === 'NotIn') return `${key} notin (${values.join(',')})`;
      return operator === 'Exists' ? key : `!${key}`;
    })
    .join(',');
}

export function scaleOf(paths: ScalePaths, object: JsonObject): JsonObject {
  const meta = metaOf(object);
  const replicas = asNumber(jsonPath(object, paths.specReplicas)[0]);
  const selector = selectorText(object, paths);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: asString(meta['name']),
      ...(meta['namespace'] === undefined ? {} : { namespace: meta['namespace'] }),
      uid: asString(meta['uid']),
      resourceVersion: asString(meta['resourceVersion']),
      creationTimestamp: asString(meta['creationTimestamp']),
    },
    spec: replicas === undefined ? {} : { replicas },
    status: {
      replicas: asNumber(jsonPath(object, paths.statusReplicas)[0]) ?? 0,
      ...(selector === '' ? {} : { selector }),
    },
  };
}

interface ScaleTarget {
  readonly type: ResourceType;
  readonly paths: ScalePaths;
  readonly namespace: string;
  readonly name: string;
}

export function readScale(context: ApiContext, target: ScaleTarget): JsonObject {
  const stored = context.store.get(target.type.storage, target.namespace, target.name);
  if (stored === undefined) throw notFound(target.type, target.name);
  return scaleOf(target.paths, target.type.fromStorage(stored.object));
}

export async function writeScale(
  context: ApiContext,
  target: ScaleTarget,
  verb: string,
  request: IncomingMessage,
  call: Call,
): Promise<JsonObject> {
  const make = await wantedScale(context, verb, request);
  const { type, paths, namespace, name } = target;
  const change = {
    subresource: '',
    make: (existing: JsonObject): JsonObject => {
      const scale = make(scaleOf(paths, existing));
      const replicas = at(scale, 'spec', 'replicas') ?? 0;
      if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
        throw invalid('autoscaling', 'Scale', name, [
          invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'),
        ]);
      }
      const path = plainPath(paths.specReplicas);
      ensure(existing, ...path.slice(0, -1))[path.at(-1) ?? 'replicas'] = replicas;
      const asked = asString(at(scale, 'metadata', 'resourceVersion'));
      if (asked !== '') ensure(existing, 'metadata')['resourceVersion'] = asked;
      return existing;
    },
  };
  return scaleOf(paths, await update(context, type, namespace, name, change, call));
}

async function wantedScale(
  context: ApiContext,
  verb: string,
  request: IncomingMessage,
): Promise<(scale: JsonObject) => JsonObject> {
  if (verb === 'update') {
    const body = await readObject(request, context.limits.bodyBytesMax);
    return () => body;
  }
  const mediaType = mediaTypeOf(request);
  const body = parseBody(await readBytes(request, context.limits.bodyBytesMax), mediaType);
  if (mediaType === 'application/apply-patch+yaml') {
    if (!isObject(body)) throw badRequest('an apply patch must be an object');
    return (scale) => ({ ...scale, spec: asObject(body['spec']) ?? {} });
  }
  return makerFor(undefined, mediaType, body);
}
