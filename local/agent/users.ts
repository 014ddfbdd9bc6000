import type { Container, Pod } from '../client/objects.ts';
import { lookupNames } from '../images/images.ts';

/** Who a container runs as. Containers are host processes here, so root is refused but for the one that must write firewall rules. */
interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly capabilities: readonly number[];
  readonly seccomp: boolean;
}

export const NOBODY = 65534;
const CAP_NET_ADMIN = 12;
const INIT_CONTAINER = 'weft-init';
const INIT_IMAGE = 'weft/injector';

/** True for the injector's own init container: its name, its image and its capability must all fit. */
function mayRunAsRoot(pod: Pod, container: Container): boolean {
  return (
    container.name === INIT_CONTAINER &&
    // By name: every update of the pod brings new objects.
    (pod.spec.initContainers ?? []).some(({ name }) => name === container.name) &&
    lookupNames(container.image).includes(INIT_IMAGE) &&
    (container.securityContext?.capabilities?.add ?? []).includes('NET_ADMIN')
  );
}

export function containerUser(pod: Pod, container: Container): ContainerUser {
  const shared = pod.spec.securityContext;
  const own = container.securityContext;
  const uid = own?.runAsUser ?? shared?.runAsUser ?? NOBODY;
  const gid = own?.runAsGroup ?? shared?.runAsGroup ?? (uid === NOBODY ? NOBODY : uid);
  const groups = [...(shared?.supplementalGroups ?? []), ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup])];
  const capabilities = uid === 0 && mayRunAsRoot(pod, container) ? [CAP_NET_ADMIN] : [];
  const seccomp = (own?.seccompProfile ?? shared?.seccompProfile)?.type === 'RuntimeDefault';
  return { uid, gid, groups, capabilities, seccomp };
}

/** Why the container may not run as asked, or `undefined` if it may. */
export function refusedUser(pod: Pod, container: Container): string | undefined {
  const user = containerUser(pod, container);
  const own = container.securityContext;
  if (own?.privileged === true) return `container ${container.name}: privileged containers do not run here`;
  if (user.uid === 0 && (own?.runAsNonRoot ?? pod.spec.securityContext?.runAsNonRoot) === true) {
    return `container ${container.name}: runAsNonRoot is set and runAsUser is 0`;
  }
  if (user.uid === 0 && !mayRunAsRoot(pod, container)) {
    return `container ${container.name}: runAsUser 0 is only for init container ${INIT_CONTAINER} of image ${INIT_IMAGE} with capability NET_ADMIN; containers are processes of this machine`;
  }
  return undefined;
}
