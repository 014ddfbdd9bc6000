/** What is to be said about policies (GEP-713), judged from the state alone. */

import { type AuthorizationPolicy, type TrafficPolicy, weftGroup } from '@weft/policies/crds/kinds';
import { objectKey } from '../index/objects.ts';
import { authenticationPolicyStatus } from './authentication-status.ts';
import { isMeshWide, policiesFor } from './authorization.ts';
import { authorizerConditions } from './authorizers.ts';
import { clientAncestors } from './client-policy-status.ts';
import type { TranslateContext } from './context.ts';
import { type EffectivePolicy, effectivePolicies } from './effective-policy.ts';
import { faultPolicyStatus } from './fault-status.ts';
import { overloadPolicyStatus } from './overload-status.ts';
import { policyConflicts } from './policy.ts';
import { reachOf } from './reach.ts';
import { accepted, type Carriers, type ConditionVerdict } from './verdict.ts';

export interface PolicyAncestorVerdict {
  readonly ancestorRef: {
    readonly group: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
    readonly sectionName?: string;
  };
  readonly conditions: readonly ConditionVerdict[];
  readonly carriers: readonly Carriers[];
  /** The clients that it is for; undefined: all. */
  readonly clientNamespace: string | undefined;
  /** What it comes to together with others; absent where it is not merged with any. */
  readonly effective?: readonly EffectivePolicy[];
}

export interface PolicyVerdict {
  readonly kind: 'TrafficPolicy' | 'FaultPolicy' | 'AuthorizationPolicy' | 'AuthenticationPolicy' | 'OverloadPolicy';
  readonly policy: string;
  readonly generation: number;
  readonly ancestors: readonly PolicyAncestorVerdict[];
}

export function policyStatuses(context: TranslateContext): PolicyVerdict[] {
  const { trafficPolicies, faultPolicies, authorizationPolicies, authenticationPolicies, overloadPolicies } =
    context.state;
  return [
    ...[...trafficPolicies.keys()].sort().flatMap((key) => {
      const policy = trafficPolicies.get(key);
      return policy === undefined ? [] : [trafficPolicyStatus(context, policy)];
    }),
    ...[...faultPolicies.values()]
      .sort((a, b) => (objectKey(a.metadata) < objectKey(b.metadata) ? -1 : 1))
      .map((policy) => faultPolicyStatus(context, policy)),
    ...[...authorizationPolicies.keys()].sort().flatMap((key) => {
      const policy = authorizationPolicies.get(key);
      return policy === undefined ? [] : [authorizationPolicyStatus(context, policy)];
    }),
    ...[...authenticationPolicies.values()]
      .sort((a, b) => (objectKey(a.metadata) < objectKey(b.metadata) ? -1 : 1))
      .map((policy) => authenticationPolicyStatus(context, policy)),
    ...[...overloadPolicies.values()]
      .sort((a, b) => (objectKey(a.metadata) < objectKey(b.metadata) ? -1 : 1))
      .map((policy) => overloadPolicyStatus(context, policy)),
  ];
}

export function trafficPolicyStatus(context: TranslateContext, policy: TrafficPolicy): PolicyVerdict {
  const { state } = context;
  return {
    kind: 'TrafficPolicy',
    policy: objectKey(policy.metadata),
    generation: policy.metadata.generation,
    ancestors: clientAncestors(state, policy, {
      reach: (ref, targets) => reachOf(state, policy, ref, targets),
      conflictsAt: (target) => policyConflicts(state, policy.metadata.namespace, target),
      effectiveAt: (targets) => effectivePolicies(state, policy.metadata.namespace, targets),
    }),
  };
}

export function authorizationPolicyStatus(context: TranslateContext, policy: AuthorizationPolicy): PolicyVerdict {
  const key = objectKey(policy.metadata);
  const { namespace } = policy.metadata;
  const { state } = context;
  const meshWide = isMeshWide(state, policy);
  const pods = [...(meshWide ? state.pods.values() : state.pods.by('namespace', namespace))]
    .filter((pod) => pod.meshed && policiesFor(state, pod).includes(policy))
    .map((pod) => objectKey(pod.metadata));
  return {
    kind: 'AuthorizationPolicy',
    policy: key,
    generation: policy.metadata.generation,
    ancestors: [
      {
        ancestorRef: meshWide
          ? { group: weftGroup, kind: 'Mesh', name: 'default' }
          : { group: '', kind: 'Namespace', name: namespace },
        conditions: [
          accepted(
            pods.length === 0
              ? 'no pod of the mesh is selected'
              : `the policy protects ${pods.length} of the mesh's pods`,
          ),
          ...authorizerConditions(context.state, policy),
        ],
        carriers: [{ kind: 'listener', names: pods }],
        clientNamespace: undefined,
      },
    ],
  };
}
