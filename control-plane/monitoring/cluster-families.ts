import type { LeaderElection } from '../kube/lease.ts';
import type { ClusterWatcher } from '../kube/watcher.ts';
import type { StatusWriter } from '../status/writer.ts';
import { counter, gauge, type MetricFamily } from './metrics.ts';

interface ClusterParts {
  readonly watcher: ClusterWatcher;
  readonly status: StatusWriter;
  readonly leader: LeaderElection;
}

/** The metrics of what a control plane does with the Kubernetes API. */
export function clusterFamilies({ watcher, status, leader }: ClusterParts): MetricFamily[] {
  const { lists, watches, events, failures } = watcher.totals();
  const { done, failed } = status.queue.counters;
  return [
    gauge(
      'weft_control_plane_leader',
      'Whether this replica writes status and trust bundles.',
      leader.isLeader ? 1 : 0,
    ),
    counter('weft_control_plane_kube_lists_total', 'Lists of the Kubernetes API.', lists),
    counter('weft_control_plane_kube_watches_total', 'Watches of the Kubernetes API.', watches),
    counter('weft_control_plane_kube_events_total', 'Watch events.', events),
    counter('weft_control_plane_kube_failures_total', 'Lists and watches that failed.', failures),
    counter(
      'weft_control_plane_objects_refused_total',
      'Objects that came past admission and were not taken.',
      watcher.intake.counters.invalid,
    ),
    gauge(
      'weft_control_plane_objects_closed',
      'Objects that nobody can read and of which no version was good before: what they may close is closed.',
      watcher.intake.closed,
    ),
    counter('weft_control_plane_status_writes_total', 'Looks at objects whose status was not as it should be.', done),
    counter('weft_control_plane_status_failures_total', 'Status writes that failed.', failed),
    gauge('weft_control_plane_status_queue_depth', 'Objects that wait for their status.', status.queue.depth),
  ];
}
