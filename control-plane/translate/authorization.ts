/** AuthorizationPolicies of a workload as filters: who else is asked, then what audits, what denies, what allows. */
import type { AuthorizationPolicy } from '@weft/policies/crds/kinds';
import type { Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import type { HttpFilter } from '@weft/policies/model/listener';
import type { Pod } from '../index/core.ts';
import { byAge, objectKey } from '../index/objects.ts';
import { type ClusterState, selects } from '../index/state.ts';
import { authorizerFilters, reservedHeaders } from './authorizers.ts';
import { type TranslateContext, trustedHopsOf } from './context.ts';
import { httpPermissions, networkPermissions } from './permissions.ts';
import { networkPrincipals, principalContext, principalsOf } from './principals.ts';

type Action = AuthorizationPolicy['spec']['action'];

const rbacAction = { ALLOW: 'allow', DENY: 'deny', AUDIT: 'log' } as const;
const order: readonly Exclude<Action, 'CUSTOM'>[] = ['AUDIT', 'DENY', 'ALLOW'];

export interface WorkloadAuthorization {
  /** Nobody but those may set their headers. */
  readonly reserved: readonly HttpFilter[];
  /** Authorizers outside of the sidecar, which are asked before all else. */
  readonly custom: readonly HttpFilter[];
  /** For requests. */
  readonly http: readonly Rbac[];
  /** For connections whose requests are not looked at. */
  readonly network: readonly Rbac[];
}

const labelsOf = ({ spec }: AuthorizationPolicy): Readonly<Record<string, string>> => spec.selector?.matchLabels ?? {};

/** One of the mesh's namespace that selects nothing is for the whole mesh. */
export const isMeshWide = (state: ClusterState, policy: AuthorizationPolicy): boolean =>
  policy.metadata.namespace === state.meshNamespace && Object.keys(labelsOf(policy)).length === 0;

/** The union of those of the mesh, of the namespace and of the workload: none takes the place of another. */
export function policiesFor(state: ClusterState, pod: Pod): AuthorizationPolicy[] {
  const { namespace, labels } = pod.metadata;
  const ofNamespace = state.authorizationPolicies.by('namespace', namespace).filter((policy) => {
    const wanted = labelsOf(policy);
    return Object.keys(wanted).length === 0 || selects(wanted, labels);
  });
  const ofMesh =
    namespace === state.meshNamespace
      ? []
      : state.authorizationPolicies.by('namespace', state.meshNamespace).filter((one) => isMeshWide(state, one));
  return [...ofMesh, ...ofNamespace].sort(byAge);
}

export function authorizationOf(context: TranslateContext, pod: Pod): WorkloadAuthorization {
  const policies = policiesFor(context.state, pod);
  const http: Rbac[] = [];
  const network: Rbac[] = [];
  const asking = policies.filter((policy) => policy.spec.action === 'CUSTOM');
  const custom = authorizerFilters(context.state, asking, (policy) => httpPolicies(context, policy));
  if (asking.length > 0) network.push(unaskable(context, asking, pod));
  for (const action of order) {
    const ofAction = policies.filter((policy) => policy.spec.action === action);
    // One ALLOW policy, even one without rules, denies what none allows; no policy at all denies nothing.
    if (ofAction.length === 0) continue;
    const rbac = (layer: 'http' | 'network'): Rbac => ({
      action: rbacAction[action],
      // On the wire they are a map, judged in the order of their names.
      policies: ofAction
        .flatMap((policy) => (layer === 'http' ? httpPolicies(context, policy) : networkPolicies(context, policy, pod)))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    });
    http.push(rbac('http'));
    network.push(rbac('network'));
  }
  return { reserved: reservedHeaders(context.state, asking), custom, http, network };
}

type Rule = AuthorizationPolicy['spec']['rules'][number];

/**
 * What the rules of a policy go by, in their order: by number where they have no name of their own. `#` is in no name, so
 * that a rule that somebody calls "1" does not take the place of the second one: on the wire rules are a map.
 */
export function ruleNames({ spec }: Pick<AuthorizationPolicy, 'spec'>): readonly string[] {
  const taken = new Set(spec.rules.map(({ name }) => name));
  return spec.rules.map(({ name }, index) => name ?? (taken.has(`${index}`) ? `#${index}` : `${index}`));
}

/** Each rule with its name, which is one of the whole mesh. */
function named(policy: AuthorizationPolicy): readonly (readonly [string, Rule])[] {
  const names = ruleNames(policy);
  const prefix = objectKey(policy.metadata);
  return policy.spec.rules.map((rule, index) => [`${prefix}/${names[index] ?? index}`, rule]);
}

const httpPolicies = (context: TranslateContext, policy: AuthorizationPolicy): RbacPolicy[] =>
  named(policy).map(([name, rule]) => ({
    name,
    permissions: httpPermissions(rule),
    principals: principalsOf(rule, principalContext(context, policy)),
  }));

/** Bytes that nobody can be asked about do not come in. */
const unaskable = (context: TranslateContext, policies: readonly AuthorizationPolicy[], pod: Pod): Rbac => ({
  action: 'deny',
  policies: policies
    .flatMap((policy) => networkPolicies(context, policy, pod))
    .sort((a, b) => (a.name < b.name ? -1 : 1)),
});

function networkPolicies(context: TranslateContext, policy: AuthorizationPolicy, pod: Pod): RbacPolicy[] {
  const effect = policy.spec.action === 'ALLOW' ? 'lets-in' : 'keeps-out';
  const trustedHops = trustedHopsOf(context, pod);
  return named(policy).flatMap(([name, rule]) => {
    const permissions = networkPermissions(rule, effect);
    const principals = networkPrincipals(rule, principalContext(context, policy), { effect, trustedHops });
    if (permissions.length === 0 || principals.length === 0) return [];
    return [{ name, permissions, principals }];
  });
}
