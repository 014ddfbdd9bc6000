import type { Kube } from './kube.ts';

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

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly phase?: string };
  }[];
}

export const SYSTEM = 'weft-system';
const SELECTOR = 'app.kubernetes.io%2Fname%3Dweft-control-plane';

/** Names of the replicas that run; there is at least one. */
export async function controlPlanePods(kube: Kube): Promise<readonly string[]> {
  const pods = await kube.get<PodList>(`/api/v1/namespaces/${SYSTEM}/pods?labelSelector=${SELECTOR}`);
  const running = (pods?.items ?? []).filter((pod) => pod.status?.phase === 'Running');
  if (running.length === 0) throw new Error(`no control plane runs in ${SYSTEM}; "weft check" says more`);
  return running.map((pod) => pod.metadata.name);
}

/** Every replica serves its own sidecars, so every one is asked, through the API server's proxy. */
export async function readSync(kube: Kube): Promise<readonly SidecarSync[]> {
  const pods = await controlPlanePods(kube);
  const reports = await Promise.all(
    pods.map((pod) => kube.get<SyncReport>(`/api/v1/namespaces/${SYSTEM}/pods/${pod}:15014/proxy/debug/sync`)),
  );
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
