import type { WeightedCluster } from '@weft/policies/model/route';
import type { SessionPersistence } from '@weft/policies/model/session';
import type { Host } from '../../cluster/host.ts';
import type { ClusterManager } from '../../cluster/manager.ts';
import type { ClusterRuntime } from '../../cluster/runtime.ts';
import type { WeightedChoice } from '../../route/weight.ts';

/** Where the requests of a session want to go. */
export interface SessionChoice {
  readonly policy: SessionPersistence;
  /** `ip:port`; empty: anywhere. */
  readonly wanted: string;
}

/** The endpoint of the session; undefined: it may be any, or, where the policy is strict, `strict` says that none will do. */
export function sessionHost(session: SessionChoice, runtime: ClusterRuntime): Host | 'strict' | undefined {
  if (session.wanted === '') return undefined;
  return runtime.usableAt(session.wanted) ?? (session.policy.strict ? 'strict' : undefined);
}

/**
 * Of several backends the one that the session's endpoint belongs to (GEP-1619, "Traffic Splitting": a session stays with
 * its backend), where that is known already.
 */
export function sessionCluster(
  session: SessionChoice,
  choice: WeightedChoice,
  clusters: ClusterManager,
): WeightedCluster | undefined {
  if (session.wanted === '' || choice.clusters.length < 2) return undefined;
  return choice.clusters.find(({ name }) => clusters.get(name)?.usableAt(session.wanted) !== undefined);
}
