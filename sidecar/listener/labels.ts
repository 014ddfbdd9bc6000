import type { Listener } from '@weft/policies/model/listener';
import type { PeerCertificateInfo } from '../net/connection.ts';
import type { TcpLabels } from '../tcp/proxy.ts';
import type { ListenerDeps } from './deps.ts';

/** Who talks to whom on a connection of a listener, for metrics and logs. `service`: what the client connects to. */
export function connectionLabels(
  { source, certificates }: Pick<ListenerDeps, 'source' | 'certificates'>,
  { direction, settings }: Pick<Listener, 'direction' | 'settings'>,
  connection: { readonly remoteIp: string; readonly peer: PeerCertificateInfo | undefined },
  service: string,
): TcpLabels {
  const ownIdentity = certificates.own()?.spiffeId ?? '';
  const ownWorkload = settings?.workloadName ?? '';
  if (direction === 'outbound') {
    return {
      sourceWorkload: ownWorkload,
      sourceIdentity: ownIdentity,
      destinationWorkload: '',
      destinationIdentity: '',
      destinationService: service,
    };
  }
  const client = source.lookup('address', connection.remoteIp);
  const workload = client.state === 'found' && client.value.kind === 'workload' ? client.value : undefined;
  return {
    sourceWorkload: workload === undefined ? '' : `${workload.namespace}/${workload.workloadName}`,
    sourceIdentity: connection.peer?.spiffeId ?? '',
    destinationWorkload: ownWorkload,
    destinationIdentity: ownIdentity,
    destinationService: settings?.serviceName ?? '',
  };
}
