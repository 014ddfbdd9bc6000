/** What is to be said about policies (GEP-713), judged from the state alone. */

import { type AuthorizationPolicy, isRouteKind, type TrafficPolicy } from '@weft/policies/crds/kinds';
import { keyOf, objectKey } from '../index/objects.ts';
import { serviceParents } from '../index/routes.ts';
import type { ClusterState } from '../index/state.ts';
import { policiesFor } from './authorization.ts';
import type { TranslateContext } from './context.ts';
import { clusterNamesOf } from './external/status.ts';
import { nameForClients } from './headless.ts';
import { overloadPolicyStatus } from './overload-status.ts';
import { policyConflicts } from './policy.ts';
import { isProducer, reachOf, type TargetPort } from './reach.ts';
import { accepted, type Carriers, type ConditionVerdict, refused } from './verdict.ts';

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
}

export interface PolicyVerdict {
  readonly kind: 'TrafficPolicy' | 'AuthorizationPolicy' | 'OverloadPolicy';
  readonly policy: string;
  readonly generation: number;
  readonly ancestors: readonly PolicyAncestorVerdict[];
}

export function policyStatuses(context: TranslateContext): PolicyVerdict[] {
  const { trafficPolicies, authorizationPolicies, overloadPolicies } = context.state;
  return [
    ...[...trafficPolicies.keys()].sort().flatMap((key) => {
      const policy = trafficPolicies.get(key);
      return policy === undefined ? [] : [trafficPolicyStatus(context, policy)];
    }),
    ...[...authorizationPolicies.keys()].sort().flatMap((key) => {
      const policy = authorizationPolicies.get(key);
      return policy === undefined ? [] : [authorizationPolicyStatus(context, policy)];
    }),
    ...[...overloadPolicies.values()]
      .sort((a, b) => (objectKey(a.metadata) < objectKey(b.metadata) ? -1 : 1))
      .map((policy) => overloadPolicyStatus(context, policy)),
  ];
}

type TargetRef = TrafficPolicy['spec']['targetRefs'][number];

export function trafficPolicyStatus(context: TranslateContext, policy: TrafficPolicy): PolicyVerdict {
  const ancestors = policy.spec.targetRefs.map((ref): PolicyAncestorVerdict => {
    const { namespace } = policy.metadata;
    const found = targetServices(context.state, policy, ref);
    return {
      ancestorRef: {
        group: ref.group,
        kind: ref.kind,
        name: ref.name,
        ...(ref.kind !== 'Namespace' && ref.kind !== 'Mesh' ? { namespace: ref.namespace ?? namespace } : {}),
        ...(ref.sectionName === undefined ? {} : { sectionName: ref.sectionName }),
      },
      conditions: [
        found.missing === undefined
          ? accepted(reachOf(context.state, policy, ref, found.targets))
          : refused('TargetNotFound', found.missing),
        ...(found.missing === undefined ? conflictOf(context.state, policy, ref, found.targets) : []),
      ],
      carriers: [
        { kind: 'route', names: found.names },
        { kind: 'cluster', names: found.names },
      ],
      clientNamespace: isProducer(context.state, policy, ref) ? undefined : namespace,
    };
  });
  return {
    kind: 'TrafficPolicy',
    policy: objectKey(policy.metadata),
    generation: policy.metadata.generation,
    ancestors,
  };
}

function targetServices(
  state: ClusterState,
  policy: TrafficPolicy,
  ref: TargetRef,
): {
  readonly missing: string | undefined;
  readonly names: readonly string[];
  readonly targets: readonly TargetPort[];
} {
  const key = keyOf(ref.namespace ?? policy.metadata.namespace, ref.name);
  const absent = (missing: string) => ({ missing, names: [], targets: [] });
  let services: readonly string[];
  switch (ref.kind) {
    case 'Service':
      if (state.services.get(key) === undefined) return absent(`there is no Service ${key}`);
      services = [key];
      break;
    case 'ExternalService':
      return externalTargets(state, key, ref.sectionName);
    case 'HTTPRoute':
    case 'GRPCRoute': {
      const route = state.routes.get(ref.kind, key);
      if (route === undefined) return absent(`there is no ${ref.kind} ${key}`);
      if (ref.sectionName !== undefined && !route.spec.rules?.some((rule) => rule.name === ref.sectionName)) {
        return absent(`${ref.kind} ${key} has no rule named ${ref.sectionName}`);
      }
      services = serviceParents(route);
      break;
    }
    case 'Namespace':
      services = [...state.services.keysBy('namespace', ref.name)].sort();
      break;
    case 'Mesh':
      services = [...state.services.keys()].sort();
      break;
  }
  const section = ref.kind === 'Service' ? ref.sectionName : undefined;
  const targets = services.flatMap((one) =>
    (state.services.get(one)?.ports ?? [])
      .filter((port) => section === undefined || section === port.name || section === String(port.port))
      .map((port) => ({ service: one, port: port.port })),
  );
  if (section !== undefined && targets.length === 0) return absent(`Service ${key} has no port ${section}`);
  const names = targets.flatMap(({ service, port }) => {
    const found = state.services.get(service);
    return [...new Set([`outbound/${service}/${port}`, ...(found === undefined ? [] : [nameForClients(found, port)])])];
  });
  return { missing: undefined, names, targets };
}

function externalTargets(state: ClusterState, key: string, section: string | undefined) {
  const external = state.externalServices.get(key);
  if (external === undefined) return { missing: `there is no ExternalService ${key}`, names: [], targets: [] };
  const ports = external.spec.ports.filter(
    ({ name, number }) => section === undefined || section === name || section === String(number),
  );
  if (ports.length === 0) {
    return { missing: `ExternalService ${key} has no port ${section ?? ''}`, names: [], targets: [] };
  }
  const names = clusterNamesOf({ ...external, spec: { ...external.spec, ports } });
  return { missing: undefined, names, targets: ports.map(({ number }) => ({ service: key, port: number })) };
}

/** Only conflicts about the target itself: a wider policy that a narrower one overrides is as intended. */
function conflictOf(
  state: ClusterState,
  policy: TrafficPolicy,
  ref: TargetRef,
  targets: readonly TargetPort[],
): ConditionVerdict[] {
  const name = objectKey(policy.metadata);
  const lost = new Map<string, string>();
  for (const target of targets) {
    const found = ref.kind === 'ExternalService' ? externalPort(state, target) : servicePort(state, target);
    if (found === undefined) continue;
    const route = isRouteKind(ref.kind)
      ? state.routes.get(ref.kind, keyOf(ref.namespace ?? policy.metadata.namespace, ref.name))
      : undefined;
    const conflicts = policyConflicts(state, policy.metadata.namespace, {
      ...found,
      route,
      ruleName: ref.sectionName,
    });
    for (const conflict of conflicts) if (conflict.loser === name) lost.set(conflict.field, conflict.winner);
  }
  if (lost.size === 0) return [];
  const message = [...lost].map(([field, winner]) => `${field} is set by the older TrafficPolicy ${winner}`).join('; ');
  return [{ type: 'Conflicted', status: 'True', reason: 'Conflicted', message }];
}

function servicePort(state: ClusterState, target: TargetPort) {
  const service = state.services.get(target.service);
  const port = service?.ports.find((one) => one.port === target.port);
  return service === undefined || port === undefined ? undefined : { service, port };
}

function externalPort(state: ClusterState, target: TargetPort) {
  const service = state.externalServices.get(target.service);
  const port = service?.spec.ports.find(({ number }) => number === target.port);
  if (service === undefined || port === undefined) return undefined;
  return { service, port: { name: port.name, port: port.number } };
}

export function authorizationPolicyStatus(context: TranslateContext, policy: AuthorizationPolicy): PolicyVerdict {
  const key = objectKey(policy.metadata);
  const { namespace } = policy.metadata;
  const pods = context.state.pods
    .by('namespace', namespace)
    .filter((pod) => pod.meshed && policiesFor(context.state, pod).includes(policy))
    .map((pod) => objectKey(pod.metadata));
  return {
    kind: 'AuthorizationPolicy',
    policy: key,
    generation: policy.metadata.generation,
    ancestors: [
      {
        ancestorRef: { group: '', kind: 'Namespace', name: namespace },
        conditions: [
          accepted(
            pods.length === 0
              ? 'no pod of the mesh is selected'
              : `the policy protects ${pods.length} of the mesh's pods`,
          ),
        ],
        carriers: [{ kind: 'listener', names: pods }],
        clientNamespace: undefined,
      },
    ],
  };
}
