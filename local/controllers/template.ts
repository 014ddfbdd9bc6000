import { createHash } from 'node:crypto';
import type { KubeObject, Pod, PodTemplate } from '../client/objects.ts';

export const HASH_LABEL = 'pod-template-hash';

/** JSON with sorted keys: equal values give equal text whatever the order they were written in. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

/** The template without the label that the controller itself adds. */
export function templateText(template: PodTemplate): string {
  const labels = Object.entries(template.metadata?.labels ?? {}).filter(([key]) => key !== HASH_LABEL);
  return canonical({ ...template, metadata: { ...template.metadata, labels: Object.fromEntries(labels) } });
}

// Consonants and digits only, as Kubernetes does, so that no name spells a word.
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

export function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256').update(templateText(template)).digest();
  return [...digest.subarray(0, 10)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

export function podFromTemplate(
  owner: KubeObject & { readonly apiVersion: string; readonly kind: string },
  template: PodTemplate,
): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace,
      labels: template.metadata?.labels ?? {},
      ...(template.metadata?.annotations === undefined ? {} : { annotations: template.metadata.annotations }),
      ownerReferences: [ownerReference(owner)],
    },
    spec: template.spec,
  };
}

export function ownerReference(owner: KubeObject & { readonly apiVersion: string; readonly kind: string }): unknown {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function isPodReady(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
  );
}

export function isPodActive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isPodFinished(pod);
}

export function isPodFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function readySinceMs(pod: Pod): number | undefined {
  const ready = pod.status?.conditions?.find((condition) => condition.type === 'Ready' && condition.status === 'True');
  return ready === undefined ? undefined : Date.parse(ready.lastTransitionTime ?? '') || 0;
}

/** Milliseconds until a ready pod counts as available, 0 if it does, `undefined` if it is not ready. */
export function msUntilAvailable(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  const since = readySinceMs(pod);
  if (since === undefined) return undefined;
  return minReadySeconds === 0 ? 0 : Math.max(0, since + minReadySeconds * 1000 - nowMs);
}

const PHASE_ORDER: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/** Which of two pods goes first when there are too many: the one whose loss costs less (ReplicaSet's documented order). */
export function compareVictims(a: Pod, b: Pod): number {
  const by = (score: (pod: Pod) => number): number => score(a) - score(b);
  return (
    by((pod) => (pod.spec.nodeName === undefined || pod.spec.nodeName === '' ? 0 : 1)) ||
    by((pod) => PHASE_ORDER[pod.status?.phase ?? 'Pending'] ?? 1) ||
    by((pod) => (isPodReady(pod) ? 1 : 0)) ||
    by((pod) => Number(pod.metadata.annotations?.[DELETION_COST] ?? 0) || 0) ||
    by((pod) => -(readySinceMs(pod) ?? 0)) ||
    by((pod) => -Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount))) ||
    by((pod) => -(Date.parse(pod.metadata.creationTimestamp ?? '') || 0))
  );
}
