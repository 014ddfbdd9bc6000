/** What TrafficPolicies come to together where one of them applies: for its status. */
import { type TrafficPolicyField, trafficPolicyFields } from '@weft/policies/crds/trafficpolicy';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { attachedPolicies, type MergedPolicy, mergedPolicy, type PolicyTarget } from './policy.ts';

export interface EffectivePolicy {
  /** `<namespace>/<name>:<port>`, all of which have the same settings. */
  readonly targets: readonly string[];
  /** How many more have them. */
  readonly moreTargets?: number;
  readonly sources: readonly FieldSource[];
  readonly settings: MergedPolicy;
}

export interface FieldSource {
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
  const groups = new Map<string, { targets: string[]; sources: readonly FieldSource[]; of: PolicyTarget }>();
  for (const target of targets.slice(0, lookedAtMax)) {
    const sources = sourcesAt(state, clientNamespace, target);
    const key = sources.map(({ field, policy }) => `${field} ${policy}`).join('\n');
    const name = `${objectKey(target.service.metadata)}:${target.port.port}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { targets: [name], sources, of: target });
    else group.targets.push(name);
  }
  return [...groups.values()]
    .sort((a, b) => b.targets.length - a.targets.length)
    .slice(0, groupsMax)
    .map(({ targets: names, sources, of }) => ({
      targets: names.slice(0, targetsMax),
      ...(names.length > targetsMax ? { moreTargets: names.length - targetsMax } : {}),
      sources,
      settings: mergedPolicy(state, clientNamespace, of),
    }));
}

function sourcesAt(state: ClusterState, clientNamespace: string, target: PolicyTarget): FieldSource[] {
  const attached = attachedPolicies(state, state.trafficPolicies, clientNamespace, target);
  return trafficPolicyFields.flatMap((field) => {
    const first = attached.find(({ policy }) => policy.spec[field] !== undefined);
    return first === undefined ? [] : [{ field, policy: objectKey(first.policy.metadata) }];
  });
}
