/**
 * Names and address ranges of one mesh on this machine. All of them follow from the mesh's name and its slot (0..15), so that
 * meshes never share a name or a range.
 */

export const SLOT_COUNT = 16;
export const BRIDGE = 'weft0';
export const UPLINK = 'uplink';
/** Where runtime state lives: not on the user's disk tree, gone at reboot like the namespaces that it describes. */
export const RUN_ROOT = '/run/weft';

export interface MeshNames {
  readonly mesh: string;
  readonly slot: number;
  readonly nodeName: string;
  readonly nodeNamespace: string;
  readonly podNamespacePrefix: string;
  readonly runDirectory: string;
  readonly stateFile: string;
  readonly hostLink: string;
  readonly podCidrs: readonly [v4: string, v6: string];
  readonly serviceCidrs: readonly [v4: string, v6: string];
  readonly bridgeIps: readonly [v4: string, v6: string];
  readonly hostIps: readonly [v4: string, v6: string];
  readonly uplinkIps: readonly [v4: string, v6: string];
}

type NameResult = { readonly ok: true; readonly names: MeshNames } | { readonly ok: false; readonly message: string };

// A namespace is a file name and the mesh is part of it; 32 keeps every derived name readable in `ip netns`.
const MESH_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

export function checkMeshName(mesh: string): string | undefined {
  return MESH_NAME.test(mesh)
    ? undefined
    : `mesh name ${JSON.stringify(mesh)}: use 1 to 32 lower-case letters, digits and dashes, starting and ending with a letter or digit`;
}

export function meshNames(mesh: string, slot: number): NameResult {
  const wrong = checkMeshName(mesh);
  if (wrong !== undefined) return { ok: false, message: wrong };
  if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT) {
    return { ok: false, message: `slot ${slot}: must be 0 to ${SLOT_COUNT - 1}` };
  }
  const second = 200 + slot;
  const six = `fd77:ef7:${slot.toString(16)}`;
  const podSix = podPrefix(slot);
  return {
    ok: true,
    names: {
      mesh,
      slot,
      nodeName: `${mesh}-node`,
      nodeNamespace: `weft-${mesh}-node`,
      podNamespacePrefix: `weft-${mesh}-p-`,
      runDirectory: `${RUN_ROOT}/${mesh}`,
      stateFile: `${RUN_ROOT}/${mesh}/state.json`,
      hostLink: `weft${slot}`,
      podCidrs: [`10.${second}.0.0/17`, `${podSix}::/64`],
      serviceCidrs: [`10.${second}.128.0/17`, `${six}:1::/112`],
      bridgeIps: [`10.${second}.0.1`, `${podSix}::1`],
      hostIps: [`169.254.${second}.1`, `${six}:ffff::1`],
      uplinkIps: [`169.254.${second}.2`, `${six}:ffff::2`],
    },
  };
}

/** Slot 0 is part of the run of zeros that `::` stands for: addresses are compared as text, so they must be canonical (RFC 5952). */
function podPrefix(slot: number): string {
  return slot === 0 ? 'fd77:ef7' : `fd77:ef7:${slot.toString(16)}`;
}

/** Network namespace of a pod: the first 8 hex digits of its UID are enough on one node, and an interface name has 15 characters. */
export function podNamespace(names: MeshNames, podUid: string): string {
  return `${names.podNamespacePrefix}${shortUid(podUid)}`;
}

export function podLink(podUid: string): string {
  return `v${shortUid(podUid)}`;
}

function shortUid(podUid: string): string {
  return podUid.replaceAll('-', '').slice(0, 8).toLowerCase();
}

/** The pod's addresses: host number 2 and up of both ranges; 1 is the bridge. */
export function podAddresses(names: MeshNames, hostNumber: number): readonly [v4: string, v6: string] {
  const second = 200 + names.slot;
  return [
    `10.${second}.${(hostNumber >> 8) & 0x7f}.${hostNumber & 0xff}`,
    `${podPrefix(names.slot)}::${hostNumber.toString(16)}`,
  ];
}

/** Host numbers of the pod range that may be given to pods: neither network, bridge nor broadcast address. */
export const POD_HOST_MIN = 2;
export const POD_HOST_MAX = 0x7ffe;
