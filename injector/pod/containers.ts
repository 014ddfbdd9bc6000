import type { V1Container, V1EnvVar, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { PodConfig } from '../config.ts';
import { INIT_ENV } from '../redirect/environment.ts';
import { INIT_CONTAINER, PORT, PROBES_ENV, PROXY_CONTAINER, PROXY_UID, TOKEN_AUDIENCE, VOLUME } from './names.ts';
import type { Overrides } from './overrides.ts';
import type { OriginalProbes } from './probes.ts';
import type { ScrapeTarget } from './scrape.ts';
import { workloadApiEnv, workloadApiMount, workloadApiVolume } from './workload-api.ts';

/** The containers and volumes that injection adds ("Injected pod" of the architecture page). */

const GRACE_SECONDS_DEFAULT = 30;
const TOKEN_SECONDS = 3600;
/** Key, certificates, the last good snapshot. It counts against the memory of the pod. */
const STATE_SIZE_LIMIT = '32Mi';

interface ProxyInput {
  readonly config: PodConfig;
  readonly overrides: Overrides;
  readonly probes: OriginalProbes;
  readonly scrape: ScrapeTarget | undefined;
  readonly graceSeconds: number | undefined;
}

const literal = (name: string, value: string): V1EnvVar => ({ name, value });
const fromField = (name: string, fieldPath: string): V1EnvVar => ({
  name,
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } },
});
const pullPolicy = (config: PodConfig): Pick<V1Container, 'imagePullPolicy'> =>
  config.imagePullPolicy === undefined ? {} : { imagePullPolicy: config.imagePullPolicy };

/** Only what is set: the API server writes no empty values, and a patch should look like what it becomes. */
function resources(overrides: Overrides): NonNullable<V1Container['resources']> {
  const limits = {
    ...(overrides.cpuLimit === undefined ? {} : { cpu: overrides.cpuLimit }),
    ...(overrides.memoryLimit === undefined ? {} : { memory: overrides.memoryLimit }),
  };
  return {
    requests: { cpu: overrides.cpuRequest, memory: overrides.memoryRequest },
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

/**
 * The account is the application's: its token for the API server is none of the mesh's business. The ServiceAccount
 * admission of Kubernetes mounts it into every container of a pod that has nothing else in this place.
 */
const noApiToken: V1VolumeMount = {
  name: VOLUME.noToken,
  mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
  readOnly: true,
};

export function initContainer(config: PodConfig, overrides: Overrides): V1Container {
  const env = [
    literal(INIT_ENV.excludeInboundPorts, overrides.excludeInboundPorts),
    literal(INIT_ENV.excludeOutboundPorts, overrides.excludeOutboundPorts),
    literal(INIT_ENV.excludeOutboundCidrs, overrides.excludeOutboundCidrs),
    literal(INIT_ENV.apiServers, config.apiServers),
  ].filter((each) => each.value !== '');
  return {
    name: INIT_CONTAINER,
    image: config.initImage,
    ...pullPolicy(config),
    args: ['init'],
    ...(env.length === 0 ? {} : { env }),
    resources: { requests: { cpu: '10m', memory: '64Mi' } },
    securityContext: {
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [noApiToken],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

export function proxyContainer(input: ProxyInput): V1Container {
  const { config, overrides } = input;
  const concurrency = overrides.concurrency ?? config.concurrency;
  return {
    name: PROXY_CONTAINER,
    image: config.sidecarImage,
    ...pullPolicy(config),
    restartPolicy: 'Always',
    ports: [{ name: 'weft-health', containerPort: PORT.health, protocol: 'TCP' }],
    env: [
      fromField('POD_NAME', 'metadata.name'),
      fromField('POD_NAMESPACE', 'metadata.namespace'),
      fromField('POD_UID', 'metadata.uid'),
      fromField('POD_IPS', 'status.podIPs'),
      fromField('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
      literal('WEFT_CONTROL_PLANE', config.controlPlane),
      literal('WEFT_TRUST_DOMAIN', config.trustDomain),
      literal('WEFT_CLUSTER_DOMAIN', config.clusterDomain),
      literal(PROBES_ENV, JSON.stringify(input.probes)),
      literal('WEFT_SCRAPE', input.scrape === undefined ? '' : JSON.stringify(input.scrape)),
      literal('WEFT_GRACE_SECONDS', String(input.graceSeconds ?? GRACE_SECONDS_DEFAULT)),
      ...(concurrency === undefined ? [] : [literal('WEFT_CONCURRENCY', String(concurrency))]),
      ...(overrides.workloadApi ? [workloadApiEnv] : []),
    ],
    // The application's containers start once this has answered (native sidecar).
    startupProbe: {
      httpGet: { path: '/healthz/ready', port: PORT.health, scheme: 'HTTP' },
      periodSeconds: 1,
      timeoutSeconds: 3,
      failureThreshold: 600,
    },
    resources: resources(overrides),
    securityContext: {
      runAsUser: PROXY_UID,
      runAsGroup: PROXY_UID,
      runAsNonRoot: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      { name: VOLUME.trust, mountPath: '/var/run/weft/trust', readOnly: true },
      { name: VOLUME.token, mountPath: '/var/run/weft/token', readOnly: true },
      { name: VOLUME.state, mountPath: '/var/run/weft/state' },
      ...(overrides.workloadApi ? [workloadApiMount] : []),
      noApiToken,
    ],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

export const proxyVolumes = ({ workloadApi }: Overrides): V1Volume[] => [
  {
    name: VOLUME.trust,
    configMap: { name: 'weft-trust', optional: false, items: [{ key: 'root-cert.pem', path: 'root-cert.pem' }] },
  },
  {
    name: VOLUME.token,
    projected: {
      sources: [{ serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: 'token' } }],
    },
  },
  { name: VOLUME.state, emptyDir: { medium: 'Memory', sizeLimit: STATE_SIZE_LIMIT } },
  { name: VOLUME.noToken, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
  ...(workloadApi ? [workloadApiVolume] : []),
];
