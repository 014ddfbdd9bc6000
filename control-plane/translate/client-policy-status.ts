/** Targets of policies of the client's side, each with what is to be said of it (GEP-713). */
import { isRouteKind } from '@weft/policies/crds/kinds';
import type { ClientPolicy, TargetRef } from '../index/client-policies.ts';
import { keyOf, objectKey } from '../index/objects.ts';
import { serviceParents } from '../index/routes.ts';
import type { ClusterState } from '../index/state.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { clusterNamesOf } from './external/status.ts';
import { nameForClients } from './headless.ts';
import type { PolicyConflict, PolicyTarget } from './policy.ts';
import { isProducer, type TargetPort } from './reach.ts';
import type { PolicyAncestorVerdict } from './status.ts';
import { accepted, type ConditionVerdict, refused } from './verdict.ts';

/** What differs from kind to kind. */
interface ClientPolicyWords {
  reach(ref: TargetRef, targets: readonly TargetPort[]): string;
  conflictsAt(target: PolicyTarget): readonly PolicyConflict[];
  /** For kinds of which several may count at one target. */
  effectiveAt?(targets: readonly PolicyTarget[]): readonly EffectivePolicy[];
}

export function clientAncestors(
  state: ClusterState,
  policy: ClientPolicy,
  words: ClientPolicyWords,
): PolicyAncestorVerdict[] {
  return policy.spec.targetRefs.map((ref): PolicyAncestorVerdict => {
    const { namespace } = policy.metadata;
    const found = targetServices(state, policy, ref);
    const targets = found.targets.flatMap((target) => targetOf(state, policy, ref, target));
    const effective = targets.length === 0 ? undefined : words.effectiveAt?.(targets);
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
          ? accepted(words.reach(ref, found.targets))
          : refused('TargetNotFound', found.missing),
        ...(found.missing === undefined ? conflictOf(policy, targets, (target) => words.conflictsAt(target)) : []),
      ],
      carriers: [
        { kind: 'route', names: found.names },
        { kind: 'cluster', names: found.names },
      ],
      clientNamespace: isProducer(state, policy, ref) ? undefined : namespace,
      ...(effective === undefined ? {} : { effective }),
    };
  });
}

function targetServices(
  state: ClusterState,
  policy: ClientPolicy,
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
  policy: ClientPolicy,
  targets: readonly PolicyTarget[],
  conflictsAt: (target: PolicyTarget) => readonly PolicyConflict[],
): ConditionVerdict[] {
  const name = objectKey(policy.metadata);
  const lost = new Map<string, string>();
  for (const target of targets) {
    for (const conflict of conflictsAt(target)) {
      if (conflict.loser === name) lost.set(conflict.field, conflict.winner);
    }
  }
  if (lost.size === 0) return [];
  const message = [...lost]
    .map(([field, winner]) => `${field} is set by the older ${policy.kind} ${winner}`)
    .join('; ');
  return [{ type: 'Conflicted', status: 'True', reason: 'Conflicted', message }];
}

function targetOf(state: ClusterState, policy: ClientPolicy, ref: TargetRef, target: TargetPort): PolicyTarget[] {
  const found = ref.kind === 'ExternalService' ? externalPort(state, target) : servicePort(state, target);
  if (found === undefined) return [];
  const route = isRouteKind(ref.kind)
    ? state.routes.get(ref.kind, keyOf(ref.namespace ?? policy.metadata.namespace, ref.name))
    : undefined;
  return [{ ...found, route, ruleName: ref.sectionName }];
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
