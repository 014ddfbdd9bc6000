/** What is said of an OverloadPolicy: whom it protects, what it lost, and what only Weft's sidecar does. */
import type { OverloadPolicy } from '@weft/policies/crds/kinds';
import { overloadPolicyFields } from '@weft/policies/crds/overloadpolicy';
import { objectKey } from '../index/objects.ts';
import type { TranslateContext } from './context.ts';
import { isPlainLimit, type OverloadWinners, overloadPoliciesFor, overloadWinners } from './overload.ts';
import type { PolicyVerdict } from './status.ts';
import type { ConditionVerdict } from './verdict.ts';

export function overloadPolicyStatus(context: TranslateContext, policy: OverloadPolicy): PolicyVerdict {
  const { namespace } = policy.metadata;
  const pods = context.state.pods
    .by('namespace', namespace)
    .filter((pod) => pod.meshed && overloadPoliciesFor(context.state, pod).includes(policy));
  const winners = pods.map((pod) => overloadWinners(context.state, pod));
  return {
    kind: 'OverloadPolicy',
    policy: objectKey(policy.metadata),
    generation: policy.metadata.generation,
    ancestors: [
      {
        ancestorRef: { group: '', kind: 'Namespace', name: namespace },
        conditions: [acceptedFor(policy, winners), ...conflictsOf(policy, winners)],
        carriers: [{ kind: 'listener', names: pods.map((pod) => objectKey(pod.metadata)) }],
        clientNamespace: undefined,
      },
    ],
  };
}

function acceptedFor({ spec }: OverloadPolicy, winners: readonly OverloadWinners[]): ConditionVerdict {
  const waits = spec.priorities !== undefined || spec.queue !== undefined;
  if (waits && winners.length > 0 && winners.every((one) => one.concurrency === undefined)) {
    const message = 'priorities and queue need a limit: no policy sets concurrency for the selected pods';
    return { type: 'Accepted', status: 'False', reason: 'MissingConcurrency', message };
  }
  const own = onlyWeft(spec);
  const message = [
    winners.length === 0
      ? 'no pod of the mesh is selected'
      : `the policy protects ${winners.length} of the mesh's pods`,
    ...(own.length === 0 ? [] : [`proxies other than Weft's sidecar do without ${own.join(', ')}`]),
  ].join('; ');
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message };
}

/** For what Envoy has no message. */
function onlyWeft(spec: OverloadPolicy['spec']): string[] {
  return [
    ...(spec.rateLimits ?? []).filter((limit) => !isPlainLimit(limit)).map(({ name }) => `rateLimits ${name}`),
    ...(spec.concurrency?.fixed === undefined ? [] : ['concurrency.fixed']),
    ...(spec.priorities === undefined ? [] : ['priorities']),
    ...(spec.queue === undefined ? [] : ['queue']),
    ...(['maxRequestLineBytes', 'maxHeaderLineBytes', 'maxBodyBytes'] as const)
      .filter((name) => spec.requestLimits?.[name] !== undefined)
      .map((name) => `requestLimits.${name}`),
  ];
}

function conflictsOf(policy: OverloadPolicy, winners: readonly OverloadWinners[]): ConditionVerdict[] {
  const lost: string[] = [];
  for (const field of overloadPolicyFields) {
    if (policy.spec[field] === undefined) continue;
    const others = new Set(
      winners.flatMap((one) => {
        const winner = one[field];
        return winner === undefined || winner === policy ? [] : [objectKey(winner.metadata)];
      }),
    );
    for (const name of [...others].sort()) lost.push(`${field} is set by the older OverloadPolicy ${name}`);
  }
  if (lost.length === 0) return [];
  return [{ type: 'Conflicted', status: 'True', reason: 'Conflicted', message: lost.join('; ') }];
}
