import type { AgentSources } from './agent.ts';
import { startClusterIps } from './clusterip/cluster-ips.ts';
import { startDns } from './dns/server.ts';
import { socketForwarder } from './dns/upstream.ts';
import { liveZone } from './dns/zone.ts';
import type { AgentSettings } from './settings.ts';

const DNS_PORT = 53;

/** The reverse zones that hold the mesh's pod and service ranges. */
function reverseZonesOf(slot: number): string[] {
  const nibbles = [...`fd770ef7${slot.toString(16).padStart(4, '0')}`].reverse().join('.');
  return [`${200 + slot}.10.in-addr.arpa`, `${nibbles}.ip6.arpa`];
}

/** What the node does for all pods: cluster DNS and cluster IPs. */
export async function startNodeServices(
  settings: AgentSettings,
  sources: AgentSources,
  onError: (message: string) => void,
): Promise<{ close(): Promise<void> }> {
  const { names, clusterDomain } = settings;
  const clusterIps = startClusterIps(sources.services, sources.slices, names.serviceCidrs, names.nodeName, onError);
  const dns = await startDns({
    addresses: names.bridgeIps,
    port: DNS_PORT,
    domain: clusterDomain,
    zone: liveZone(sources.services, sources.slices, clusterDomain, reverseZonesOf(names.slot)),
    forward: socketForwarder(settings.resolverSocket),
    onError,
  });
  return {
    close: async () => {
      clusterIps.close();
      await dns.close();
    },
  };
}
