/** Where each kind lives in the Kubernetes API. */
import { type KindName, kinds } from '@weft/policies/crds/kinds';
import { isCoreKind } from '../index/core.ts';
import type { ObjectKind } from '../index/objects.ts';

const coreApi = {
  Service: ['/api/v1', 'services'],
  EndpointSlice: ['/apis/discovery.k8s.io/v1', 'endpointslices'],
  Pod: ['/api/v1', 'pods'],
  Namespace: ['/api/v1', 'namespaces'],
  Node: ['/api/v1', 'nodes'],
} as const;

/** Which version of a kind the API server turned out to serve, where it is not the one that we would choose. */
export class ServedVersions {
  private readonly versions = new Map<KindName, string>();

  of(kind: KindName): string {
    return this.versions.get(kind) ?? kinds[kind].version;
  }

  /** By the path of a list that was answered. */
  answered(kind: ObjectKind, path: string): void {
    if (isCoreKind(kind)) return;
    const { group, version, otherVersions, plural } = kinds[kind];
    const found = [version, ...otherVersions].find((one) => path === `/apis/${group}/${one}/${plural}`);
    if (found !== undefined) this.versions.set(kind, found);
  }
}

function apiOf(kind: ObjectKind, served: ServedVersions): readonly [root: string, plural: string] {
  if (isCoreKind(kind)) return coreApi[kind];
  const { group, plural } = kinds[kind];
  return [`/apis/${group}/${served.of(kind)}`, plural];
}

export const apiVersionOf = (kind: KindName, served: ServedVersions): string =>
  `${kinds[kind].group}/${served.of(kind)}`;

/** In the order in which they are tried: a cluster may have an older bundle of the Gateway API, or none. */
export function collectionPaths(kind: ObjectKind): readonly [string, ...string[]] {
  if (isCoreKind(kind)) return [coreApi[kind].join('/')];
  const { group, version, otherVersions, plural } = kinds[kind];
  const path = (one: string): string => `/apis/${group}/${one}/${plural}`;
  return [path(version), ...otherVersions.map(path)];
}

/** Of an object by its key, `<namespace>/<name>` or `<name>`. */
export function objectPath(kind: ObjectKind, key: string, served: ServedVersions): string {
  const [root, plural] = apiOf(kind, served);
  const slash = key.indexOf('/');
  if (slash === -1) return `${root}/${plural}/${encodeURIComponent(key)}`;
  const namespace = encodeURIComponent(key.slice(0, slash));
  return `${root}/namespaces/${namespace}/${plural}/${encodeURIComponent(key.slice(slash + 1))}`;
}
