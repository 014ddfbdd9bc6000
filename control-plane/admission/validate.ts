/** What admission says about an object: the schema's verdict, and warnings about what it refers to. Pure. */
import { type AnyRoute, isRouteKind, type KindName, kindNames, parseKind } from '@weft/policies/crds/kinds';
import { describeErrors } from '@weft/policies/crds/parse';
import { z } from 'zod';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { isServiceParent } from '../translate/attachment.ts';
import { belowMinimum } from '../translate/authentication-status.ts';
import { authorizerConditions, missedAuthorizers } from '../translate/authorizers.ts';
import type { TranslateContext } from '../translate/context.ts';
import { externalServiceStatus } from '../translate/external/status.ts';
import { faultPolicyStatus } from '../translate/fault-status.ts';
import { refusedWhenApplied } from '../translate/plaintext-callers.ts';
import { routeStatus } from '../translate/route-status.ts';
import { droppedRules } from '../translate/rule-faults.ts';
import { trafficPolicyStatus } from '../translate/status.ts';

export type AdmissionVerdict =
  | { readonly allowed: true; readonly warnings: readonly string[] }
  | { readonly allowed: false; readonly message: string };

const isKind = (kind: string): kind is KindName => kindNames.some((one) => one === kind);
const warningsMax = 8;
const warningCharsMax = 240;

export function validateObject(context: TranslateContext, kind: string, object: unknown): AdmissionVerdict {
  if (!isKind(kind)) return { allowed: true, warnings: [] };
  // A route that asks nothing of the mesh is its gateway's to judge, which may know fields that we do not.
  if (isRouteKind(kind) && !hasServiceParent(object)) return { allowed: true, warnings: [] };
  const parsed = parseKind(kind, object);
  if (!parsed.ok) return { allowed: false, message: `${kind} is not valid: ${describeErrors(parsed.error)}` };
  const cannot = whatIsAlwaysDropped(parsed.value);
  if (cannot.length > 0) return { allowed: false, message: `${kind} is not valid: ${cannot.join('; ')}` };
  const warnings = warningsFor(context, parsed.value);
  return { allowed: true, warnings: warnings.slice(0, warningsMax).map((one) => one.slice(0, warningCharsMax)) };
}

/** What cannot be read is for the schema to refuse. */
const parented = z.looseObject({
  spec: z.looseObject({
    parentRefs: z.array(z.looseObject({ group: z.unknown().optional(), kind: z.unknown().optional() })).min(1),
  }),
});

function hasServiceParent(object: unknown): boolean {
  const parsed = parented.safeParse(object);
  return !parsed.success || parsed.data.spec.parentRefs.some((ref) => ref.kind === 'Service' && ref.group === '');
}

type Parsed = Extract<ReturnType<typeof parseKind>, { ok: true }>['value'];

/** What no change of anything else would make right. A gateway that the route names too may be able to do it. */
function whatIsAlwaysDropped(object: Parsed): readonly string[] {
  if (!isRoute(object) || !(object.spec.parentRefs ?? []).every(isServiceParent)) return [];
  return [...droppedRules(object).values()].slice(0, warningsMax);
}

const isRoute = (object: Parsed): object is AnyRoute => isRouteKind(object.kind);

/** References may be met later, so that what they miss is no reason to refuse. */
function warningsFor(context: TranslateContext, object: Parsed): string[] {
  switch (object.kind) {
    case 'HTTPRoute':
    case 'GRPCRoute':
    case 'TCPRoute':
    case 'TLSRoute':
      return [...new Set(routeStatus(context, object).parents.flatMap(({ conditions }) => refusals(conditions)))];
    case 'TrafficPolicy': {
      return trafficPolicyStatus(context, object).ancestors.flatMap(({ conditions }) => refusals(conditions));
    }
    case 'FaultPolicy':
      return faultPolicyStatus(context, object).ancestors.flatMap(({ conditions }) => refusals(conditions));
    case 'AuthenticationPolicy':
      return [
        ...(selectsNothing(context.state, object) ? ['the selector matches no pod now'] : []),
        ...refusals(belowMinimum(context.state.mesh, object)),
        ...some(refusedWhenApplied(context, { policy: object })),
      ];
    case 'AuthorizationPolicy':
      return [
        ...(selectsNothing(context.state, object) ? ['the selector matches no pod now'] : []),
        ...refusals(authorizerConditions(context.state, object)),
      ];
    case 'OverloadPolicy':
      return selectsNothing(context.state, object) ? ['the selector matches no pod now'] : [];
    case 'ExternalService':
      return refusals(externalServiceStatus(context, object).conditions);
    case 'Mesh':
      return [
        ...some(missedAuthorizers(context.state, object)),
        ...some(refusedWhenApplied(context, { mesh: object })),
      ];
    case 'ReferenceGrant':
      return [];
  }
}

const some = (text: string | undefined): string[] => (text === undefined ? [] : [text]);

const refusals = (
  conditions: readonly { readonly status: string; readonly message: string; readonly type: string }[],
): string[] =>
  conditions
    .filter((one) => one.type === 'PartiallyInvalid' || (one.type !== 'Conflicted' && one.status === 'False'))
    .map((one) => one.message);

function selectsNothing(
  state: ClusterState,
  policy: Extract<Parsed, { kind: 'AuthorizationPolicy' | 'AuthenticationPolicy' | 'OverloadPolicy' }>,
): boolean {
  const labels = Object.entries(policy.spec.selector?.matchLabels ?? {});
  if (labels.length === 0) return false;
  return !state.pods
    .by('namespace', objectKey(policy.metadata).split('/', 1)[0] ?? '')
    .some((pod) => labels.every(([name, value]) => pod.metadata.labels[name] === value));
}
