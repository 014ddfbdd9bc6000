/** What TrafficPolicies come to together where one of them applies: for its status. */
import type { TrafficPolicyField } from '@weft/policies/crds/trafficpolicy';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { type FieldWinners, fieldWinners, type MergedPolicy, mergedFrom, type PolicyTarget } from './policy.ts';

export interface EffectivePolicy {
  /** `<namespace>/<name>:<port>`, all of which have the same settings. */
  readonly targets: readonly string[];
  /** How many more have them. */
  readonly moreTargets?: number;
  readonly sources: readonly FieldSource[];
  readonly settings: MergedPolicy;
}

interface FieldSource {
  readonly field: TrafficPolicyField;
  /** `<namespace>/<name>` of the policy that it comes from. */
  readonly policy: string;
}

const groupsMax = 4;
const targetsMax = 8;
/** A policy of the whole mesh applies to thousands of ports: so many are looked at. */
const lookedAtMax = 256;

/** The most common outcome first. */
export function effectivePolicies(
  state: ClusterState,
  clientNamespace: string,
  targets: readonly PolicyTarget[],
): EffectivePolicy[] {
  const groups = new Map<string, { targets: string[]; winners: FieldWinners; of: PolicyTarget }>();
  for (const target of targets.slice(0, lookedAtMax)) {
    const winners = fieldWinners(state, clientNamespace, target);
    const key = [...winners].map(([field, policy]) => `${field} ${objectKey(policy.metadata)}`).join('\n');
    const name = `${objectKey(target.service.metadata)}:${target.port.port}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { targets: [name], winners, of: target });
    else group.targets.push(name);
  }
  return [...groups.values()]
    .sort((a, b) => b.targets.length - a.targets.length)
    .slice(0, groupsMax)
    .map(({ targets: names, winners, of }) => ({
      targets: names.slice(0, targetsMax),
      ...(names.length > targetsMax ? { moreTargets: names.length - targetsMax } : {}),
      sources: [...winners].map(([field, policy]) => ({ field, policy: objectKey(policy.metadata) })),
      settings: mergedFrom(state, of, winners),
    }));
}
