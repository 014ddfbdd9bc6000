import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { Mesh } from '@weft/policies/crds/kinds';

const defaultMs = 3_600_000;

/** Two minutes are what a kubelet may take to bring a changed ConfigMap into a pod; the rest is for what has waited to start. */
const defaultAnnounceMs = 10 * 60_000;

/** How long a new root is trusted before anything is signed under it. */
export function announceMs(mesh: Mesh | undefined): number {
  const announce = mesh?.spec.certificates.announce;
  return announce === undefined ? defaultAnnounceMs : acceptedDurationMs(announce);
}

/** How long a workload certificate is valid. */
export function certificateTtlMs(mesh: Mesh | undefined): number {
  const ttl = mesh?.spec.certificates.ttl;
  return ttl === undefined ? defaultMs : acceptedDurationMs(ttl);
}
