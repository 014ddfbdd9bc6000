/** AuthorizationPolicies of a workload as RBAC filters: what audits, then what denies, then what allows. */
import type { AuthorizationPolicy } from '@weft/policies/crds/kinds';
import type { Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import type { Pod } from '../index/core.ts';
import { byAge, objectKey } from '../index/objects.ts';
import { type ClusterState, selects } from '../index/state.ts';
import type { TranslateContext } from './context.ts';
import { httpPermissions, networkPermissions } from './permissions.ts';
import { principalsOf } from './principals.ts';

type Action = AuthorizationPolicy['spec']['action'];

const rbacAction = { ALLOW: 'allow', DENY: 'deny', AUDIT: 'log' } as const;
const order: readonly Action[] = ['AUDIT', 'DENY', 'ALLOW'];

export interface WorkloadAuthorization {
  /** For requests. */
  readonly http: readonly Rbac[];
  /** For connections whose requests are not looked at. */
  readonly network: readonly Rbac[];
}

export function policiesFor(state: ClusterState, pod: Pod): AuthorizationPolicy[] {
  return state.authorizationPolicies
    .by('namespace', pod.metadata.namespace)
    .filter(({ spec }) => {
      const labels = spec.selector?.matchLabels ?? {};
      return Object.keys(labels).length === 0 || selects(labels, pod.metadata.labels);
    })
    .sort(byAge);
}

export function authorizationOf(context: TranslateContext, pod: Pod): WorkloadAuthorization {
  const policies = policiesFor(context.state, pod);
  const http: Rbac[] = [];
  const network: Rbac[] = [];
  for (const action of order) {
    const ofAction = policies.filter((policy) => policy.spec.action === action);
    // One ALLOW policy, even one without rules, denies what none allows; no policy at all denies nothing.
    if (ofAction.length === 0) continue;
    const rbac = (layer: 'http' | 'network'): Rbac => ({
      action: rbacAction[action],
      // On the wire they are a map, judged in the order of their names.
      policies: ofAction
        .flatMap((policy) => rbacPolicies(context, policy, layer))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    });
    http.push(rbac('http'));
    network.push(rbac('network'));
  }
  return { http, network };
}

function rbacPolicies(context: TranslateContext, policy: AuthorizationPolicy, layer: 'http' | 'network'): RbacPolicy[] {
  const effect = policy.spec.action === 'ALLOW' ? 'lets-in' : 'keeps-out';
  return policy.spec.rules.flatMap((rule, index) => {
    const permissions = layer === 'http' ? httpPermissions(rule) : networkPermissions(rule, effect);
    if (permissions.length === 0) return [];
    return [
      {
        name: `${objectKey(policy.metadata)}/${rule.name ?? index}`,
        permissions,
        principals: principalsOf(rule, policy.metadata.namespace, context.trustDomain),
      },
    ];
  });
}
