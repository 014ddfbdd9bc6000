import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { Mesh } from '@weft/policies/crds/kinds';

const defaultMs = 3_600_000;

/** How long a workload certificate is valid. */
export function certificateTtlMs(mesh: Mesh | undefined): number {
  const ttl = mesh?.spec.certificates.ttl;
  return ttl === undefined ? defaultMs : acceptedDurationMs(ttl);
}
