import type { MeshControl } from '../mesh.ts';
import { counter, gauge, type MetricFamily } from './metrics.ts';

/** Key sets of issuers, and changes of what connections workloads take. */
export function authenticationFamilies({ keySets, modes }: MeshControl): MetricFamily[] {
  return [
    counter('weft_control_plane_jwks_fetched_total', 'Key sets fetched from issuers.', keySets.counters.fetched),
    counter('weft_control_plane_jwks_failed_total', 'Fetches of key sets that failed.', keySets.counters.failed),
    counter('weft_control_plane_jwks_changed_total', 'Key sets that came back changed.', keySets.counters.changed),
    gauge('weft_control_plane_jwks_failing', 'Key sets that could not be fetched last time.', keySets.failing),
    counter(
      'weft_control_plane_mode_changes_total',
      'Workloads whose callers had to be told of a mode.',
      modes.counters.changes,
    ),
    counter(
      'weft_control_plane_mode_changes_timed_out_total',
      'Steps of such changes that went on without an answer of everyone.',
      modes.counters.timedOut,
    ),
  ];
}
