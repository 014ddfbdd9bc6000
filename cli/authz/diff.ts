/** Who would lose or gain access by a candidate, of those who called in the last hours. */
import type { Flow } from '@weft/control-plane/decisions/flows';
import { type MeshObject, objectKey } from '@weft/control-plane/index/objects';
import { ClusterState } from '@weft/control-plane/index/state';
import type { TrustDomain } from '@weft/policies/identity/spiffe-id';
import { unknowns, type Verdict, WorkloadRules } from './evaluate.ts';

export interface Candidate {
  /** Added, or in the place of those of the same name. */
  readonly apply: readonly MeshObject[];
  /** AuthorizationPolicies that would be gone, `<namespace>/<name>`. */
  readonly remove: readonly string[];
}

interface DiffWorld {
  readonly meshNamespace: string;
  readonly trustDomain: TrustDomain;
  /** As they are now. */
  readonly objects: readonly MeshObject[];
  readonly flows: readonly Flow[];
}

export interface DiffRow {
  readonly outcome: 'loses' | 'gains' | 'unknown';
  readonly workload: string;
  readonly caller: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly port: number;
  readonly requests: number;
  readonly lastSeen: string;
  readonly before: Verdict;
  readonly after: Verdict;
  /** What decides and is not kept of requests. */
  readonly unknown: readonly string[];
}

export interface Diff {
  readonly rows: readonly DiffRow[];
  /** Flows that were looked at, and their requests. */
  readonly flows: number;
  readonly requests: number;
  /** Of workloads that are gone. */
  readonly skipped: number;
}

const order = { loses: 0, unknown: 1, gains: 2 } as const;

export function diff(world: DiffWorld, candidate: Candidate): Diff {
  const before = stateOf(world, { apply: [], remove: [] });
  const after = stateOf(world, candidate);
  const rules = new Map<string, readonly [WorkloadRules, WorkloadRules] | undefined>();
  const rulesOf = (flow: Flow): readonly [WorkloadRules, WorkloadRules] | undefined => {
    if (rules.has(flow.workload)) return rules.get(flow.workload);
    const made = pair(before, after, world.trustDomain, flow);
    rules.set(flow.workload, made);
    return made;
  };
  const rows: DiffRow[] = [];
  let requests = 0;
  let skipped = 0;
  for (const flow of world.flows) {
    requests += flow.count;
    const both = rulesOf(flow);
    if (both === undefined) {
      skipped++;
      continue;
    }
    const row = compare(flow, both);
    if (row !== undefined) rows.push(row);
  }
  rows.sort((a, b) => order[a.outcome] - order[b.outcome] || b.requests - a.requests);
  return { rows, flows: world.flows.length, requests, skipped };
}

function stateOf({ meshNamespace, objects }: DiffWorld, { apply, remove }: Candidate): ClusterState {
  const state = new ClusterState(meshNamespace);
  for (const object of [...objects, ...apply]) state.apply(object);
  for (const key of remove) state.delete('AuthorizationPolicy', key);
  return state;
}

/** Any pod of the workload speaks for all: selectors are about labels that they share. */
function pair(
  before: ClusterState,
  after: ClusterState,
  trustDomain: TrustDomain,
  flow: Flow,
): readonly [WorkloadRules, WorkloadRules] | undefined {
  const [namespace = ''] = flow.workload.split('/');
  const pod =
    before.pods.get(flow.pod) ??
    [...before.pods.by('namespace', namespace)].find(
      (one) => `${one.metadata.namespace}/${one.workload}` === flow.workload,
    );
  if (pod === undefined) return undefined;
  const rules = (state: ClusterState): WorkloadRules =>
    new WorkloadRules({ state, trustDomain, isDrained: () => false }, state.pods.get(objectKey(pod.metadata)) ?? pod);
  return [rules(before), rules(after)];
}

function compare(flow: Flow, [old, fresh]: readonly [WorkloadRules, WorkloadRules]): DiffRow | undefined {
  const [before, after] = [old.judge(flow), fresh.judge(flow)];
  const unknown = [...unknowns(old, fresh, flow)];
  const asks = before.kind === 'asked' || after.kind === 'asked';
  if (asks && (before.kind !== after.kind || before.rule !== after.rule)) unknown.push('answer of the authorizer');
  if (unknown.length === 0 && before.kind === after.kind) return undefined;
  return {
    outcome: unknown.length > 0 ? 'unknown' : after.kind === 'denied' ? 'loses' : 'gains',
    workload: flow.workload,
    caller: flow.identity === '' ? `${flow.ip} (no identity)` : flow.identity,
    method: flow.method,
    host: flow.host,
    path: flow.path,
    port: flow.port,
    requests: flow.count,
    lastSeen: new Date(flow.lastUnixMs).toISOString(),
    before,
    after,
    unknown,
  };
}
