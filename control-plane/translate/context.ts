import { formatSpiffeId, type SpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Pod } from '../index/core.ts';
import type { ClusterState } from '../index/state.ts';
import type { TrustFacts } from './trust.ts';

/** What translation reads: the state of the cluster, and nothing that changes behind its back. */
export interface TranslateContext {
  readonly state: ClusterState;
  readonly trustDomain: TrustDomain;
  /** True when the end of a pod (`<ns>/<name>`) has reached everyone who sent requests to it. */
  readonly isDrained: (podKey: string) => boolean;
  /** Undefined: proxies learn of trust with their certificates alone. */
  readonly trust?: TrustFacts;
}

export const identityOf = (context: TranslateContext, pod: Pod): SpiffeId =>
  formatSpiffeId({
    trustDomain: context.trustDomain,
    namespace: pod.metadata.namespace,
    serviceAccount: pod.serviceAccount,
  });

export const zoneOf = (context: TranslateContext, nodeName: string): string =>
  context.state.nodes.get(nodeName)?.zone ?? '';
