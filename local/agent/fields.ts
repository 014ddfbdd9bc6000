import { cpus, totalmem } from 'node:os';
import type { Container, Pod } from '../client/objects.ts';

/** Addresses that are known once the pod has its network. */
export interface PodAddresses {
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
}

type FieldResult = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly message: string };

const ok = (value: string | undefined): FieldResult => ({ ok: true, value: value ?? '' });

/** All entries of a map as the downward API writes them: `key="escaped value"`, sorted, one a line. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

/** The downward API's fieldRef (Kubernetes API, ObjectFieldSelector). */
export function fieldOf(pod: Pod, addresses: PodAddresses, path: string): FieldResult {
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (subscript !== null) {
    const map = subscript[1] === 'labels' ? pod.metadata.labels : pod.metadata.annotations;
    return ok(map?.[subscript[2] ?? '']);
  }
  switch (path) {
    case 'metadata.name':
      return ok(pod.metadata.name);
    case 'metadata.namespace':
      return ok(pod.metadata.namespace);
    case 'metadata.uid':
      return ok(pod.metadata.uid);
    case 'metadata.labels':
      return ok(formatMap(pod.metadata.labels));
    case 'metadata.annotations':
      return ok(formatMap(pod.metadata.annotations));
    case 'spec.nodeName':
      return ok(pod.spec.nodeName);
    case 'spec.serviceAccountName':
      return ok(pod.spec.serviceAccountName ?? 'default');
    case 'status.podIP':
      return ok(addresses.podIps[0]);
    case 'status.podIPs':
      return ok(addresses.podIps.join(','));
    case 'status.hostIP':
      return ok(addresses.hostIps[0]);
    case 'status.hostIPs':
      return ok(addresses.hostIps.join(','));
    default:
      return { ok: false, message: `fieldPath ${path} is not supported` };
  }
}

const SUFFIXES: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity as a number, or `undefined` if it is none. */
export function quantity(text: string): number | undefined {
  const match = /^([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)([A-Za-z]*)$/.exec(text);
  const factor = SUFFIXES[match?.[2] ?? ''];
  return match === null || factor === undefined ? undefined : Number(match[1]) * factor;
}

/** resourceFieldRef: the container's limit, the node's capacity where it has none, in units of the divisor, rounded up. */
export function resourceOf(
  pod: Pod,
  own: Container | undefined,
  reference: { readonly resource: string; readonly containerName?: string; readonly divisor?: string },
): FieldResult {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const container =
    reference.containerName === undefined ? own : all.find((item) => item.name === reference.containerName);
  const [side, resource] = reference.resource.split('.');
  if (container === undefined || resource === undefined || (side !== 'limits' && side !== 'requests')) {
    return { ok: false, message: `resource ${reference.resource} is not supported` };
  }
  const written =
    container.resources?.[side]?.[resource] ??
    (side === 'requests' ? undefined : container.resources?.limits?.[resource]);
  const capacity = resource === 'cpu' ? cpus().length : resource === 'memory' ? totalmem() : 0;
  const amount = written === undefined ? (side === 'limits' ? capacity : 0) : quantity(written);
  const divisor = quantity(reference.divisor ?? '1') || 1;
  if (amount === undefined) return { ok: false, message: `${reference.resource}: ${written} is not a quantity` };
  return ok(String(Math.ceil(amount / divisor)));
}
