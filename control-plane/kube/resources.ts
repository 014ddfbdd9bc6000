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

function apiOf(kind: ObjectKind): readonly [root: string, plural: string] {
  if (isCoreKind(kind)) return coreApi[kind];
  const { group, version, plural } = kinds[kind];
  return [`/apis/${group}/${version}`, plural];
}

export const apiVersionOf = (kind: KindName): string => `${kinds[kind].group}/${kinds[kind].version}`;

export function collectionPath(kind: ObjectKind): string {
  const [root, plural] = apiOf(kind);
  return `${root}/${plural}`;
}

/** Of an object by its key, `<namespace>/<name>` or `<name>`. */
export function objectPath(kind: ObjectKind, key: string): string {
  const [root, plural] = apiOf(kind);
  const slash = key.indexOf('/');
  if (slash === -1) return `${root}/${plural}/${encodeURIComponent(key)}`;
  const namespace = encodeURIComponent(key.slice(0, slash));
  return `${root}/namespaces/${namespace}/${plural}/${encodeURIComponent(key.slice(slash + 1))}`;
}
