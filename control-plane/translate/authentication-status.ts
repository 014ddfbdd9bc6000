/** What is said of an AuthenticationPolicy: whom it is for, what it lost, and what is missing. */
import { authenticationPolicyFields } from '@weft/policies/crds/authenticationpolicy';
import type { AuthenticationPolicy, Mesh } from '@weft/policies/crds/kinds';
import type { Pod } from '../index/core.ts';
import { hasUnreadJwt, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import {
  type AuthenticationWinners,
  atLeast,
  authenticationPoliciesFor,
  authenticationWinners,
  isRival,
} from './authentication.ts';
import type { TranslateContext } from './context.ts';
import { jwksProblems } from './jwt.ts';
import { refusedBy } from './plaintext-callers.ts';
import type { PolicyVerdict } from './status.ts';
import type { ConditionVerdict } from './verdict.ts';

export function authenticationPolicyStatus(context: TranslateContext, policy: AuthenticationPolicy): PolicyVerdict {
  const { state } = context;
  const { namespace } = policy.metadata;
  const pods = candidates(state, policy).filter(
    (pod) => pod.meshed && authenticationPoliciesFor(state, pod).includes(policy),
  );
  const winners = pods.map((pod) => authenticationWinners(state, pod));
  return {
    kind: 'AuthenticationPolicy',
    policy: objectKey(policy.metadata),
    generation: policy.metadata.generation,
    ancestors: [
      {
        ancestorRef: isOfMesh(state, policy)
          ? { group: 'weft.dev', kind: 'Mesh', name: 'default' }
          : { group: '', kind: 'Namespace', name: namespace },
        conditions: [
          acceptedFor(context, policy, pods.length),
          ...unreadTokens(policy, pods, winners),
          ...missingKeys(context, policy),
          ...belowMinimum(state.mesh, policy),
          ...conflictsOf(state, policy, winners),
          ...refusedBy(context, policy, pods),
        ],
        carriers: [{ kind: 'listener', names: pods.map((pod) => objectKey(pod.metadata)) }],
        clientNamespace: undefined,
      },
    ],
  };
}

const isOfMesh = (state: ClusterState, { metadata, spec }: AuthenticationPolicy): boolean =>
  metadata.namespace === state.meshNamespace && Object.keys(spec.selector?.matchLabels ?? {}).length === 0;

const candidates = (state: ClusterState, policy: AuthenticationPolicy): Pod[] =>
  isOfMesh(state, policy) ? [...state.pods.values()] : state.pods.by('namespace', policy.metadata.namespace);

function acceptedFor(context: TranslateContext, policy: AuthenticationPolicy, pods: number): ConditionVerdict {
  const said = [pods === 0 ? 'no pod of the mesh is selected' : `the policy is for ${pods} of the mesh's pods`];
  const { trustDomain } = context;
  if (policy.spec.mtls?.mode === 'STRICT') said.push(`callers need a certificate of ${trustDomain}`);
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message: said.join('; ') };
}

/** Requests are refused since nobody knows what would let them in: who wrote the policy has to see it. */
function unreadTokens(
  policy: AuthenticationPolicy,
  pods: readonly Pod[],
  winners: readonly AuthenticationWinners[],
): ConditionVerdict[] {
  if (!hasUnreadJwt(policy)) return [];
  const closed = pods.filter((_, index) => winners[index]?.jwt === policy).length;
  const message = `its jwt cannot be read and there is no version before: all requests to ${closed} of the mesh's pods are refused; correct or delete the policy`;
  return [{ type: 'Enforced', status: 'False', reason: 'NotReadable', message }];
}

/** A token of an issuer without keys is refused: that has to be seen by who wrote the policy. */
function missingKeys(context: TranslateContext, policy: AuthenticationPolicy): ConditionVerdict[] {
  const problems = jwksProblems(context, policy);
  if (problems.length === 0) return [];
  return [{ type: 'ResolvedRefs', status: 'False', reason: 'KeysNotAvailable', message: problems.join('; ') }];
}

/** What the mesh does not let it weaken. */
export function belowMinimum(mesh: Mesh | undefined, { spec }: AuthenticationPolicy): ConditionVerdict[] {
  const minimum = mesh?.spec.mtls.minimum;
  if (mesh === undefined || minimum === undefined) return [];
  const weak: string[] = [];
  const { mtls, ports } = spec;
  if (mtls !== undefined && atLeast(minimum, mtls.mode) !== mtls.mode) weak.push(`mtls.mode ${mtls.mode}`);
  for (const { port, mode } of ports ?? []) {
    if (atLeast(minimum, mode) !== mode) weak.push(`${mode} of port ${port}`);
  }
  if (weak.length === 0) return [];
  const message = `not applied: ${weak.join(', ')}; the Mesh ${mesh.metadata.name} has mtls.minimum ${minimum}, which holds instead`;
  return [{ type: 'Enforced', status: 'False', reason: 'BelowMeshMinimum', message }];
}

function conflictsOf(
  state: ClusterState,
  policy: AuthenticationPolicy,
  winners: readonly AuthenticationWinners[],
): ConditionVerdict[] {
  const lost: string[] = [];
  for (const field of authenticationPolicyFields) {
    if (policy.spec[field] === undefined) continue;
    const others = new Set(
      winners.flatMap((one) => {
        const winner = one[field];
        return winner === undefined || winner === policy || !isRival(state, winner, policy)
          ? []
          : [objectKey(winner.metadata)];
      }),
    );
    for (const name of [...others].sort()) lost.push(`${field} is set by the older AuthenticationPolicy ${name}`);
  }
  if (lost.length === 0) return [];
  return [{ type: 'Conflicted', status: 'True', reason: 'Conflicted', message: lost.join('; ') }];
}
