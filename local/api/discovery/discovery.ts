import type { JsonObject } from '../json.ts';
import type { Registry } from '../kinds/registry.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';

/** /api, /apis, the resource lists and aggregated discovery (KEP-3352). */
export function apiVersions(address: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

const versionEntry = (group: string, version: string): JsonObject => ({ groupVersion: `${group}/${version}`, version });

export function apiGroup(registry: Registry, name: string): JsonObject | undefined {
  const found = registry.groups().find((item) => item.group === name && name !== '');
  if (found === undefined) return undefined;
  return {
    name,
    versions: found.versions.map((version) => versionEntry(name, version)),
    preferredVersion: versionEntry(name, found.versions[0] ?? ''),
  };
}

export function apiGroupList(registry: Registry): JsonObject {
  const groups = registry
    .groups()
    .map(({ group }) => apiGroup(registry, group))
    .filter((group) => group !== undefined);
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

function resourceEntry(type: ResourceType): JsonObject {
  return {
    name: type.plural,
    singularName: type.singular,
    namespaced: type.namespaced,
    kind: type.kind,
    verbs: [...type.verbs],
    ...(type.shortNames.length > 0 ? { shortNames: [...type.shortNames] } : {}),
    ...(type.categories.length > 0 ? { categories: [...type.categories] } : {}),
    ...(type.verbs.includes('list')
      ? { storageVersionHash: Buffer.from(type.storage).toString('base64').slice(0, 12) }
      : {}),
  };
}

interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
}

function subresourcesOf(type: ResourceType): Subresource[] {
  const verbs = ['get', 'patch', 'update'];
  const own = { group: type.group, version: type.version };
  return [
    ...(type.hasStatus ? [{ name: 'status', kind: type.kind, ...own, verbs }] : []),
    ...(type.scale === undefined ? [] : [{ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs }]),
    ...type.subresources.map((item) => (item.kind === type.kind ? { ...item, ...own } : item)),
  ];
}

export function resourceList(registry: Registry, group: string, version: string): JsonObject | undefined {
  const types = registry.in(group, version);
  if (types.length === 0) return undefined;
  const resources = types.flatMap((type) => [
    resourceEntry(type),
    ...subresourcesOf(type).map((item) => ({
      name: `${type.plural}/${item.name}`,
      singularName: '',
      namespaced: type.namespaced,
      kind: item.kind,
      verbs: [...item.verbs],
      ...(item.group === type.group && item.version === type.version
        ? {}
        : { group: item.group, version: item.version }),
    })),
  ]);
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion({ group, version }), resources };
}

/** apidiscovery.k8s.io/v2 for /api (core) or /apis (everything else). */
export function aggregated(registry: Registry, core: boolean): JsonObject {
  const items = registry
    .groups()
    .filter(({ group }) => (group === '') === core)
    .map(({ group, versions }) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: 'Current',
        resources: registry.in(group, version).map(aggregatedEntry),
      })),
    }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

function aggregatedEntry(type: ResourceType): JsonObject {
  const subresources = subresourcesOf(type).map((item) => ({
    subresource: item.name,
    responseKind: { group: item.group, version: item.version, kind: item.kind },
    verbs: [...item.verbs],
  }));
  return {
    resource: type.plural,
    responseKind: { group: type.group, version: type.version, kind: type.kind },
    scope: type.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: type.singular,
    verbs: [...type.verbs],
    ...(type.shortNames.length > 0 ? { shortNames: [...type.shortNames] } : {}),
    ...(type.categories.length > 0 ? { categories: [...type.categories] } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}

export const versionInfo: JsonObject = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0+weft',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'node',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
