import type { V1Container, V1Pod } from '@kubernetes/client-node';
import { INIT_CONTAINER, INJECT_KEY, PORT, PROXY_CONTAINER, PROXY_UID, REVISION_KEY } from './names.ts';

/** Whether a pod gets a sidecar, before anything about how. */

/** Why a pod is left as it is. The sentences are shown to users, by `weft check` and in the audit annotation of the admission. */
export const SKIP_REASONS = {
  'already-injected': 'The pod has a weft-proxy already.',
  'host-network': 'The pod uses the network of its node, whose connections must not be redirected.',
  'mirror-pod': 'The pod mirrors a static pod of a node; the API server cannot change it.',
  windows: 'The pod runs on Windows, where there is no redirection.',
  'system-namespace': 'Pods of this namespace carry the cluster or the mesh itself.',
  'disabled-by-pod': 'The pod says weft.dev/inject: disabled.',
  'disabled-by-namespace': 'The namespace says weft.dev/inject: disabled and the pod does not say otherwise.',
  'not-enabled': 'Neither the pod nor its namespace says weft.dev/inject: enabled.',
  'revision-mismatch': 'The label weft.dev/rev names another revision of the mesh.',
} as const satisfies Readonly<Record<string, string>>;

export type SkipReason = keyof typeof SKIP_REASONS;

export const DENY_REASONS = ['bad-label', 'bad-annotation', 'proxy-user', 'name-taken', 'port-taken'] as const;
type DenyReason = (typeof DENY_REASONS)[number];

export interface Denial {
  readonly kind: 'deny';
  readonly reason: DenyReason;
  readonly message: string;
}

export interface NamespaceInfo {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const deny = (reason: DenyReason, message: string): Denial => ({ kind: 'deny', reason, message });

const KUBERNETES_NAMESPACES: ReadonlySet<string> = new Set(['kube-system', 'kube-public', 'kube-node-lease']);

const isMirror = (annotations: Readonly<Record<string, string>>): boolean =>
  annotations['kubernetes.io/config.mirror'] !== undefined ||
  (annotations['kubernetes.io/config.source'] !== undefined && annotations['kubernetes.io/config.source'] !== 'api');

const isWindows = (pod: V1Pod): boolean =>
  pod.spec?.os?.name === 'windows' || pod.spec?.nodeSelector?.['kubernetes.io/os'] === 'windows';

type Wish = 'enabled' | 'disabled' | 'unsaid';

function wish(value: string | undefined): Wish | undefined {
  if (value === undefined) return 'unsaid';
  return value === 'enabled' || value === 'disabled' ? value : undefined;
}

/** The label beats the annotation, the pod beats the namespace. A namespace with a wrong word enables nothing; a pod with one is refused. */
export function decide(
  pod: V1Pod,
  namespace: NamespaceInfo,
  mesh: { readonly revision: string; readonly systemNamespace: string },
): SkipReason | Denial | undefined {
  const labels = pod.metadata?.labels ?? {};
  const annotations = pod.metadata?.annotations ?? {};
  if (pod.spec?.initContainers?.some((container) => container.name === PROXY_CONTAINER) === true)
    return 'already-injected';
  if (namespace.name === mesh.systemNamespace || KUBERNETES_NAMESPACES.has(namespace.name)) return 'system-namespace';
  if (isMirror(annotations)) return 'mirror-pod';
  const said = labels[INJECT_KEY] ?? annotations[INJECT_KEY];
  const own = wish(said);
  if (own === undefined) return deny('bad-label', `${INJECT_KEY}: "${said}" is neither enabled nor disabled`);
  if (own === 'disabled') return 'disabled-by-pod';
  const inherited = namespace.labels[INJECT_KEY];
  if (own === 'unsaid' && inherited === 'disabled') return 'disabled-by-namespace';
  if (own === 'unsaid' && inherited !== 'enabled') return 'not-enabled';
  if ((labels[REVISION_KEY] ?? namespace.labels[REVISION_KEY] ?? mesh.revision) !== mesh.revision)
    return 'revision-mismatch';
  if (pod.spec?.hostNetwork === true) return 'host-network';
  if (isWindows(pod)) return 'windows';
  return undefined;
}

function usesProxyUser(context: { runAsUser?: number; runAsGroup?: number } | undefined): string | undefined {
  if (context?.runAsUser === PROXY_UID) return 'runAsUser';
  return context?.runAsGroup === PROXY_UID ? 'runAsGroup' : undefined;
}

function checkContainer(container: V1Container): Denial | undefined {
  const field = usesProxyUser(container.securityContext);
  if (field !== undefined)
    return deny(
      'proxy-user',
      `container ${container.name} has securityContext.${field} ${PROXY_UID}, which is the sidecar's: its connections would pass the mesh by. Choose another number.`,
    );
  if (container.name === PROXY_CONTAINER || container.name === INIT_CONTAINER)
    return deny('name-taken', `the container name ${container.name} is the mesh's own; rename the container`);
  const ports: readonly number[] = Object.values(PORT);
  const taken = container.ports?.find(
    (port) => (port.protocol ?? 'TCP') === 'TCP' && ports.includes(port.containerPort),
  );
  return taken === undefined
    ? undefined
    : deny(
        'port-taken',
        `container ${container.name} declares port ${taken.containerPort}, which weft-proxy listens on; ports ${ports.join(', ')} are the mesh's`,
      );
}

const isOurs = (container: V1Container): boolean =>
  container.name === PROXY_CONTAINER || container.name === INIT_CONTAINER;

/** What would go wrong with a sidecar beside it. In an injected pod the init containers of our name are ours. */
export function findConflict(pod: V1Pod, injected: boolean): Denial | undefined {
  const field = usesProxyUser(pod.spec?.securityContext);
  if (field !== undefined)
    return deny(
      'proxy-user',
      `the pod has securityContext.${field} ${PROXY_UID}, which is the sidecar's: its connections would pass the mesh by. Choose another number.`,
    );
  const containers: readonly V1Container[] = [
    ...(pod.spec?.initContainers ?? []).filter((container) => !injected || !isOurs(container)),
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.ephemeralContainers ?? []),
  ];
  for (const container of containers) {
    const conflict = checkContainer(container);
    if (conflict !== undefined) return conflict;
  }
  return undefined;
}
