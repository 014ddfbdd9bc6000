import type { Condition } from '../client/objects.ts';
import type { Deployment, ReplicaSet } from './kinds.ts';
import type { RolloutBounds } from './rollout.ts';

type Status = NonNullable<Deployment['status']>;

const PROGRESS_DEADLINE_SECONDS_DEFAULT = 600;

const total = (
  sets: readonly ReplicaSet[],
  pick: (status: NonNullable<ReplicaSet['status']>) => number | undefined,
): number => sets.reduce((count, set) => count + (pick(set.status ?? {}) ?? 0), 0);

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

function condition(
  former: Condition | undefined,
  type: string,
  status: boolean,
  reason: string,
  message: string,
  nowMs: number,
  moved: boolean,
): Condition {
  const text = status ? 'True' : 'False';
  const same = former?.status === text && former.reason === reason && former.message === message && !moved;
  return {
    type,
    status: text,
    reason,
    message,
    lastUpdateTime: (same ? former.lastUpdateTime : undefined) ?? time(nowMs),
    lastTransitionTime: (former?.status === text ? former.lastTransitionTime : undefined) ?? time(nowMs),
  };
}

/** The status as `kubectl rollout status` and `kubectl wait` read it. */
export function deploymentStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  bounds: RolloutBounds,
  nowMs: number,
): Status {
  const wanted = deployment.spec.replicas ?? 1;
  const replicas = total(sets, (status) => status.replicas);
  const available = total(sets, (status) => status.availableReplicas);
  const updated = current?.status?.replicas ?? 0;
  const ready = total(sets, (status) => status.readyReplicas);
  const unavailable = Math.max(0, Math.max(replicas, wanted) - available);
  const former = deployment.status;
  const find = (type: string): Condition | undefined => former?.conditions?.find((item) => item.type === type);
  const moved =
    former === undefined ||
    updated > (former.updatedReplicas ?? 0) ||
    ready > (former.readyReplicas ?? 0) ||
    available > (former.availableReplicas ?? 0) ||
    replicas - updated < (former.replicas ?? 0) - (former.updatedReplicas ?? 0) ||
    former.observedGeneration !== deployment.metadata.generation;
  const complete = updated === wanted && replicas === wanted && available === wanted;
  const enough = available >= wanted - bounds.maxUnavailable;
  const name = current?.metadata.name ?? deployment.metadata.name;
  const progressing = ((): Condition => {
    const before = find('Progressing');
    const make = (status: boolean, reason: string, message: string, fresh: boolean): Condition =>
      condition(before, 'Progressing', status, reason, message, nowMs, fresh);
    if (deployment.spec.paused === true) return make(true, 'DeploymentPaused', 'Deployment is paused', false);
    if (complete)
      return make(true, 'NewReplicaSetAvailable', `ReplicaSet "${name}" has successfully progressed.`, false);
    const seconds = deployment.spec.progressDeadlineSeconds ?? PROGRESS_DEADLINE_SECONDS_DEFAULT;
    const since = Date.parse(before?.lastUpdateTime ?? '');
    const late = !moved && before?.reason !== 'NewReplicaSetAvailable' && nowMs - since > seconds * 1000;
    if (late) return make(false, 'ProgressDeadlineExceeded', `ReplicaSet "${name}" has timed out progressing.`, false);
    return make(true, 'ReplicaSetUpdated', `ReplicaSet "${name}" is progressing.`, moved);
  })();
  const availability = condition(
    find('Available'),
    'Available',
    enough,
    enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    enough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
    nowMs,
    false,
  );
  const failed = sets.flatMap((set) => set.status?.conditions ?? []).filter((item) => item.type === 'ReplicaFailure');
  const failure = failed[0];
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas,
    updatedReplicas: updated,
    readyReplicas: ready,
    availableReplicas: available,
    unavailableReplicas: unavailable,
    conditions: [
      availability,
      progressing,
      ...(failure === undefined
        ? []
        : [
            condition(
              find('ReplicaFailure'),
              'ReplicaFailure',
              true,
              failure.reason ?? '',
              failure.message ?? '',
              nowMs,
              false,
            ),
          ]),
    ],
  };
}

/** When to look again because the progress deadline may have passed. */
export function progressDeadlineMs(deployment: Deployment, status: Status, nowMs: number): number | undefined {
  const progressing = status.conditions?.find((item) => item.type === 'Progressing');
  if (progressing?.reason !== 'ReplicaSetUpdated') return undefined;
  const seconds = deployment.spec.progressDeadlineSeconds ?? PROGRESS_DEADLINE_SECONDS_DEFAULT;
  const dueMs = Date.parse(progressing.lastUpdateTime ?? '') + seconds * 1000 - nowMs;
  return Math.min(Math.max(dueMs, 0) + 1_000, 2 ** 31 - 1);
}
