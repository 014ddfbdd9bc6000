/** The status objects of routes and policies, from what was judged and from how far it has come. */
import { isDeepStrictEqual } from 'node:util';
import type { TranslateContext } from '../translate/context.ts';
import {
  authorizationPolicyStatus,
  type ConditionVerdict,
  type PolicyVerdict,
  type RouteVerdict,
  routeStatus,
  trafficPolicyStatus,
} from '../translate/status.ts';
import type { XdsHub } from '../xds/hub.ts';
import { conditionsFrom } from './conditions.ts';
import { programmedVerdict, progressOf } from './progress.ts';

export const CONTROLLER = 'weft.dev/control-plane';

type JsonObject = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (status: unknown, field: string): readonly unknown[] => {
  const list = isObject(status) ? status[field] : undefined;
  return Array.isArray(list) ? list : [];
};

export type StatusKind = 'HTTPRoute' | 'TrafficPolicy' | 'AuthorizationPolicy';

/** Kept from what the API server said last, for objects that were refused as malformed too. */
export interface Observed {
  readonly generation: number;
  readonly status: unknown;
  /** Why the last version could not be taken; the one before it goes on serving. */
  readonly invalid: string | undefined;
}

export interface StatusParts {
  readonly context: TranslateContext;
  readonly hub: XdsHub;
  readonly nowIso: () => string;
}

const isAccepted = (conditions: readonly ConditionVerdict[]): boolean =>
  conditions.some((one) => one.type === 'Accepted' && one.status === 'True');

/** The status as it should be; undefined when it is so already, or when there is nothing to say. */
export function statusFor(
  parts: StatusParts,
  kind: StatusKind,
  key: string,
  observed: Observed,
): JsonObject | undefined {
  const wanted =
    kind === 'HTTPRoute' ? routeStatusObject(parts, key, observed) : policyStatusObject(parts, kind, key, observed);
  if (wanted === undefined) return undefined;
  const before = isObject(observed.status) ? observed.status : {};
  const same = Object.entries(wanted).every(([field, value]) => isDeepStrictEqual(before[field], value));
  return same ? undefined : wanted;
}

function routeStatusObject(parts: StatusParts, key: string, observed: Observed): JsonObject | undefined {
  const route = parts.context.state.httpRoutes.get(key);
  if (route === undefined) return undefined;
  const all = listOf(observed.status, 'parents');
  const isOurs = (entry: unknown): boolean => isObject(entry) && entry['controllerName'] === CONTROLLER;
  // The list is atomic and shared: what other controllers wrote has to come along.
  const others = all.filter((entry) => !isOurs(entry));
  const ours = all.filter(isOurs);
  const verdict = routeStatus(parts.context, route);
  const parents = verdict.parents.map((parent) => {
    const before = ours.find((entry) => isObject(entry) && isDeepStrictEqual(entry['parentRef'], parent.parentRef));
    const verdicts = [...parent.conditions, programmedFor(parts, verdict, parent)];
    const conditions = conditionsFrom(
      observed.invalid === undefined ? verdicts : withInvalid(verdicts, observed.invalid),
      observed.generation,
      isObject(before) ? before['conditions'] : undefined,
      parts.nowIso(),
    );
    return { parentRef: parent.parentRef, controllerName: CONTROLLER, conditions };
  });
  if (parents.length === 0 && ours.length === 0) return undefined;
  return { parents: [...others, ...parents] };
}

function programmedFor(parts: StatusParts, verdict: RouteVerdict, parent: RouteVerdict['parents'][number]) {
  const producer = parent.parentRef.namespace ?? namespaceOf(verdict.route);
  const namespace = namespaceOf(verdict.route);
  const progress = progressOf(parts.hub, [parent.carriers], namespace === producer ? undefined : namespace);
  return programmedVerdict(verdict.generation, isAccepted(parent.conditions), progress);
}

function policyStatusObject(
  parts: StatusParts,
  kind: 'TrafficPolicy' | 'AuthorizationPolicy',
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
    const progress = progressOf(parts.hub, ancestor.carriers, ancestor.clientNamespace);
    const programmed = programmedVerdict(verdict?.generation ?? 0, isAccepted(ancestor.conditions), progress);
    const conditions = conditionsFrom(
      [...ancestor.conditions, programmed],
      verdict?.generation ?? observed.generation,
      isObject(old) ? old['conditions'] : undefined,
      parts.nowIso(),
    );
    return { ancestorRef: ancestor.ancestorRef, controllerName: CONTROLLER, conditions };
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

function policyVerdict(
  context: TranslateContext,
  kind: 'TrafficPolicy' | 'AuthorizationPolicy',
  key: string,
): PolicyVerdict | undefined {
  if (kind === 'TrafficPolicy') {
    const policy = context.state.trafficPolicies.get(key);
    return policy && trafficPolicyStatus(context, policy);
  }
  const policy = context.state.authorizationPolicies.get(key);
  return policy && authorizationPolicyStatus(context, policy);
}

interface AnyVerdict {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** One verdict a type over all ancestors, for `kubectl get`: the worst one speaks. */
function summaryOf(ancestors: readonly (readonly AnyVerdict[])[]): AnyVerdict[] {
  const byType = new Map<string, AnyVerdict>();
  for (const verdict of ancestors.flat()) {
    const known = byType.get(verdict.type);
    const worse = verdict.type === 'Conflicted' ? verdict.status === 'True' : verdict.status !== 'True';
    if (known === undefined || (worse && known.status !== verdict.status)) byType.set(verdict.type, verdict);
  }
  return [...byType.values()].map(({ type, status, reason, message }) => ({ type, status, reason, message }));
}

const withInvalid = (verdicts: readonly AnyVerdict[], reason: string): AnyVerdict[] => [
  {
    type: 'Accepted',
    status: 'False',
    reason: 'Invalid',
    message: `${reason}; the last good generation goes on serving`,
  },
  ...verdicts.filter((one) => one.type !== 'Accepted'),
];

const namespaceOf = (key: string): string => key.slice(0, key.indexOf('/'));
