import { isIPv6 } from 'node:net';
import {
  bits,
  type Chain,
  CT_STATUS,
  dnatBySource,
  dnatTo,
  isIn,
  jump,
  masquerade,
  match,
  type NamedSet,
  PRIORITY,
  type Ruleset,
  rejectWith,
  rule,
  type Statement,
  vmap,
} from '@weft/injector/redirect/ruleset';
import type { Endpoint, EndpointSlice, Service } from '../../client/objects.ts';

/** kube-proxy's work as one nf_tables table: cluster IPs become ready endpoints. Pure: Services and slices in, ruleset out. */

export const TABLE = 'weft-services';

interface Backend {
  readonly address: string;
  readonly port: number;
}

interface VirtualPort {
  readonly id: string;
  readonly vip: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly backends: readonly Backend[];
  /** Connections of one client go to one backend (sessionAffinity ClientIP). */
  readonly sticky: boolean;
}

const SERVICE_NAME = 'kubernetes.io/service-name';

/** Ready endpoints; when there are none, terminating ones that still serve (KEP-1669), so that the last pods' connections do not fail. */
export function usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.conditions?.ready !== false);
  if (ready.length > 0) return ready;
  return endpoints.filter(
    (endpoint) => endpoint.conditions?.terminating === true && endpoint.conditions.serving !== false,
  );
}

function backendsOf(
  slices: readonly EndpointSlice[],
  portName: string,
  protocol: string,
  sixth: boolean,
  mayServe: (endpoint: Endpoint) => boolean,
): Backend[] {
  const family = slices.filter((slice) => (slice.addressType === 'IPv6') === sixth);
  const chosen = new Set(usable(family.flatMap((slice) => slice.endpoints ?? []).filter(mayServe)));
  const backends = new Map<string, Backend>();
  for (const slice of family) {
    const port = (slice.ports ?? []).find(
      (item) => (item.name ?? '') === portName && (item.protocol ?? 'TCP') === protocol,
    )?.port;
    if (port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (!chosen.has(endpoint)) continue;
      const [address] = endpoint.addresses;
      if (address !== undefined) backends.set(`${address} ${port}`, { address, port });
    }
  }
  return [...backends.values()].sort((a, b) =>
    a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port,
  );
}

export function virtualPorts(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  nodeName: string,
): VirtualPort[] {
  const isHere = (endpoint: Endpoint): boolean => endpoint.nodeName === nodeName;
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = `${slice.metadata.namespace}/${slice.metadata.labels?.[SERVICE_NAME] ?? ''}`;
    const list = byService.get(key) ?? [];
    byService.set(key, list);
    list.push(slice);
  }
  const ports: VirtualPort[] = [];
  for (const service of services) {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    const mayServe = service.spec.internalTrafficPolicy === 'Local' ? isHere : () => true;
    for (const vip of service.spec.clusterIPs ?? []) {
      if (vip === 'None' || vip === '' || service.spec.type === 'ExternalName') continue;
      for (const port of service.spec.ports ?? []) {
        const protocol = port.protocol ?? 'TCP';
        if (protocol !== 'TCP' && protocol !== 'UDP') continue;
        ports.push({
          id: `${key}:${port.name ?? port.port}`,
          vip,
          protocol: protocol === 'TCP' ? 'tcp' : 'udp',
          port: port.port,
          backends: backendsOf(byService.get(key) ?? [], port.name ?? '', protocol, isIPv6(vip), mayServe),
          sticky: service.spec.sessionAffinity === 'ClientIP',
        });
      }
    }
  }
  return ports.sort((a, b) => (a.id + a.vip < b.id + b.vip ? -1 : 1));
}

/** Enough that shares of few backends differ little. */
const STICKY_SLOTS = 128;

/**
 * Each slot goes to the backend with the highest hash for it (rendezvous hashing), so that a backend that comes or goes moves its own share of the clients
 * only. Clients stay for as long as their backend does: the kernel keeps no memory of them that `timeoutSeconds` could end.
 */
export function stickySlots(backends: readonly Backend[]): Backend[] {
  const named = backends.map((backend) => ({ backend, name: `${backend.address} ${backend.port}` }));
  return Array.from({ length: STICKY_SLOTS }, (_, slot) => {
    const ranked = named.map(({ backend, name }) => ({ backend, rank: fnv1a(`${slot} ${name}`) }));
    return ranked.reduce((best, one) => (one.rank > best.rank ? one : best)).backend;
  });
}

/** The 32-bit hash FNV-1a, mixed once more (the finalizer of MurmurHash3): neighbouring addresses differ in few bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function toBackends({ backends, sticky }: VirtualPort): Statement {
  return sticky && backends.length > 1 ? dnatBySource(...stickySlots(backends)) : dnatTo(...backends);
}

const chainName = (port: VirtualPort): string => `svc-${port.vip.replace(/[.:]/g, '-')}-${port.protocol}-${port.port}`;

const daddr = (vip: string): 'ip daddr' | 'ip6 daddr' => (isIPv6(vip) ? 'ip6 daddr' : 'ip daddr');
const saddr = (vip: string): 'ip saddr' | 'ip6 saddr' => (isIPv6(vip) ? 'ip6 saddr' : 'ip saddr');

function serviceMap(name: string, ports: readonly VirtualPort[], sixth: boolean): NamedSet {
  return {
    kind: 'vmap',
    name,
    fields: [sixth ? 'ip6 daddr' : 'ip daddr', 'meta l4proto', 'th dport'],
    entries: ports
      .filter((port) => isIPv6(port.vip) === sixth)
      .map((port) => ({
        key: [port.vip, port.protocol, port.port],
        verdict: { kind: 'goto', chain: chainName(port) },
      })),
  };
}

/** A pod that reaches itself by its Service's address must see another source, or it drops the packet as its own. */
function hairpins(ports: readonly VirtualPort[]): { readonly v4: string[]; readonly v6: string[] } {
  const addresses = [...new Set(ports.flatMap((port) => port.backends.map((backend) => backend.address)))].sort();
  return { v4: addresses.filter((item) => !isIPv6(item)), v6: addresses.filter((item) => isIPv6(item)) };
}

export function planClusterIps(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  serviceCidrs: readonly string[],
  nodeName: string,
): Ruleset {
  const ports = virtualPorts(services, slices, nodeName);
  const served = ports.filter((port) => port.backends.length > 0);
  const dispatch = [
    rule('services IPv4', vmap('services4', 'ip daddr', 'meta l4proto', 'th dport')),
    rule('services IPv6', vmap('services6', 'ip6 daddr', 'meta l4proto', 'th dport')),
  ];
  // After translation nothing goes to the service range: what still does has no Service, no such port, or no endpoint.
  const refuse = serviceCidrs.map((cidr) =>
    rule(
      `not served ${cidr}`,
      isIn(isIPv6(cidr.split('/')[0] ?? '') ? 'ip6 daddr' : 'ip daddr', [cidr]),
      jump('no-endpoints'),
    ),
  );
  const addresses = hairpins(ports);
  const hairpinRules = [...addresses.v4, ...addresses.v6].map((address) =>
    rule(`hairpin ${address}`, match(saddr(address), address), match(daddr(address), address), masquerade),
  );
  const chains: Chain[] = [
    ...served.map((port) => ({
      name: chainName(port),
      rules: [rule(port.id.slice(0, 120), match('meta l4proto', port.protocol), toBackends(port))],
    })),
    {
      name: 'no-endpoints',
      rules: [
        rule('refuse TCP', match('meta l4proto', 'tcp'), rejectWith('tcp-reset')),
        rule('refuse the rest', rejectWith('port-unreachable')),
      ],
    },
    { name: 'hairpin', rules: hairpinRules },
    {
      name: 'dnat-pods',
      hook: { type: 'nat', hook: 'prerouting', priority: PRIORITY.dstnat, policy: 'accept' },
      rules: dispatch,
    },
    {
      name: 'dnat-node',
      hook: { type: 'nat', hook: 'output', priority: PRIORITY.dstnat, policy: 'accept' },
      rules: dispatch,
    },
    {
      name: 'refuse-pods',
      hook: { type: 'filter', hook: 'prerouting', priority: PRIORITY.filter, policy: 'accept' },
      rules: refuse,
    },
    {
      name: 'refuse-node',
      hook: { type: 'filter', hook: 'output', priority: PRIORITY.filter, policy: 'accept' },
      rules: refuse,
    },
    {
      name: 'source',
      hook: { type: 'nat', hook: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' },
      rules: [rule('translated packets', bits('ct status', CT_STATUS.dstNat), jump('hairpin'))],
    },
  ];
  return {
    family: 'inet',
    table: TABLE,
    sets: [serviceMap('services4', served, false), serviceMap('services6', served, true)],
    chains,
  };
}
