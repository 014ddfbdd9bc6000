import type { IncomingMessage } from 'node:http';
import { mediaTypeOf, parseBody, readBytes } from '../http/body.ts';
import { asObject, isObject, type JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { applyJsonPatch, applyMergePatch } from '../patch/json-patch.ts';
import { applyServerSide } from '../patch/server-side-apply.ts';
import { applyStrategicPatch } from '../patch/strategic.ts';
import { badRequest, StatusError, unsupportedMediaType } from '../status.ts';
import type { ApiContext, Call } from './context.ts';
import { create } from './create.ts';
import { decode } from './decode.ts';
import { update } from './update.ts';

/** PATCH in its four media types. */
const types = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

interface PatchTarget {
  readonly type: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

interface PatchResult {
  readonly object: JsonObject;
  readonly created: boolean;
}

export async function patch(
  context: ApiContext,
  target: PatchTarget,
  request: IncomingMessage,
  call: Call,
): Promise<PatchResult> {
  const mediaType = mediaTypeOf(request);
  const bytes = await readBytes(request, context.limits.bodyBytesMax);
  if (mediaType === types.apply) return apply(context, target, parseBody(bytes, mediaType), call);
  const body = parseBody(bytes, 'application/json');
  const make = makerFor(target.type, mediaType, body);
  const change = {
    subresource: target.subresource,
    make: (existing: JsonObject) => decode(target.type, make(existing), call),
  };
  const object = await update(context, target.type, target.namespace, target.name, change, call);
  return { object, created: false };
}

/** How a patch changes a document; also used for scale, which is no stored object. */
export function makerFor(
  type: ResourceType | undefined,
  mediaType: string,
  body: ReturnType<typeof parseBody>,
): (existing: JsonObject) => JsonObject {
  switch (mediaType) {
    case types.json:
      return (existing) => {
        const patched = applyJsonPatch(existing, body);
        if (patched instanceof Error)
          throw new StatusError(
            422,
            'Invalid',
            `the server rejected our request due to an error in our request: ${patched.message}`,
            {},
          );
        return patched;
      };
    case types.merge:
      return (existing) => asObject(applyMergePatch(existing, body)) ?? {};
    case types.strategic: {
      if (type?.custom === true) throw unsupportedMediaType(mediaType, [types.json, types.merge, types.apply]);
      if (!isObject(body)) throw badRequest('a strategic merge patch must be an object');
      return (existing) =>
        type === undefined
          ? (asObject(applyMergePatch(existing, body)) ?? {})
          : applyStrategicPatch(existing, body, type.schema);
    }
    default:
      throw unsupportedMediaType(mediaType, Object.values(types));
  }
}

async function apply(
  context: ApiContext,
  target: PatchTarget,
  body: ReturnType<typeof parseBody>,
  call: Call,
): Promise<PatchResult> {
  if (!isObject(body)) throw badRequest('an apply patch must be an object');
  if (call.fieldManager === '') {
    throw new StatusError(
      400,
      'BadRequest',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
  }
  const meta = asObject(body['metadata']) ?? {};
  if (meta['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
  const { type, namespace, name, subresource } = target;
  const applied = decode(type, { ...body, metadata: { ...meta, name } }, call);
  if (context.store.get(type.storage, namespace, name) === undefined && subresource === '') {
    const object = applyServerSide(type, undefined, applied, call, subresource, context.now());
    return { object: await create(context, type, namespace, object, call, { managedFieldsDone: true }), created: true };
  }
  const change = {
    subresource,
    managedFieldsDone: true,
    make: (existing: JsonObject) => applyServerSide(type, existing, applied, call, subresource, context.now()),
  };
  return { object: await update(context, type, namespace, name, change, call), created: false };
}
