/** The status objects of routes and policies, from what was judged and from how far it has come. */
import { isDeepStrictEqual } from 'node:util';
import { isRouteKind, type RouteKind } from '@weft/policies/crds/kinds';
import type { NotTaken } from '../kube/intake.ts';
import { isServiceParent, type ParentRef } from '../translate/attachment.ts';
import { authenticationPolicyStatus } from '../translate/authentication-status.ts';
import type { TranslateContext } from '../translate/context.ts';
import { externalServiceStatus } from '../translate/external/status.ts';
import { faultPolicyStatus } from '../translate/fault-status.ts';
import { overloadPolicyStatus } from '../translate/overload-status.ts';
import { refusedByMesh } from '../translate/plaintext-callers.ts';
import { type RouteVerdict, routeStatus } from '../translate/route-status.ts';
import {
  authorizationPolicyStatus,
  type PolicyAncestorVerdict,
  type PolicyVerdict,
  trafficPolicyStatus,
} from '../translate/status.ts';
import type { TrustFacts } from '../translate/trust.ts';
import type { XdsHub } from '../xds/hub.ts';
import { blamedOthers, type Suspect } from './blame.ts';
import { conditionsFrom } from './conditions.ts';
import {
  blindToHttp2,
  PROGRAMMED,
  type ProgrammedVerdict,
  programmedVerdict,
  progressOf,
  unreadVerdict,
} from './progress.ts';
import { type AnyVerdict, isAccepted, summaryOf } from './summary.ts';

export const CONTROLLER = 'weft.dev/control-plane';

type JsonObject = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (status: unknown, field: string): readonly unknown[] => {
  const list = isObject(status) ? status[field] : undefined;
  return Array.isArray(list) ? list : [];
};

export type StatusKind = RouteKind | 'Mesh' | 'ExternalService' | PolicyVerdict['kind'];

/** Kept from what the API server said last, for objects that were refused as malformed too. */
export interface Observed {
  readonly generation: number;
  readonly status: unknown;
  /** Why the last version could not be taken, and what holds in its place. */
  readonly invalid: NotTaken | undefined;
  /** Of a route that could not be taken: what it wants to be attached to, as far as that can be read. */
  readonly parentRefs?: readonly ParentRef[];
}

export interface StatusParts {
  readonly context: TranslateContext;
  readonly hub: XdsHub;
  readonly nowIso: () => string;
  /** Whose connections are counted. */
  readonly replica: string;
  /** The control plane has just started, and not all of its sidecars are back. */
  readonly reconnecting: boolean;
  /** Said of the Mesh. */
  readonly authority?: (() => AnyVerdict | undefined) | undefined;
}

/** The status as it should be; undefined when it is so already, or when there is nothing to say. */
export function statusFor(
  parts: StatusParts,
  kind: StatusKind,
  key: string,
  observed: Observed,
): JsonObject | undefined {
  const wanted = statusObject(parts, kind, key, observed);
  if (wanted === undefined) return undefined;
  const before = isObject(observed.status) ? observed.status : {};
  const same = Object.entries(wanted).every(([field, value]) => isDeepStrictEqual(before[field], value));
  return same ? undefined : wanted;
}

function statusObject(parts: StatusParts, kind: StatusKind, key: string, observed: Observed): JsonObject | undefined {
  switch (kind) {
    case 'HTTPRoute':
    case 'GRPCRoute':
    case 'TCPRoute':
    case 'TLSRoute':
      return routeStatusObject(parts, kind, key, observed);
    case 'Mesh':
      return meshStatusObject(parts, observed);
    case 'ExternalService':
      return externalStatusObject(parts, key, observed);
    case 'TrafficPolicy':
    case 'FaultPolicy':
    case 'AuthorizationPolicy':
    case 'AuthenticationPolicy':
    case 'OverloadPolicy':
      return policyStatusObject(parts, kind, key, observed);
  }
}

function meshStatusObject(parts: StatusParts, observed: Observed): JsonObject | undefined {
  const { state, trustDomain } = parts.context;
  const generation = state.mesh?.metadata.generation;
  if (generation === undefined && observed.invalid === undefined) return undefined;
  const before = isObject(observed.status) ? observed.status['conditions'] : undefined;
  const carriers = [{ kind: 'listener', names: [...state.pods.keys()] }] as const;
  const message = 'the settings hold for the whole mesh';
  const verdicts: AnyVerdict[] =
    generation === undefined
      ? []
      : [
          { type: 'Accepted', status: 'True', reason: 'Accepted', message },
          ...refusedByMesh(parts.context),
          held(
            parts,
            before,
            generation,
            programmedVerdict({
              ...parts,
              generation,
              accepted: true,
              progress: progressOf(parts.hub, carriers, undefined),
            }),
          ),
        ];
  const all = observed.invalid === undefined ? verdicts : withInvalid(verdicts, observed.invalid);
  const { trust } = parts.context;
  const authority = parts.authority?.();
  const certificates = [trust?.certificates, authority, trust?.revocations?.()].filter((one) => one !== undefined);
  const federated = (state.mesh?.spec.trust.federation.length ?? 0) === 0 ? [] : [federatedVerdict(trust)];
  return {
    observedGeneration: observed.generation,
    trustDomain,
    conditions: conditionsFrom([...all, ...certificates, ...federated], observed.generation, before, parts.nowIso()),
  };
}

function federatedVerdict(trust: TrustFacts | undefined): AnyVerdict {
  const problems = trust?.federationProblems?.() ?? [];
  const message = problems.length === 0 ? 'the bundles of all federated trust domains are known' : problems.join('; ');
  return problems.length === 0
    ? { type: 'Federated', status: 'True', reason: 'BundlesKnown', message }
    : { type: 'Federated', status: 'False', reason: 'BundleProblem', message };
}

function externalStatusObject(parts: StatusParts, key: string, observed: Observed): JsonObject | undefined {
  const external = parts.context.state.externalServices.get(key);
  if (external === undefined && observed.invalid === undefined) return undefined;
  const before = isObject(observed.status) ? observed.status['conditions'] : undefined;
  let verdicts: AnyVerdict[] = [];
  if (external !== undefined) {
    const { conditions, carriers, clientNamespace, generation } = externalServiceStatus(parts.context, external);
    const progress = progressOf(parts.hub, carriers, clientNamespace);
    const accepted = isAccepted(conditions);
    const programmed = programmedVerdict({ ...parts, generation, accepted, progress });
    verdicts = [...conditions, held(parts, before, generation, programmed)];
  }
  const all = observed.invalid === undefined ? verdicts : withInvalid(verdicts, observed.invalid);
  return {
    observedGeneration: observed.generation,
    conditions: conditionsFrom(all, observed.generation, before, parts.nowIso()),
  };
}

/** While sidecars come back, what was found for the same generation before the restart says more than half a count. */
function held(parts: StatusParts, before: unknown, generation: number, verdict: ProgrammedVerdict): AnyVerdict {
  if (!parts.reconnecting || verdict.reason !== 'Reconnecting' || !Array.isArray(before)) return verdict;
  const old = before.find((one) => isObject(one) && one['type'] === PROGRAMMED);
  if (old?.observedGeneration !== generation || old.reason === 'NotAccepted') return verdict;
  const { status, reason, message } = old;
  if ((status !== 'True' && status !== 'False') || typeof reason !== 'string' || typeof message !== 'string')
    return verdict;
  return { type: PROGRAMMED, status, reason, message };
}

function routeStatusObject(
  parts: StatusParts,
  kind: RouteKind,
  key: string,
  observed: Observed,
): JsonObject | undefined {
  const verdict = routeVerdict(parts.context, kind, key, observed);
  if (verdict === undefined) return undefined;
  const all = listOf(observed.status, 'parents');
  const isOurs = (entry: unknown): boolean => isObject(entry) && entry['controllerName'] === CONTROLLER;
  // The list is atomic and shared: what other controllers wrote has to come along.
  const others = all.filter((entry) => !isOurs(entry));
  const ours = all.filter(isOurs);
  const parents = verdict.parents.map((parent) => {
    const before = ours.find((entry) => isObject(entry) && isDeepStrictEqual(entry['parentRef'], parent.parentRef));
    const known = isObject(before) ? before['conditions'] : undefined;
    const programmed = held(parts, known, observed.generation, programmedFor(parts, verdict, parent));
    const verdicts = [...parent.conditions, programmed];
    const conditions = conditionsFrom(
      observed.invalid === undefined ? verdicts : withInvalid(verdicts, observed.invalid),
      observed.generation,
      known,
      parts.nowIso(),
    );
    return { parentRef: parent.parentRef, controllerName: CONTROLLER, conditions };
  });
  if (parents.length === 0 && ours.length === 0) return undefined;
  return { parents: [...others, ...parents] };
}

/** Of a route that could never be taken only the parents are known; each of them is told why. */
function routeVerdict(
  context: TranslateContext,
  kind: RouteKind,
  key: string,
  observed: Observed,
): RouteVerdict | undefined {
  const route = context.state.routes.get(kind, key);
  if (route !== undefined) return routeStatus(context, route);
  if (observed.invalid === undefined || observed.parentRefs === undefined) return undefined;
  const nothing = { conditions: [], carriers: { kind: 'route', names: [] }, http2: [] } as const;
  const parents = observed.parentRefs.filter(isServiceParent).map((parentRef) => ({ parentRef, ...nothing }));
  return { kind, route: key, generation: observed.generation, parents };
}

function programmedFor(
  parts: StatusParts,
  { route, generation }: RouteVerdict,
  parent: RouteVerdict['parents'][number],
) {
  const namespace = namespaceOf(route);
  const producer = parent.parentRef.namespace ?? namespace;
  const clients = namespace === producer ? undefined : namespace;
  const accepted = isAccepted(parent.conditions);
  if (accepted && parent.http2.length > 0 && parent.http2.length === parent.carriers.names.length) {
    const blind = blindToHttp2(parts.hub, clients);
    if (blind > 0) return unreadVerdict(blind, parent.http2);
  }
  const progress = progressOf(parts.hub, [parent.carriers], clients, (subscriber) =>
    blamedOthers(parts.context, subscriber, { kind: 'route', key: route }),
  );
  return programmedVerdict({ ...parts, generation, accepted, progress });
}

function policyStatusObject(
  parts: StatusParts,
  kind: PolicyVerdict['kind'],
  key: string,
  observed: Observed,
): JsonObject | undefined {
  const verdict = policyVerdict(parts.context, kind, key);
  if (verdict === undefined && observed.invalid === undefined) return undefined;
  const before = listOf(observed.status, 'ancestors');
  const ancestors = (verdict?.ancestors ?? []).slice(0, 16).map((ancestor) => {
    const old = before.find(
      (entry) => isObject(entry) && isDeepStrictEqual(entry['ancestorRef'], ancestor.ancestorRef),
    );
    const suspect = suspectOf(kind, ancestor);
    const progress = progressOf(parts.hub, ancestor.carriers, ancestor.clientNamespace, (subscriber) =>
      suspect === undefined ? undefined : blamedOthers(parts.context, subscriber, suspect),
    );
    const generation = verdict?.generation ?? 0;
    const accepted = isAccepted(ancestor.conditions);
    const known = isObject(old) ? old['conditions'] : undefined;
    const programmed = held(parts, known, generation, programmedVerdict({ ...parts, generation, accepted, progress }));
    const conditions = conditionsFrom(
      [...ancestor.conditions, programmed],
      verdict?.generation ?? observed.generation,
      known,
      parts.nowIso(),
    );
    const { ancestorRef, effective } = ancestor;
    return { ancestorRef, controllerName: CONTROLLER, conditions, ...(effective === undefined ? {} : { effective }) };
  });
  const summary = summaryOf(ancestors.map((one) => one.conditions));
  const conditions = conditionsFrom(
    observed.invalid === undefined ? summary : withInvalid(summary, observed.invalid),
    observed.generation,
    isObject(observed.status) ? observed.status['conditions'] : undefined,
    parts.nowIso(),
  );
  return { observedGeneration: observed.generation, conditions, ancestors };
}

function suspectOf(kind: PolicyVerdict['kind'], { ancestorRef }: PolicyAncestorVerdict): Suspect | undefined {
  if (kind !== 'TrafficPolicy' && kind !== 'FaultPolicy') return undefined;
  const { kind: target, namespace, name } = ancestorRef;
  return { kind: 'client-policy', route: isRouteKind(target) ? `${namespace ?? ''}/${name}` : undefined };
}

function policyVerdict(context: TranslateContext, kind: PolicyVerdict['kind'], key: string): PolicyVerdict | undefined {
  if (kind === 'TrafficPolicy') {
    const policy = context.state.trafficPolicies.get(key);
    return policy && trafficPolicyStatus(context, policy);
  }
  if (kind === 'FaultPolicy') {
    const policy = context.state.faultPolicies.get(key);
    return policy && faultPolicyStatus(context, policy);
  }
  if (kind === 'AuthenticationPolicy') {
    const policy = context.state.authenticationPolicies.get(key);
    return policy && authenticationPolicyStatus(context, policy);
  }
  if (kind === 'OverloadPolicy') {
    const policy = context.state.overloadPolicies.get(key);
    return policy && overloadPolicyStatus(context, policy);
  }
  const policy = context.state.authorizationPolicies.get(key);
  return policy && authorizationPolicyStatus(context, policy);
}

const standsIn: Readonly<Record<NotTaken['holds'], string>> = {
  'the last good version': 'the last good generation goes on serving',
  'what can be read of it': 'no generation of it was good, so that what can be read of it holds and the rest is closed',
  nothing: 'nothing of it is served',
};

function withInvalid(verdicts: readonly AnyVerdict[], { reason, holds }: NotTaken): AnyVerdict[] {
  const message = `${reason}; ${standsIn[holds]}`;
  return [
    { type: 'Accepted', status: 'False', reason: 'Invalid', message },
    ...verdicts.filter((one) => one.type !== 'Accepted'),
  ];
}

const namespaceOf = (key: string): string => key.slice(0, key.indexOf('/'));
