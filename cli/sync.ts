import { OPERATOR_AUDIENCE, OPERATOR_HEADER } from '@weft/policies/kit/operator';
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
    readonly spec?: { readonly serviceAccountName?: string };
    readonly status?: { readonly phase?: string };
  }[];
}

export const SYSTEM = 'weft-system';
const SELECTOR = 'app.kubernetes.io%2Fname%3Dweft-control-plane';

interface TokenRequest {
  readonly status?: { readonly token?: string };
}

const TOKEN_SECONDS = 600;

/**
 * What each replica answers to operators, through the API server's proxy: who may ask for a token in the name of the
 * control plane's own service account is one.
 */
export async function askReplicas<T>(
  kube: Kube,
  path: string,
  timeoutMs?: number,
): Promise<readonly (T | undefined)[]> {
  const pods = await controlPlanePods(kube);
  const account = pods[0]?.spec?.serviceAccountName ?? 'default';
  const asked = await kube.answer<TokenRequest>(`/api/v1/namespaces/${SYSTEM}/serviceaccounts/${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: [OPERATOR_AUDIENCE], expirationSeconds: TOKEN_SECONDS },
  });
  const headers = { [OPERATOR_HEADER]: asked.status?.token ?? '' };
  return Promise.all(
    pods.map(({ metadata: { name } }) =>
      kube.get<T>(`/api/v1/namespaces/${SYSTEM}/pods/${name}:15014/proxy${path}`, timeoutMs, headers),
    ),
  );
}

/** The replicas that run; there is at least one. */
async function controlPlanePods(kube: Kube): Promise<PodList['items']> {
  const pods = await kube.get<PodList>(`/api/v1/namespaces/${SYSTEM}/pods?labelSelector=${SELECTOR}`);
  const running = (pods?.items ?? []).filter((pod) => pod.status?.phase === 'Running');
  if (running.length === 0) throw new Error(`no control plane runs in ${SYSTEM}; "weft check" says more`);
  return running;
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
