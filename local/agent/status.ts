import type { Condition, ContainerStatus, Pod, PodSpec, PodStatus } from '../client/objects.ts';

/** What the pod's worker knows; from it follows the status, without any state of its own. */
export interface PodFacts {
  readonly addresses: { readonly podIps: readonly string[]; readonly hostIps: readonly string[] };
  readonly networkReady: boolean;
  readonly initStatuses: readonly ContainerStatus[];
  readonly statuses: readonly ContainerStatus[];
  readonly initialized: boolean;
  /** Set when nothing of the pod will run again. */
  readonly finished: 'Succeeded' | 'Failed' | undefined;
  readonly reason?: string;
  readonly message?: string;
  readonly startTime: string;
  readonly now: string;
}

function phaseOf(facts: PodFacts): string {
  if (facts.finished !== undefined) return facts.finished;
  if (!facts.initialized) return 'Pending';
  const ranOnce = facts.statuses.some(
    (status) => status.state.running ?? status.state.terminated ?? status.lastState.terminated,
  );
  return ranOnce ? 'Running' : 'Pending';
}

/** Kubernetes' three classes: all limits equal requests, some resources given, none given. */
export function qosClassOf(spec: PodSpec): string {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  let any = false;
  let guaranteed = true;
  for (const container of containers) {
    const limits = container.resources?.limits ?? {};
    const requests = container.resources?.requests ?? {};
    for (const resource of ['cpu', 'memory']) {
      const limit = limits[resource];
      const request = requests[resource] ?? limit;
      if (limit !== undefined || request !== undefined) any = true;
      if (limit === undefined || request !== limit) guaranteed = false;
    }
  }
  return !any ? 'BestEffort' : guaranteed ? 'Guaranteed' : 'Burstable';
}

interface Verdict {
  readonly status: boolean;
  readonly reason?: string;
  readonly message?: string;
}

function names(statuses: readonly ContainerStatus[], test: (status: ContainerStatus) => boolean): string {
  return statuses
    .filter(test)
    .map((status) => status.name)
    .join(' ');
}

function containersReady(pod: Pod, facts: PodFacts): Verdict {
  if (facts.finished === 'Succeeded') return { status: false, reason: 'PodCompleted' };
  if (facts.finished === 'Failed') return { status: false, reason: 'PodFailed' };
  const sidecars = new Set(
    (pod.spec.initContainers ?? []).filter((item) => item.restartPolicy === 'Always').map((item) => item.name),
  );
  const counted = [...facts.initStatuses.filter((status) => sidecars.has(status.name)), ...facts.statuses];
  const unready = names(counted, (status) => !status.ready);
  if (unready === '') return { status: true };
  return { status: false, reason: 'ContainersNotReady', message: `containers with unready status: [${unready}]` };
}

function initialized(facts: PodFacts): Verdict {
  if (facts.initialized)
    return facts.finished === 'Succeeded' ? { status: true, reason: 'PodCompleted' } : { status: true };
  const open = names(facts.initStatuses, (status) => !status.ready);
  return { status: false, reason: 'ContainersNotInitialized', message: `containers with incomplete status: [${open}]` };
}

function readyOf(pod: Pod, containers: Verdict, conditions: readonly Condition[]): Verdict {
  if (!containers.status) return containers;
  const closed = (pod.spec.readinessGates ?? [])
    .map((gate) => gate.conditionType)
    .filter((type) => conditions.find((condition) => condition.type === type)?.status !== 'True');
  if (closed.length === 0) return { status: true };
  return { status: false, reason: 'ReadinessGatesNotReady', message: `conditions not True: ${closed.join(', ')}` };
}

const OWN_CONDITIONS = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];

/** The pod's status as it should be written; conditions of other writers stay, times change only with the status. */
export function podStatusOf(pod: Pod, facts: PodFacts): PodStatus {
  const former = pod.status?.conditions ?? [];
  const containers = containersReady(pod, facts);
  const verdicts: Readonly<Record<string, Verdict>> = {
    PodReadyToStartContainers: { status: facts.networkReady && facts.finished === undefined },
    Initialized: initialized(facts),
    Ready: readyOf(pod, containers, former),
    ContainersReady: containers,
    PodScheduled: { status: true },
  };
  const conditions = OWN_CONDITIONS.map((type): Condition => {
    const verdict = verdicts[type] ?? { status: false };
    const status = verdict.status ? 'True' : 'False';
    const before = former.find((condition) => condition.type === type);
    return {
      type,
      status,
      lastProbeTime: null,
      lastTransitionTime: (before?.status === status ? before.lastTransitionTime : undefined) ?? facts.now,
      ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
      ...(verdict.message === undefined ? {} : { message: verdict.message }),
    };
  });
  const { podIps, hostIps } = facts.addresses;
  return {
    phase: phaseOf(facts),
    conditions: [...former.filter((condition) => !OWN_CONDITIONS.includes(condition.type)), ...conditions],
    qosClass: qosClassOf(pod.spec),
    startTime: facts.startTime,
    containerStatuses: facts.statuses,
    ...(facts.initStatuses.length === 0 ? {} : { initContainerStatuses: facts.initStatuses }),
    ...(hostIps[0] === undefined ? {} : { hostIP: hostIps[0], hostIPs: hostIps.map((ip) => ({ ip })) }),
    ...(podIps[0] === undefined ? {} : { podIP: podIps[0], podIPs: podIps.map((ip) => ({ ip })) }),
    ...(facts.reason === undefined ? {} : { reason: facts.reason }),
    ...(facts.message === undefined ? {} : { message: facts.message }),
  };
}
