/** AuthenticationPolicies of a workload: which of them counts for each field, and what connections its ports take. */
import { type AuthenticationPolicyField, authenticationPolicyFields } from '@weft/policies/crds/authenticationpolicy';
import type { AuthenticationPolicy, Mesh } from '@weft/policies/crds/kinds';
import type { Pod } from '../index/core.ts';
import { byAge, hasUnreadJwt } from '../index/objects.ts';
import { type ClusterState, selects } from '../index/state.ts';
import type { TranslateContext } from './context.ts';

export type TlsMode = NonNullable<AuthenticationPolicy['spec']['mtls']>['mode'];

/** What connections a workload takes, by port of the pod. */
export interface TlsModes {
  readonly ports: ReadonlyMap<number, TlsMode>;
  /** Of all others. */
  readonly others: TlsMode;
}

type Level = 'workload' | 'namespace' | 'mesh';

const levels: readonly Level[] = ['workload', 'namespace', 'mesh'];

function levelOf(state: ClusterState, { metadata, spec }: AuthenticationPolicy): Level {
  if (Object.keys(spec.selector?.matchLabels ?? {}).length > 0) return 'workload';
  return metadata.namespace === state.meshNamespace ? 'mesh' : 'namespace';
}

/** What somebody is about to apply, in the place of what is there by its name. */
export interface Proposed {
  readonly policy?: AuthenticationPolicy;
  readonly mesh?: Mesh;
}

/** All that are for a workload, in the order in which they count. */
export function authenticationPoliciesFor(
  state: ClusterState,
  pod: Pod,
  proposed?: AuthenticationPolicy,
): AuthenticationPolicy[] {
  const { namespace, labels } = pod.metadata;
  const own = policiesIn(state, namespace, proposed);
  const ofMesh = namespace === state.meshNamespace ? [] : policiesIn(state, state.meshNamespace, proposed);
  const all = [
    ...own.filter(
      (policy) => levelOf(state, policy) !== 'workload' || selects(policy.spec.selector?.matchLabels ?? {}, labels),
    ),
    ...ofMesh.filter((policy) => levelOf(state, policy) === 'mesh'),
  ];
  return levels.flatMap((level) => all.filter((policy) => levelOf(state, policy) === level).sort(byAge));
}

/** Whose tokens are not known comes first of its level: its selector may be what could not be read. */
const jwtWinner = (
  policies: readonly AuthenticationPolicy[],
  state: ClusterState,
): AuthenticationPolicy | undefined => {
  const first = policies.find(({ spec }) => spec.jwt !== undefined);
  return first && (policies.find((one) => hasUnreadJwt(one) && isRival(state, one, first)) ?? first);
};

function policiesIn(
  state: ClusterState,
  namespace: string,
  proposed: AuthenticationPolicy | undefined,
): readonly AuthenticationPolicy[] {
  const all = state.authenticationPolicies.by('namespace', namespace);
  if (proposed?.metadata.namespace !== namespace) return all;
  return [...all.filter(({ metadata }) => metadata.name !== proposed.metadata.name), proposed];
}

export type AuthenticationWinners = { readonly [Field in AuthenticationPolicyField]?: AuthenticationPolicy };

export function authenticationWinners(
  state: ClusterState,
  pod: Pod,
  proposed?: AuthenticationPolicy,
): AuthenticationWinners {
  const winners: { [Field in AuthenticationPolicyField]?: AuthenticationPolicy } = {};
  if (state.authenticationPolicies.size === 0 && proposed === undefined) return winners;
  const policies = authenticationPoliciesFor(state, pod, proposed);
  for (const policy of policies) {
    for (const field of authenticationPolicyFields) {
      if (policy.spec[field] !== undefined) winners[field] ??= policy;
    }
  }
  const jwt = jwtWinner(policies, state);
  return jwt === undefined ? winners : { ...winners, jwt };
}

/** At one level who came first has it; at another the more specific has, and nobody is in the way of anybody. */
export function isRival(state: ClusterState, a: AuthenticationPolicy, b: AuthenticationPolicy): boolean {
  return levelOf(state, a) === levelOf(state, b);
}

const strength: Readonly<Record<TlsMode, number>> = { DISABLED: 0, PERMISSIVE: 1, STRICT: 2 };

/** What the mesh makes of a mode: nothing is weaker than its minimum. */
export function atLeast(minimum: TlsMode | undefined, mode: TlsMode): TlsMode {
  return minimum !== undefined && strength[mode] < strength[minimum] ? minimum : mode;
}

/** What policies want, whoever has heard of it by now. `proposed`: were it applied. */
export function wantedModes(state: ClusterState, pod: Pod, proposed: Proposed = {}): TlsModes {
  const { mtls, ports } = authenticationWinners(state, pod, proposed.policy);
  const mesh = (proposed.mesh ?? state.mesh)?.spec.mtls;
  const minimum = mesh?.minimum;
  return {
    ports: new Map((ports?.spec.ports ?? []).map(({ port, mode }) => [port, atLeast(minimum, mode)])),
    others: atLeast(minimum, mtls?.spec.mtls?.mode ?? mesh?.mode ?? 'PERMISSIVE'),
  };
}

export const modeAt = ({ ports, others }: TlsModes, port: number): TlsMode => ports.get(port) ?? others;

/** What the sidecar of a workload takes now: while its callers are being told, more than policies want. */
export const takenModes = (context: TranslateContext, key: string, pod: Pod): TlsModes =>
  context.modeChanges?.(key)?.taken ?? wantedModes(context.state, pod);

/** What callers of a workload are told now: what its sidecar is known to take. */
export const toldModes = (context: TranslateContext, key: string, pod: Pod): TlsModes =>
  context.modeChanges?.(key)?.told ?? wantedModes(context.state, pod);

/** Whether callers use TLS of the mesh. */
export const usesMeshTls = (modes: TlsModes, port: number): boolean => modeAt(modes, port) !== 'DISABLED';
