/** What policies of the client's side are attached to, and TrafficPolicies merged for one destination, per top-level field. */
import type { AnyRoute, TrafficPolicy } from '@weft/policies/crds/kinds';
import { type TrafficPolicyField, trafficPolicyFields } from '@weft/policies/crds/trafficpolicy';
import { type ClientPolicy, targetKey, targetOwner } from '../index/client-policies.ts';
import { byAge, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import type { ObjectStore } from '../index/store.ts';
import { affinityOf } from './affinity.ts';

type Spec = TrafficPolicy['spec'];
export type MergedPolicy = { readonly [Field in TrafficPolicyField]?: Spec[Field] };

/** What is called: a port of a Service or of an ExternalService, perhaps by a rule of a route. */
export interface PolicyTarget {
  readonly service: {
    readonly kind: 'Service' | 'ExternalService';
    readonly metadata: { readonly namespace: string; readonly name: string };
  };
  readonly port: { readonly name: string; readonly port: number };
  readonly route?: AnyRoute | undefined;
  readonly ruleName?: string | undefined;
}

export interface Attached<Policy extends ClientPolicy> {
  readonly policy: Policy;
  readonly consumer: boolean;
  /** 0 is the most specific. */
  readonly level: number;
}

/** A field of a policy that lost against an older policy on the same level. */
export interface PolicyConflict {
  readonly loser: string;
  readonly winner: string;
  readonly field: string;
}

const ruleLevel = 0;
const routeLevel = 1;
const portLevel = 2;
const serviceLevel = 3;
const namespaceLevel = 4;
const meshLevel = 5;

/** Every policy that says something about the target to clients of this namespace, in order of precedence. */
export function attachedPolicies<Policy extends ClientPolicy>(
  state: ClusterState,
  policies: ObjectStore<Policy, 'target' | 'consumer'>,
  clientNamespace: string,
  target: PolicyTarget,
): Attached<Policy>[] {
  const { service, port, route, ruleName } = target;
  const found: Attached<Policy>[] = [];
  const serviceKey = objectKey(service.metadata);
  const lookAt = (index: string, levelOf: (sectionName: string | undefined) => number | undefined): void => {
    for (const policy of policies.by('target', index)) {
      for (const ref of policy.spec.targetRefs) {
        if (targetKey(policy, ref) !== index) continue;
        const level = levelOf(ref.sectionName);
        if (level === undefined) continue;
        const consumer = targetOwner(policy, ref, state.meshNamespace) !== policy.metadata.namespace;
        if (consumer && policy.metadata.namespace !== clientNamespace) continue;
        found.push({ policy, consumer, level });
      }
    }
  };
  if (route !== undefined) {
    lookAt(`${route.kind}:${objectKey(route.metadata)}`, (section) =>
      section === undefined ? routeLevel : section === ruleName ? ruleLevel : undefined,
    );
  }
  lookAt(`${service.kind}:${serviceKey}`, (section) =>
    section === undefined
      ? serviceLevel
      : section === port.name || section === String(port.port)
        ? portLevel
        : undefined,
  );
  lookAt(`Namespace:${service.metadata.namespace}`, () => namespaceLevel);
  lookAt('Mesh:default', () => meshLevel);
  return found.sort(
    (a, b) => Number(b.consumer) - Number(a.consumer) || a.level - b.level || byAge(a.policy, b.policy),
  );
}

/** The policy that each field comes from, of those that are set, in the order of the schema. */
export type FieldWinners = ReadonlyMap<TrafficPolicyField, TrafficPolicy>;

export function fieldWinners(state: ClusterState, clientNamespace: string, target: PolicyTarget): FieldWinners {
  const attached = attachedPolicies(state, state.trafficPolicies, clientNamespace, target);
  const winners = new Map<TrafficPolicyField, TrafficPolicy>();
  for (const field of trafficPolicyFields) {
    const first = attached.find(({ policy }) => policy.spec[field] !== undefined);
    if (first !== undefined) winners.set(field, first.policy);
  }
  return winners;
}

export function mergedPolicy(state: ClusterState, clientNamespace: string, target: PolicyTarget): MergedPolicy {
  return mergedFrom(state, target, fieldWinners(state, clientNamespace, target));
}

export function mergedFrom(state: ClusterState, target: PolicyTarget, winners: FieldWinners): MergedPolicy {
  const merged: { [Field in TrafficPolicyField]?: Spec[Field] } = {};
  for (const [field, { spec }] of winners) take(merged, field, spec);
  return { ...merged, ...affinityOf(state, target, merged.loadBalancer) };
}

function take<Field extends TrafficPolicyField>(merged: { [F in Field]?: Spec[F] }, field: Field, spec: Spec): void {
  merged[field] = spec[field];
}

/** Where two policies say something of one thing on one level: the younger one loses it. */
export function conflictsAmong<Policy extends ClientPolicy>(
  attached: readonly Attached<Policy>[],
  fieldsOf: (policy: Policy) => readonly string[],
): readonly PolicyConflict[] {
  const winners = new Map<string, string>();
  const conflicts: PolicyConflict[] = [];
  for (const { policy, consumer, level } of attached) {
    const name = objectKey(policy.metadata);
    for (const field of fieldsOf(policy)) {
      const place = `${consumer} ${level} ${field}`;
      const winner = winners.get(place);
      if (winner === undefined) winners.set(place, name);
      else if (winner !== name) conflicts.push({ loser: name, winner, field });
    }
  }
  return conflicts;
}

export function policyConflicts(
  state: ClusterState,
  clientNamespace: string,
  target: PolicyTarget,
): readonly PolicyConflict[] {
  return conflictsAmong(attachedPolicies(state, state.trafficPolicies, clientNamespace, target), ({ spec }) =>
    trafficPolicyFields.filter((field) => spec[field] !== undefined),
  );
}
