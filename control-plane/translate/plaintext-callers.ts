/** Who would be kept out by STRICT, of those who have called lately: said before it holds, and after. */
import type { AuthenticationPolicy } from '@weft/policies/crds/kinds';
import type { Pod } from '../index/core.ts';
import type { ClusterState } from '../index/state.ts';
import { authenticationWinners, modeAt, type Proposed, wantedModes } from './authentication.ts';
import type { PlaintextCaller, TranslateContext } from './context.ts';
import type { ConditionVerdict } from './verdict.ts';

/** As much as a warning of kubectl may take. */
const CHARS_MAX = 240;
const NAME_CHARS_MAX = 63;
const INTRODUCTION = 'STRICT refuses callers seen without mutual TLS in the last 24 h: ';

const NOBODY: readonly PlaintextCaller[] = [];
const workloadOf = ({ metadata, workload }: Pod): string => `${metadata.namespace}/${workload}`;

/** What policies would make of a policy or a Mesh that is about to be stored. */
export function refusedWhenApplied(context: TranslateContext, { policy, mesh }: Proposed): string | undefined {
  const { state } = context;
  const next: Proposed = { ...(policy && { policy: newest(policy) }), ...(mesh && { mesh }) };
  const namespace = policy?.metadata.namespace;
  const pods =
    namespace === undefined || namespace === state.meshNamespace
      ? state.pods.values()
      : state.pods.by('namespace', namespace);
  return described(context, pods, (pod, port) => isStrict(state, pod, port, next) && !isStrict(state, pod, port));
}

/** What has no age yet is the youngest. */
function newest(policy: AuthenticationPolicy): AuthenticationPolicy {
  if (policy.metadata.creationTimestamp !== '') return policy;
  return { ...policy, metadata: { ...policy.metadata, creationTimestamp: '9999' } };
}

/** Of a policy that holds: of the ports whose mode it says. */
export function refusedBy(
  context: TranslateContext,
  policy: AuthenticationPolicy,
  pods: readonly Pod[],
): ConditionVerdict[] {
  const { state } = context;
  return seen(
    described(context, pods, (pod, port) => speaker(state, pod, port) === policy && isStrict(state, pod, port)),
  );
}

/** Of the Mesh: of the ports that are STRICT though no policy says so. */
export function refusedByMesh(context: TranslateContext): ConditionVerdict[] {
  const { state } = context;
  return seen(
    described(context, state.pods.values(), (pod, port) => {
      const { mtls, ports } = speaker(state, pod, port)?.spec ?? {};
      const said = ports?.find((one) => one.port === port)?.mode ?? mtls?.mode;
      return said !== 'STRICT' && isStrict(state, pod, port);
    }),
  );
}

/** The policy that says what a port takes; undefined: none does. */
function speaker(state: ClusterState, pod: Pod, port: number): AuthenticationPolicy | undefined {
  const { mtls, ports } = authenticationWinners(state, pod);
  return ports?.spec.ports?.some((one) => one.port === port) === true ? ports : mtls;
}

const isStrict = (state: ClusterState, pod: Pod, port: number, then?: Proposed): boolean =>
  modeAt(wantedModes(state, pod, then), port) === 'STRICT';

const seen = (message: string | undefined): ConditionVerdict[] =>
  message === undefined ? [] : [{ type: 'PlaintextSeen', status: 'True', reason: 'CallersWithoutMeshTls', message }];

/** Undefined: nobody. Pods of one workload are told of together. */
function described(
  context: TranslateContext,
  pods: Iterable<Pod>,
  isRefused: (pod: Pod, port: number) => boolean,
): string | undefined {
  const { plaintextCallers } = context;
  if (plaintextCallers === undefined) return undefined;
  const workloads = new Set<string>();
  const counts = new Map<string, number>();
  for (const pod of pods) {
    const workload = workloadOf(pod);
    if (!pod.meshed || workloads.has(workload)) continue;
    workloads.add(workload);
    for (const { ip, port, count } of plaintextCallers(workload) ?? NOBODY) {
      if (!isRefused(pod, port)) continue;
      const way = `${sourceOf(context, ip)} to ${short(workload)}:${port}`;
      counts.set(way, (counts.get(way) ?? 0) + count);
    }
  }
  return counts.size === 0 ? undefined : listed(counts);
}

/** A workload by its name, anybody else by address. */
function sourceOf({ state }: TranslateContext, ip: string): string {
  const [pod] = state.pods.by('ip', ip);
  return short(pod === undefined ? ip : workloadOf(pod));
}

const short = (name: string): string =>
  name.length > NAME_CHARS_MAX ? `${name.slice(0, NAME_CHARS_MAX - 3)}...` : name;

/** Those who call most come first; the others are counted. */
function listed(counts: ReadonlyMap<string, number>): string {
  const ways = [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([way, count]) => `${way} (${count})`);
  let text = INTRODUCTION;
  for (const [index, way] of ways.entries()) {
    const left = ways.length - index - 1;
    const more = left === 0 ? '' : `, and ${left} more`;
    if (index > 0 && text.length + 2 + way.length + more.length > CHARS_MAX) return `${text}, and ${left + 1} more`;
    text += index === 0 ? way : `, ${way}`;
  }
  return text;
}
