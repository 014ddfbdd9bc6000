import type { Kube } from './kube.ts';

export interface CheckResult {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed';
  /** What to do; empty when all is well. */
  readonly hint: string;
}

/** The few fields that are looked at. */
interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
}
interface List<T> {
  readonly items: readonly T[];
}
interface Deployment extends KubeObject {
  readonly spec: { readonly replicas?: number };
  readonly status?: { readonly availableReplicas?: number };
}
interface Crd extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}
interface WebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}
interface Pod extends KubeObject {
  readonly spec: { readonly hostNetwork?: boolean; readonly initContainers?: readonly { readonly name: string }[] };
}

const SYSTEM = 'weft-system';
const ENABLED = 'weft.dev%2Finject%3Denabled';
const crds = [
  'meshes.weft.dev',
  'trafficpolicies.weft.dev',
  'faultpolicies.weft.dev',
  'authorizationpolicies.weft.dev',
  'authenticationpolicies.weft.dev',
  'overloadpolicies.weft.dev',
  'externalservices.weft.dev',
  'httproutes.gateway.networking.k8s.io',
  'referencegrants.gateway.networking.k8s.io',
] as const;

const result = (name: string, problem: string | undefined, state: 'warning' | 'failed' = 'failed'): CheckResult =>
  problem === undefined ? { name, state: 'ok', hint: '' } : { name, state, hint: problem };

/** Checks in the order in which one depends on the other; the first that cannot be asked ends them. */
export async function* clusterChecks(kube: Kube): AsyncGenerator<CheckResult> {
  try {
    const version = await kube.get<{ gitVersion: string }>('/version');
    yield result(`Kubernetes API at ${kube.server} answers (${version?.gitVersion ?? 'unknown version'})`, undefined);
  } catch (error) {
    yield result(
      'Kubernetes API answers',
      `${(error as Error).message}; is the mesh running ("npm start"), or is the kubeconfig the right one?`,
    );
    return;
  }
  for (const name of crds) yield await checkCrd(kube, name);
  for (const name of ['weft-control-plane', 'weft-injector']) yield await checkDeployment(kube, name);
  yield await checkWebhook(kube, 'mutatingwebhookconfigurations', 'weft-injector');
  yield await checkWebhook(kube, 'validatingwebhookconfigurations', 'weft-control-plane');
  yield* checkTrust(kube);
  yield* checkNamespaces(kube);
}

/** Conditions of the Mesh about trust; one that is not there has nothing to say. */
const trustConditions = {
  CertificatesValid: 'issuer, intermediates and roots are valid, and stay so for a while',
  Federated: 'the bundles of federated trust domains are known and of now',
  RevocationsInForce: 'every revocation is in force',
} as const;

/** What the control plane says of issuer, intermediates and roots, of other trust domains, and of revocations. */
export async function* checkTrust(kube: Kube): AsyncGenerator<CheckResult> {
  const mesh = await kube.get<Crd>('/apis/weft.dev/v1alpha1/meshes/default');
  for (const [type, title] of Object.entries(trustConditions)) {
    const condition = mesh?.status?.conditions?.find((one) => one.type === type);
    if (condition === undefined && type !== 'CertificatesValid') continue;
    const problem =
      condition === undefined || condition.status === 'True'
        ? undefined
        : `${condition.reason ?? ''}: ${condition.message ?? ''}`;
    const fails = condition?.reason === 'Expired' || type === 'RevocationsInForce';
    yield result(title, problem, fails ? 'failed' : 'warning');
  }
}

async function checkCrd(kube: Kube, name: string): Promise<CheckResult> {
  const crd = await kube.get<Crd>(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`);
  const established = crd?.status?.conditions?.some(
    (condition) => condition.type === 'Established' && condition.status === 'True',
  );
  if (established === true) return result(`CRD ${name} is established`, undefined);
  const install = name.endsWith('gateway.networking.k8s.io')
    ? 'install the standard CRDs of the Gateway API'
    : 'install the chart weft-crds';
  return result(
    `CRD ${name} is established`,
    crd === undefined ? `it is missing: ${install}` : 'it is not established: kubectl describe crd',
  );
}

async function checkDeployment(kube: Kube, name: string): Promise<CheckResult> {
  const deployment = await kube.get<Deployment>(`/apis/apps/v1/namespaces/${SYSTEM}/deployments/${name}`);
  const title = `${name} is available`;
  if (deployment === undefined)
    return result(title, `there is no Deployment ${SYSTEM}/${name}: install the chart weft`);
  const wanted = deployment.spec.replicas ?? 1;
  const available = deployment.status?.availableReplicas ?? 0;
  if (available >= wanted) return result(`${title} (${available} of ${wanted})`, undefined);
  return result(
    title,
    `${available} of ${wanted} replicas are available: kubectl describe deployment -n ${SYSTEM} ${name}`,
    available > 0 ? 'warning' : 'failed',
  );
}

async function checkWebhook(kube: Kube, plural: string, name: string): Promise<CheckResult> {
  const configuration = await kube.get<WebhookConfiguration>(`/apis/admissionregistration.k8s.io/v1/${plural}/${name}`);
  const title = `webhook ${name} has its CA bundle`;
  if (configuration === undefined) return result(title, `there is no ${plural}/${name}: install the chart weft`);
  const without = (configuration.webhooks ?? []).filter((webhook) => (webhook.clientConfig.caBundle ?? '') === '');
  return result(
    title,
    without.length === 0
      ? undefined
      : `${without.map((webhook) => webhook.name).join(', ')}: caBundle is empty; ${name} writes it: kubectl logs -n ${SYSTEM} deployment/${name}`,
  );
}

async function* checkNamespaces(kube: Kube): AsyncGenerator<CheckResult> {
  const namespaces = await kube.get<List<KubeObject>>(`/api/v1/namespaces?labelSelector=${ENABLED}`);
  for (const { metadata } of namespaces?.items ?? []) {
    const trust = await kube.get<KubeObject>(`/api/v1/namespaces/${metadata.name}/configmaps/weft-trust`);
    yield result(
      `namespace ${metadata.name} has the trust bundle`,
      trust === undefined
        ? `ConfigMap weft-trust is missing: kubectl logs -n ${SYSTEM} deployment/weft-control-plane`
        : undefined,
    );
    const pods = await kube.get<List<Pod>>(`/api/v1/namespaces/${metadata.name}/pods`);
    const bare = (pods?.items ?? []).filter(
      (pod) =>
        pod.metadata.deletionTimestamp === undefined &&
        pod.metadata.labels?.['weft.dev/inject'] !== 'disabled' &&
        pod.spec.hostNetwork !== true &&
        pod.spec.initContainers?.some((container) => container.name === 'weft-proxy') !== true,
    );
    yield result(
      `all pods of namespace ${metadata.name} have a sidecar`,
      bare.length === 0
        ? undefined
        : `${bare.map((pod) => pod.metadata.name).join(', ')}: kubectl rollout restart deployment -n ${metadata.name}`,
      'warning',
    );
  }
}
