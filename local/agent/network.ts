import { existsSync, writeFileSync } from 'node:fs';
import { type CommandResult, ipBatch, runCommand } from '../node/command.ts';
import {
  BRIDGE,
  type MeshNames,
  POD_HOST_MAX,
  POD_HOST_MIN,
  podAddresses,
  podLink,
  podNamespace,
} from '../node/names.ts';
import { NETNS_ROOT } from '../node/node.ts';
import { inNetworkNamespace } from '../node/syscalls.ts';

interface PodNetwork {
  readonly namespacePath: string;
  readonly ips: readonly [v4: string, v6: string];
}

type NetworkResult =
  | { readonly ok: true; readonly network: PodNetwork }
  | { readonly ok: false; readonly message: string };

/**
 * Settings of a pod's own namespace. A missing file means that the kernel has no such setting. IPv6 reads most of them only from the
 * interface itself, which exists already when they are written.
 */
const POD_SYSCTLS: readonly (readonly [string, string])[] = [
  ...['all', 'default', 'eth0'].flatMap((device): [string, string][] => [
    [`net/ipv6/conf/${device}/accept_dad`, '0'],
    // The node would redirect pods straight to each other, past the connection tracking that service addresses need.
    [`net/ipv6/conf/${device}/accept_redirects`, '0'],
    [`net/ipv4/conf/${device}/accept_redirects`, '0'],
    [`net/ipv6/conf/${device}/accept_ra`, '0'],
  ]),
  // Containers do not run as root; ports below 1024 are theirs all the same, as with containerd.
  ['net/ipv4/ip_unprivileged_port_start', '0'],
];

/** Gives pods their network namespaces and addresses. Addresses rotate, so that a freed one is not reused at once. */
export class PodNetworks {
  readonly #names: MeshNames;
  readonly #byUid = new Map<string, { readonly host: number; readonly network: PodNetwork }>();
  readonly #used = new Set<number>();
  #next = POD_HOST_MIN;

  constructor(names: MeshNames) {
    this.#names = names;
  }

  #allocate(): number | undefined {
    const span = POD_HOST_MAX - POD_HOST_MIN + 1;
    for (let tried = 0; tried < span; tried++) {
      const host = this.#next;
      this.#next = host === POD_HOST_MAX ? POD_HOST_MIN : host + 1;
      // The last octets 0 and 255 are legal here but look like mistakes.
      if (!this.#used.has(host) && (host & 0xff) !== 0 && (host & 0xff) !== 0xff) return host;
    }
    return undefined;
  }

  async create(podUid: string): Promise<NetworkResult> {
    const existing = this.#byUid.get(podUid);
    if (existing !== undefined) return { ok: true, network: existing.network };
    const host = this.#allocate();
    if (host === undefined) return { ok: false, message: 'no free pod address' };
    this.#used.add(host);
    const ips = podAddresses(this.#names, host);
    const built = await this.#build(podUid, ips);
    if (!built.ok) {
      await this.#tearDown(podUid);
      this.#used.delete(host);
      return built;
    }
    const network: PodNetwork = { namespacePath: `${NETNS_ROOT}/${podNamespace(this.#names, podUid)}`, ips };
    this.#byUid.set(podUid, { host, network });
    return { ok: true, network };
  }

  async #build(podUid: string, ips: readonly [string, string]): Promise<CommandResult> {
    const namespace = podNamespace(this.#names, podUid);
    const link = podLink(podUid);
    const [bridge4, bridge6] = this.#names.bridgeIps;
    const outside = await ipBatch([
      `netns add ${namespace}`,
      `link add ${link} type veth peer name eth0 netns ${namespace}`,
      `link set ${link} addrgenmode none`,
      `link set ${link} master ${BRIDGE}`,
      `link set ${link} up`,
    ]);
    if (!outside.ok) return outside;
    inNetworkNamespace(`${NETNS_ROOT}/${namespace}`, () => {
      for (const [name, value] of POD_SYSCTLS) {
        const file = `/proc/sys/${name}`;
        if (existsSync(file)) writeFileSync(file, value);
      }
    });
    return ipBatch(
      [
        'link set lo up',
        'link set eth0 addrgenmode none',
        `addr add ${ips[0]}/32 dev eth0`,
        `addr add ${ips[1]}/128 dev eth0 nodad`,
        'link set eth0 up',
        `route add ${bridge4} dev eth0 src ${ips[0]}`,
        `route add default via ${bridge4} dev eth0 src ${ips[0]}`,
        `route add ${bridge6} dev eth0 src ${ips[1]}`,
        `route add default via ${bridge6} dev eth0 src ${ips[1]}`,
      ],
      namespace,
    );
  }

  async #tearDown(podUid: string): Promise<void> {
    await runCommand('ip', ['link', 'del', podLink(podUid)]);
    await runCommand('ip', ['netns', 'del', podNamespace(this.#names, podUid)]);
  }

  async remove(podUid: string): Promise<void> {
    const entry = this.#byUid.get(podUid);
    if (entry === undefined) return;
    this.#byUid.delete(podUid);
    await this.#tearDown(podUid);
    this.#used.delete(entry.host);
  }
}
