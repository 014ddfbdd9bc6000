/** What `weft authz` looks at: the cluster's objects, and what every replica of the control plane was told. */
import type { FlowAnswer } from '@weft/control-plane/decisions/decisions';
import type { Flow } from '@weft/control-plane/decisions/flows';
import { type MeshObject, type ObjectKind, parseObject } from '@weft/control-plane/index/objects';
import type { Kube } from '../kube.ts';
import { askReplicas } from '../replicas.ts';

interface List {
  readonly items: readonly Readonly<Record<string, unknown>>[];
}

const weft = '/apis/weft.dev/v1alpha1';
const paths: readonly (readonly [ObjectKind, string])[] = [
  ['Mesh', `${weft}/meshes`],
  ['Namespace', '/api/v1/namespaces'],
  ['Pod', '/api/v1/pods'],
  ['AuthorizationPolicy', `${weft}/authorizationpolicies`],
  ['AuthenticationPolicy', `${weft}/authenticationpolicies`],
];
const LIST_TIMEOUT_MS = 30_000;

/** Everything that rules depend on. What cannot be read is left out: which version of it holds is for the control plane. */
export async function readObjects(kube: Kube): Promise<readonly MeshObject[]> {
  const lists = await Promise.all(
    paths.map(async ([kind, path]) => {
      const list = await kube.get<List>(path, LIST_TIMEOUT_MS);
      return (list?.items ?? []).flatMap((raw) => {
        const parsed = parseObject(kind, raw);
        return parsed.ok ? [parsed.value] : [];
      });
    }),
  );
  return lists.flat();
}

export interface FlowsRead {
  readonly flows: readonly Flow[];
  readonly lost: number;
  /** Before that one replica or another knows nothing. */
  readonly sinceUnixMs: number;
}

/** Every replica knows the sidecars that it serves, so that every one is asked. */
export async function readFlows(kube: Kube, sinceUnixMs: number, namespace: string | undefined): Promise<FlowsRead> {
  const query = new URLSearchParams({ since: new Date(sinceUnixMs).toISOString() });
  if (namespace !== undefined) query.set('namespace', namespace);
  const answers = await askReplicas<FlowAnswer>(kube, `/debug/flows?${query}`, LIST_TIMEOUT_MS);
  return added(answers.filter((one) => one !== undefined));
}

/**
 * What a replica was told by sidecars that had told others before counts only where none of those has answered: it is in
 * their answers too.
 */
export function added(known: readonly FlowAnswer[]): FlowsRead {
  const there = new Set(known.map(({ instance }) => instance));
  const counted = ({ elsewhere = [], ...flow }: Flow): Flow => {
    const left = elsewhere.filter(({ heldBy }) => !heldBy.some((instance) => there.has(instance)));
    return { ...flow, count: left.reduce((sum, { count }) => sum + count, flow.count) };
  };
  return {
    flows: known.flatMap(({ flows }) => flows.map(counted).filter(({ count }) => count > 0)),
    lost: known.reduce((sum, { lost }) => sum + lost, 0),
    sinceUnixMs: Math.max(0, ...known.map((one) => one.sinceUnixMs)),
  };
}
