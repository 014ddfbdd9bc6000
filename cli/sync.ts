import type { Kube } from './kube.ts';
import { askReplicas } from './replicas.ts';

/** One line of `weft status`. */
export interface SidecarSync {
  readonly namespace: string;
  readonly pod: string;
  /** No pod, but a process that joined by token and is told of trust alone: there is nothing else to ask of it. */
  readonly agent: boolean;
  readonly connectedSince: string;
  /** Resources live on the sidecar. */
  readonly acknowledged: number;
  /** Sent or about to be. */
  readonly pending: number;
  readonly rejected: number;
  readonly lastError: string;
}

/** What the control plane answers at /debug/sync; only the fields that are used. */
interface SyncReport {
  readonly sidecars: readonly {
    readonly pod: string;
    readonly connectedSince: string;
    readonly types: readonly {
      readonly resources: readonly {
        readonly name: string;
        readonly state: 'acked' | 'sent' | 'pending' | 'nacked' | 'absent';
        readonly nack?: { readonly message: string };
      }[];
    }[];
  }[];
}

/** Every replica serves its own sidecars, so every one is asked, through the API server's proxy. */
export async function readSync(kube: Kube): Promise<readonly SidecarSync[]> {
  const reports = await askReplicas<SyncReport>(kube, '/debug/sync');
  return reports.flatMap((report) => (report?.sidecars ?? []).map(summarise));
}

function summarise(sidecar: SyncReport['sidecars'][number]): SidecarSync {
  const resources = sidecar.types.flatMap((type) => type.resources);
  const [namespace = '', pod = ''] = sidecar.pod.split('/', 2);
  const refused = resources.filter((resource) => resource.state === 'nacked');
  return {
    namespace,
    pod,
    // No pod has such a name.
    agent: pod.startsWith('agent~'),
    connectedSince: sidecar.connectedSince,
    acknowledged: resources.filter((resource) => resource.state === 'acked' || resource.state === 'absent').length,
    pending: resources.filter((resource) => resource.state === 'sent' || resource.state === 'pending').length,
    rejected: refused.length,
    lastError: refused.map((resource) => `${resource.name}: ${resource.nack?.message ?? ''}`)[0] ?? '',
  };
}
