import type { V1Container, V1EnvVar, V1PodSpec, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { INIT_CONTAINER, PROXY_CONTAINER } from './names.ts';
import { type PatchOperation, pointer } from './patch.ts';

/** The SPIFFE Workload API of a pod (`proxy.weft.dev/workload-api: enabled`): a socket that sidecar and application share. */

const VOLUME_NAME = 'weft-workload-api';
const FOLDER = '/var/run/weft/workload-api';
const SOCKET = `${FOLDER}/api.sock`;
/** By which programs with a SPIFFE library find it (SPIFFE Workload Endpoint section 4). */
const ENDPOINT_ENV = 'SPIFFE_ENDPOINT_SOCKET';

export const workloadApiEnv: V1EnvVar = { name: 'WEFT_WORKLOAD_API', value: SOCKET };

export const workloadApiVolume: V1Volume = { name: VOLUME_NAME, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } };

/** Of the sidecar; applications connect, which needs no right to write in the folder. */
export const workloadApiMount: V1VolumeMount = { name: VOLUME_NAME, mountPath: FOLDER };

/** Every container of the user's: also init containers, which start after the sidecar is ready. What they set themselves stays. */
export function shareWorkloadApi(spec: V1PodSpec): PatchOperation[] {
  return (['containers', 'initContainers'] as const).flatMap((list) =>
    (spec[list] ?? []).flatMap((container, index) =>
      container.name === PROXY_CONTAINER || container.name === INIT_CONTAINER
        ? []
        : shareWith(container, pointer('spec', list, index)),
    ),
  );
}

function shareWith(container: V1Container, path: string): PatchOperation[] {
  const { volumeMounts, env } = container;
  const mounted = volumeMounts?.some(({ name, mountPath }) => name === VOLUME_NAME || mountPath === FOLDER);
  const told = env?.some(({ name }) => name === ENDPOINT_ENV);
  return [
    ...(mounted === true
      ? []
      : [append(volumeMounts, `${path}/volumeMounts`, { ...workloadApiMount, readOnly: true })]),
    ...(told === true ? [] : [append(env, `${path}/env`, { name: ENDPOINT_ENV, value: `unix://${SOCKET}` })]),
  ];
}

const append = (existing: readonly unknown[] | null | undefined, path: string, value: unknown): PatchOperation =>
  existing === undefined || existing === null
    ? { op: 'add', path, value: [value] }
    : { op: 'add', path: `${path}/-`, value };
