/** Asking the replicas of the control plane what they tell operators alone, through the API server's proxy. */
import { OPERATOR_ACCOUNT, OPERATOR_AUDIENCE, OPERATOR_HEADER } from '@weft/policies/kit/operator';
import { type Kube, KubeRefusal, KubeSilence } from './kube.ts';

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec?: { readonly serviceAccountName?: string };
    readonly status?: { readonly phase?: string };
  }[];
}

interface TokenRequest {
  readonly status?: { readonly token?: string };
}

export const SYSTEM = 'weft-system';
const SELECTOR = 'app.kubernetes.io%2Fname%3Dweft-control-plane';
const TOKEN_SECONDS = 600;

/** What each replica answers. */
export async function askReplicas<T>(
  kube: Pick<Kube, 'get' | 'answer'>,
  path: string,
  timeoutMs?: number,
): Promise<readonly (T | undefined)[]> {
  const pods = await allowed('list pods', controlPlanePods(kube));
  const token = await tokenOf(kube, pods[0]?.spec?.serviceAccountName ?? 'default');
  const headers = { [OPERATOR_HEADER]: token };
  return Promise.all(
    pods.map(({ metadata: { name } }) =>
      reached(
        name,
        allowed(
          'get pods/proxy',
          kube.get<T>(`/api/v1/namespaces/${SYSTEM}/pods/${name}:15014/proxy${path}`, timeoutMs, headers),
        ),
      ),
    ),
  );
}

/**
 * The proxy tells nobody who asks, and a token of the user's own would be good for all that he may do: so by one of an
 * account that may do nothing. Where the chart has not made it yet, by one of the control plane's own account.
 */
async function tokenOf(kube: Pick<Kube, 'answer'>, ownAccount: string): Promise<string> {
  for (const account of [OPERATOR_ACCOUNT, ownAccount]) {
    const path = `/api/v1/namespaces/${SYSTEM}/serviceaccounts/${account}/token`;
    const spec = { audiences: [OPERATOR_AUDIENCE], expirationSeconds: TOKEN_SECONDS };
    const made = await allowed(
      `create serviceaccounts/token of ${account}`,
      kube.answer<TokenRequest>(path, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }),
    );
    if (made !== undefined) return made.status?.token ?? '';
  }
  throw new Error(`there is no service account ${OPERATOR_ACCOUNT} in ${SYSTEM}; "weft check" says more`);
}

/** The replicas that run; there is at least one. */
async function controlPlanePods(kube: Pick<Kube, 'get'>): Promise<PodList['items']> {
  const pods = await kube.get<PodList>(`/api/v1/namespaces/${SYSTEM}/pods?labelSelector=${SELECTOR}`);
  const running = (pods?.items ?? []).filter((pod) => pod.status?.phase === 'Running');
  if (running.length === 0) throw new Error(`no control plane runs in ${SYSTEM}; "weft check" says more`);
  return running;
}

/**
 * The API server has just answered for itself, so that silence is what its proxy has met; so is a gateway's status. A
 * NetworkPolicy that leaves it out mostly drops what it sends.
 */
async function reached<T>(pod: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const isUnreached =
      error instanceof KubeSilence || (error instanceof KubeRefusal && [502, 503, 504].includes(error.status));
    if (!isUnreached) throw error;
    throw new Error(
      `the API server got no answer from port 15014 of pod ${pod} in the namespace ${SYSTEM}. Where a NetworkPolicy is in\n` +
        'the way, let the addresses of the API server in: with networkPolicy.enabled the chart does that for those in\n' +
        'networkPolicy.apiServerBlocks. Where they are shows\n' +
        '  kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes\n' +
        `(${error.message})`,
    );
  }
}

/** Who is not allowed is told what he lacks, and what gives it. */
async function allowed<T>(permission: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    // The API server, and not a replica behind its proxy.
    const isForbidden =
      error instanceof KubeRefusal && error.status === 403 && /"kind":\s*"Status"/.test(error.message);
    if (!isForbidden) throw error;
    // As RBAC says it; other authorizers may not.
    const [, user = '<your user>'] = /User \\?"([^"'\\]+)/.exec(error.message) ?? [];
    const name = user
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, '')
      .slice(0, 200);
    throw new Error(
      `this needs "${permission}" in the namespace ${SYSTEM}; whoever administers it gives you that by\n` +
        `  kubectl create rolebinding ${OPERATOR_ACCOUNT}-${name} -n ${SYSTEM} --role=${OPERATOR_ACCOUNT} --user='${user}'\n` +
        `(${error.message})`,
    );
  }
}
