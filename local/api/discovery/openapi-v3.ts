import { createHash } from 'node:crypto';
import type { JsonObject } from '../json.ts';
import type { Registry } from '../kinds/registry.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { SchemaWriter } from './openapi-schema.ts';

/** OpenAPI v3, one document per group and version: what `kubectl explain`, `apply` and field validation read. */
const pathOf = ({ group, version }: { group: string; version: string }): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`;

export function openApiV3Index(registry: Registry): JsonObject {
  const hash = createHash('sha256')
    .update(`${process.pid}-${registry.generation}`)
    .digest('hex')
    .slice(0, 32)
    .toUpperCase();
  const paths: JsonObject = {};
  for (const { group, versions } of registry.groups()) {
    for (const version of versions) {
      const path = pathOf({ group, version });
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
    }
  }
  return { paths };
}

/** Documents are the same until a definition changes. */
const cache = new WeakMap<Registry, { generation: number; documents: Map<string, JsonObject> }>();

export function openApiV3(registry: Registry, group: string, version: string): JsonObject | undefined {
  const types = registry.in(group, version);
  if (types.length === 0) return undefined;
  let known = cache.get(registry);
  if (known === undefined || known.generation !== registry.generation) {
    known = { generation: registry.generation, documents: new Map() };
    cache.set(registry, known);
  }
  const key = `${group}/${version}`;
  const cached = known.documents.get(key);
  if (cached !== undefined) return cached;
  const document = build(types);
  known.documents.set(key, document);
  return document;
}

function build(types: readonly ResourceType[]): JsonObject {
  const writer = new SchemaWriter();
  const paths: JsonObject = {};
  for (const type of types) {
    writer.addKind(type);
    const root = `/${pathOf(type)}${type.namespaced ? '/namespaces/{namespace}' : ''}/${type.plural}`;
    paths[root] = { ...collectionOperations(type), parameters: type.namespaced ? [pathParameter('namespace')] : [] };
    if (!type.verbs.includes('get')) continue;
    paths[`${root}/{name}`] = {
      ...itemOperations(type),
      parameters: [pathParameter('name'), ...(type.namespaced ? [pathParameter('namespace')] : [])],
    };
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.34.0' },
    paths,
    components: { schemas: writer.schemas },
  };
}

const pathParameter = (name: string): JsonObject => ({
  name,
  in: 'path',
  required: true,
  schema: { type: 'string', uniqueItems: true },
});
const queryParameter = (name: string, type = 'string'): JsonObject => ({
  name,
  in: 'query',
  schema: { type, uniqueItems: true },
});
const writeParameters = [queryParameter('dryRun'), queryParameter('fieldManager'), queryParameter('fieldValidation')];

function operation(
  type: ResourceType,
  action: string,
  parameters: readonly JsonObject[],
  bodyTypes: readonly string[],
): JsonObject {
  const schema = { $ref: `#/components/schemas/${SchemaWriter.nameOf(type)}` };
  const content = Object.fromEntries(
    bodyTypes.map((mediaType) => [mediaType, { schema: mediaType.includes('patch') ? { type: 'object' } : schema }]),
  );
  return {
    operationId: `${action}${type.version}${type.kind}`,
    parameters: [...parameters],
    ...(bodyTypes.length > 0 ? { requestBody: { content, required: true } } : {}),
    responses: { '200': { description: 'OK', content: { 'application/json': { schema } } } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: type.group, version: type.version, kind: type.kind },
  };
}

function collectionOperations(type: ResourceType): JsonObject {
  return {
    ...(type.verbs.includes('list')
      ? { get: operation(type, 'list', [queryParameter('labelSelector'), queryParameter('fieldSelector')], []) }
      : {}),
    post: operation(type, 'post', writeParameters, ['*/*']),
  };
}

function itemOperations(type: ResourceType): JsonObject {
  const patches = ['application/apply-patch+yaml', 'application/json-patch+json', 'application/merge-patch+json'];
  if (!type.custom) patches.push('application/strategic-merge-patch+json');
  return {
    get: operation(type, 'get', [], []),
    put: operation(type, 'put', writeParameters, ['*/*']),
    patch: operation(type, 'patch', [...writeParameters, queryParameter('force', 'boolean')], patches),
    delete: operation(type, 'delete', [queryParameter('dryRun')], ['*/*']),
  };
}
