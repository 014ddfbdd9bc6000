import type { WeightedCluster } from '@weft/policies/model/route';
import type { Host } from '../cluster/host.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import type { CompiledRoute } from '../route/table.ts';
import type { Chain } from './chain.ts';
import type { RequestContext } from './context.ts';
import { sessionCluster, sessionHost } from './session/choice.ts';

/** Whether the peer at an original destination takes mesh TLS, and as whom, has to be known before it is dialled. */
export function peerIsPending(chain: Chain, context: RequestContext, runtime: ClusterRuntime): boolean {
  if (!runtime.isOriginalDst || !runtime.cluster.meshTls) return false;
  return chain.deps.source.lookup('address', context.connection.destinationIp).state === 'pending';
}

/** One of the route's backends: by weight, or that of the session. */
export function pickCluster(
  { deps }: Chain,
  { session }: RequestContext,
  { clusters }: CompiledRoute,
): WeightedCluster | undefined {
  if (clusters === undefined) return undefined;
  const bound = session === undefined ? undefined : sessionCluster(session, clusters, deps.clusters);
  return bound ?? clusters.pick(deps.prng);
}

/** The endpoint of the next attempt: balanced, or the very one that the client connected to. */
export function pickHost(
  chain: Chain,
  context: RequestContext,
  runtime: ClusterRuntime,
  exclude: Host | undefined,
): Host | undefined {
  if (!runtime.isOriginalDst) {
    const { session } = context;
    // What failed there is tried elsewhere: only the first attempt is bound.
    const bound = session === undefined || exclude !== undefined ? undefined : sessionHost(session, runtime);
    if (bound === 'strict') return undefined;
    return bound ?? runtime.pick(exclude, context.hash);
  }
  const { destinationIp, destinationPort } = context.connection;
  if (!runtime.cluster.meshTls) return runtime.hostFor(destinationIp, destinationPort, undefined);
  const lookup = chain.deps.source.lookup('address', destinationIp);
  return runtime.hostFor(destinationIp, destinationPort, lookup.state === 'found' ? lookup.value : undefined);
}
