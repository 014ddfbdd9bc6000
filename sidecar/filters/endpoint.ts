import type { Host } from '../cluster/host.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import type { Chain } from './chain.ts';
import type { RequestContext } from './context.ts';

/** Whether the peer at an original destination takes mesh TLS, and as whom, has to be known before it is dialled. */
export function peerIsPending(chain: Chain, context: RequestContext, runtime: ClusterRuntime): boolean {
  if (!runtime.isOriginalDst || !runtime.cluster.meshTls) return false;
  return chain.deps.source.lookup('address', context.connection.destinationIp).state === 'pending';
}

/** The endpoint of the next attempt: balanced, or the very one that the client connected to. */
export function pickHost(
  chain: Chain,
  context: RequestContext,
  runtime: ClusterRuntime,
  exclude: Host | undefined,
): Host | undefined {
  if (!runtime.isOriginalDst) return runtime.pick(exclude);
  const { destinationIp, destinationPort } = context.connection;
  if (!runtime.cluster.meshTls) return runtime.hostFor(destinationIp, destinationPort, undefined);
  const lookup = chain.deps.source.lookup('address', destinationIp);
  return runtime.hostFor(destinationIp, destinationPort, lookup.state === 'found' ? lookup.value : undefined);
}
