import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { type CommandResult, ipBatch, runCommand } from './command.ts';
import { BRIDGE, type MeshNames, UPLINK } from './names.ts';

export const NETNS_ROOT = '/run/netns';

/**
 * Makes the mesh's node: a network namespace with a bridge for the pods and a link to the host. Forwarding, routes and rules live in
 * that namespace, so the host changes by one interface and two routes, and deleting the namespace undoes all of it.
 */
export async function createNode(names: MeshNames): Promise<CommandResult> {
  mkdirSync(names.runDirectory, { recursive: true, mode: 0o711 });
  const added = await runCommand('ip', ['netns', 'add', names.nodeNamespace]);
  if (!added.ok) return added;
  const [bridge4, bridge6] = names.bridgeIps;
  const [host4, host6] = names.hostIps;
  const [uplink4, uplink6] = names.uplinkIps;
  const ns = names.nodeNamespace;

  const sysctls = await runCommand('ip', ['netns', 'exec', ns, 'sh', '-c', sysctlScript()]);
  if (!sysctls.ok) return sysctls;
  const host = await ipBatch([
    `link add ${names.hostLink} type veth peer name ${UPLINK} netns ${ns}`,
    `link set ${names.hostLink} addrgenmode none`,
    `addr add ${host4}/30 dev ${names.hostLink}`,
    `addr add ${host6}/126 dev ${names.hostLink} nodad`,
    `addr add fe80::1/64 dev ${names.hostLink} nodad`,
    `link set ${names.hostLink} up`,
  ]);
  if (!host.ok) return host;
  const inside = await ipBatch(
    [
      'link set lo up',
      `link set ${UPLINK} addrgenmode none`,
      `addr add ${uplink4}/30 dev ${UPLINK}`,
      `addr add ${uplink6}/126 dev ${UPLINK} nodad`,
      `addr add fe80::2/64 dev ${UPLINK} nodad`,
      `link set ${UPLINK} up`,
      `link add ${BRIDGE} type bridge forward_delay 0 mcast_snooping 0`,
      // Left to itself, a bridge takes the lowest address of its ports and changes it as pods come and go, which pods learn too late.
      `link set ${BRIDGE} address ${bridgeMac(names.slot)}`,
      `link set ${BRIDGE} addrgenmode none`,
      `addr add ${bridge4}/17 dev ${BRIDGE}`,
      `addr add ${bridge6}/64 dev ${BRIDGE} nodad`,
      // A forwarded packet's neighbour is asked for from a link-local address: without one, IPv6 is not forwarded at all (RFC 4861 section 7.2.2).
      `addr add fe80::1/64 dev ${BRIDGE} nodad`,
      `link set ${BRIDGE} up`,
      `route add default via ${host4} dev ${UPLINK}`,
      `route add default via ${host6} dev ${UPLINK}`,
      // The node itself needs some route for service addresses, or its connections fail before they are translated.
      `route add ${names.serviceCidrs[0]} dev ${BRIDGE}`,
      `route add ${names.serviceCidrs[1]} dev ${BRIDGE}`,
    ],
    ns,
  );
  if (!inside.ok) return inside;
  return ipBatch([
    ...[names.podCidrs[0], names.serviceCidrs[0]].map(
      (cidr) => `route replace ${cidr} via ${uplink4} dev ${names.hostLink}`,
    ),
    ...[names.podCidrs[1], names.serviceCidrs[1]].map(
      (cidr) => `route replace ${cidr} via ${uplink6} dev ${names.hostLink}`,
    ),
  ]);
}

/** A locally administered unicast address. */
const bridgeMac = (slot: number): string => `02:77:ef:07:00:${slot.toString(16).padStart(2, '0')}`;

/** Addresses are usable at once (no duplicate detection), and nothing of it touches the host: sysctls are per namespace. */
function sysctlScript(): string {
  const settings = [
    'net/ipv4/ip_forward=1',
    'net/ipv6/conf/all/forwarding=1',
    'net/ipv6/conf/all/accept_dad=0',
    'net/ipv6/conf/default/accept_dad=0',
    'net/ipv6/conf/default/accept_ra=0',
    // Packets between pods come in and leave by the bridge; a redirect would teach pods a way around the node.
    'net/ipv4/conf/all/send_redirects=0',
    'net/ipv4/conf/default/send_redirects=0',
    // Pods' packets are routed, and so filtered once; where br_netfilter is loaded they would be a second time.
    'net/bridge/bridge-nf-call-iptables=0',
    'net/bridge/bridge-nf-call-ip6tables=0',
    // A node with many pods must not forget neighbours.
    'net/ipv4/neigh/default/gc_thresh3=4096',
  ];
  return settings
    .map((setting) => {
      const [name, value] = setting.split('=');
      return `if [ -e /proc/sys/${name} ]; then echo ${value} > /proc/sys/${name}; fi`;
    })
    .join('; ');
}

/** Names of the mesh's namespaces that exist now: pods first, the node last. */
export function meshNamespaces(mesh: string): string[] {
  if (!existsSync(NETNS_ROOT)) return [];
  const all = readdirSync(NETNS_ROOT);
  const pod = new RegExp(`^weft-${mesh}-p-[0-9a-f]{8}$`);
  return [...all.filter((name) => pod.test(name)), ...all.filter((name) => name === `weft-${mesh}-node`)];
}

/** Removes the namespaces and the host link. Processes inside must have ended: a namespace lives as long as one of them. */
export async function destroyNode(mesh: string): Promise<CommandResult> {
  let result: CommandResult = { ok: true, stdout: '' };
  const namespaces = meshNamespaces(mesh);
  if (namespaces.includes(`weft-${mesh}-node`)) {
    // Deleting one end takes the other along, at once instead of when the namespace is collected.
    await runCommand('ip', ['-n', `weft-${mesh}-node`, 'link', 'del', UPLINK]);
  }
  if (namespaces.length > 0) {
    const deleted = await runCommand(
      'ip',
      ['-force', '-batch', '-'],
      namespaces.map((name) => `netns del ${name}\n`).join(''),
    );
    if (!deleted.ok) result = deleted;
  }
  return result;
}
