import { ApiException, KubeConfig } from '@kubernetes/client-node';

/** The Kubernetes API as seen from the injector: inside a cluster by its service account, otherwise by a kubeconfig. */
export function loadKubeConfig(env: Readonly<Record<string, string | undefined>>): KubeConfig {
  const config = new KubeConfig();
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined && env['KUBECONFIG'] === undefined) config.loadFromCluster();
  else config.loadFromDefault();
  return config;
}

/** The HTTP status of a failed call, or undefined when there was no answer. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof ApiException ? error.code : undefined;

const API_TIMEOUT_MS = 5000;

/** The client has no deadline of its own. */
export async function withDeadline<T>(what: string, call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer in ${API_TIMEOUT_MS} ms`)), API_TIMEOUT_MS);
  });
  try {
    return await Promise.race([call, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
