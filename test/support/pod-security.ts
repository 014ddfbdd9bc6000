/**
 * The Pod Security Standards "baseline" and "restricted" (https://kubernetes.io/docs/concepts/security/pod-security-standards/),
 * by which Kubernetes admits pods to a namespace that is labelled so.
 */
import type { V1Container, V1PodSpec, V1SeccompProfile } from '@kubernetes/client-node';

const BASELINE_CAPABILITIES = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);
const SAFE_SYSCTLS = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
]);
const RESTRICTED_VOLUMES = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

const containersOf = (pod: V1PodSpec): readonly V1Container[] => [...(pod.initContainers ?? []), ...pod.containers];

function ofBaseline(pod: V1PodSpec): string[] {
  const found: string[] = [];
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const) if (pod[field] === true) found.push(field);
  for (const { name, hostPath } of pod.volumes ?? [])
    if (hostPath !== undefined) found.push(`volume ${name}: hostPath`);
  for (const { name } of pod.securityContext?.sysctls ?? []) if (!SAFE_SYSCTLS.has(name)) found.push(`sysctl ${name}`);
  for (const { name, ports = [], securityContext } of containersOf(pod)) {
    const added = securityContext?.capabilities?.add ?? [];
    for (const one of added) if (!BASELINE_CAPABILITIES.has(one)) found.push(`${name}: adds ${one}`);
    if (securityContext?.privileged === true) found.push(`${name}: privileged`);
    if (ports.some(({ hostPort = 0 }) => hostPort !== 0)) found.push(`${name}: hostPort`);
    if ((securityContext?.procMount ?? 'Default') !== 'Default') found.push(`${name}: procMount`);
    if (securityContext?.windowsOptions?.hostProcess === true) found.push(`${name}: hostProcess`);
    if (securityContext?.seccompProfile?.type === 'Unconfined') found.push(`${name}: seccomp Unconfined`);
  }
  return found;
}

const isConfined = (profile: V1SeccompProfile | undefined): boolean =>
  profile?.type === 'RuntimeDefault' || profile?.type === 'Localhost';

function ofRestricted(pod: V1PodSpec): string[] {
  const found: string[] = [];
  for (const { name, ...source } of pod.volumes ?? []) {
    for (const kind of Object.keys(source)) if (!RESTRICTED_VOLUMES.has(kind)) found.push(`volume ${name}: ${kind}`);
  }
  if (pod.securityContext?.runAsUser === 0) found.push('runAsUser 0');
  for (const { name, securityContext: own = {} } of containersOf(pod)) {
    if (own.allowPrivilegeEscalation !== false) found.push(`${name}: allowPrivilegeEscalation`);
    if ((own.runAsNonRoot ?? pod.securityContext?.runAsNonRoot) !== true) found.push(`${name}: runAsNonRoot`);
    if (own.runAsUser === 0) found.push(`${name}: runAsUser 0`);
    if (!isConfined(own.seccompProfile ?? pod.securityContext?.seccompProfile)) found.push(`${name}: seccompProfile`);
    if (own.capabilities?.drop?.includes('ALL') !== true) found.push(`${name}: keeps capabilities`);
    for (const one of own.capabilities?.add ?? []) {
      if (one !== 'NET_BIND_SERVICE' && BASELINE_CAPABILITIES.has(one)) found.push(`${name}: adds ${one}`);
    }
  }
  return found;
}

/** What keeps the pod out of a namespace that enforces "restricted"; empty: nothing. */
export const violationsOfRestricted = (pod: V1PodSpec): readonly string[] => [...ofBaseline(pod), ...ofRestricted(pod)];
