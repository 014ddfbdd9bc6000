/** Which ExternalServices a namespace sees, and which of them has a host, an address or a port where several want it. */
import type { ExternalService } from '@weft/policies/crds/kinds';
import { canonicalIp } from '../../index/core.ts';
import { byAge, objectKey } from '../../index/objects.ts';
import type { ClusterState } from '../../index/state.ts';
import { parseCidr } from '../principals.ts';

export type ExternalPort = ExternalService['spec']['ports'][number];
export type PortKind = 'http' | 'tls' | 'tcp';

export const kindOfPort = ({ appProtocol }: ExternalPort): PortKind =>
  appProtocol === 'tls' || appProtocol === 'tcp' ? appProtocol : 'http';

/** One way in: connections to this port, by this name, at this address. */
export interface Claim {
  readonly external: ExternalService;
  readonly port: ExternalPort;
  readonly kind: PortKind;
  /** Undefined: by address alone. */
  readonly host: string | undefined;
  /** Canonical blocks; empty: any address that is not of the mesh. */
  readonly blocks: readonly string[];
}

interface ClaimConflict {
  readonly loser: string;
  readonly winner: string;
  /** What both want: `api.example.com on port 443`. */
  readonly what: string;
}

interface Visible {
  readonly claims: readonly Claim[];
  readonly conflicts: readonly ClaimConflict[];
}

/** Only who runs the mesh decides for all of it: a tenant would catch the traffic of the others. */
export const isForeignMeshWide = (state: ClusterState, { metadata, spec }: ExternalService): boolean =>
  spec.visibility === 'Mesh' && metadata.namespace !== state.meshNamespace;

export function isVisibleTo(state: ClusterState, external: ExternalService, namespace: string): boolean {
  if (isForeignMeshWide(state, external)) return false;
  return external.spec.visibility === 'Mesh' || external.metadata.namespace === namespace;
}

function externalServicesFor(state: ClusterState, namespace: string): ExternalService[] {
  const own = state.externalServices.by('namespace', namespace);
  const wide = state.externalServices
    .by('visibility', 'Mesh')
    .filter((external) => external.metadata.namespace !== namespace);
  return [...own, ...wide].filter((external) => isVisibleTo(state, external, namespace)).sort(byAge);
}

/** Without what is behind the prefix: `10.0.0.7/8` is `10.0.0.0/8`. */
function canonicalBlock(text: string): string {
  const { ip, prefixBits } = parseCidr(text);
  if (ip.includes(':')) return `${maskedV6(ip, prefixBits)}/${prefixBits}`;
  const bytes = ip.split('.').map((byte, i) => Number(byte) & (0xff00 >> Math.min(8, Math.max(0, prefixBits - 8 * i))));
  return `${bytes.map((byte) => byte & 0xff).join('.')}/${prefixBits}`;
}

/** The URL parser writes RFC 5952, from eight groups in full. */
function maskedV6(ip: string, prefixBits: number): string {
  const [head = '', tail] = ip.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const all = [...first, ...Array<string>(tail === undefined ? 0 : 8 - first.length - last.length).fill('0'), ...last];
  const masked = all.map((group, i) => {
    const bits = Math.min(16, Math.max(0, prefixBits - 16 * i));
    return (Number.parseInt(group, 16) & (0xffff0000 >> bits) & 0xffff).toString(16);
  });
  return canonicalIp(masked.join(':'));
}

function claimsOf(external: ExternalService): Claim[] {
  const { ports, hosts, addresses = [] } = external.spec;
  const blocks = [...new Set(addresses.map(canonicalBlock))];
  return ports.flatMap((port): Claim[] => {
    const kind = kindOfPort(port);
    const named = kind === 'tcp' ? undefined : hosts;
    if (named === undefined) return [{ external, port, kind, host: undefined, blocks }];
    return named.map((host) => ({ external, port, kind, host, blocks }));
  });
}

/** What no two may have: a filter chain is chosen by port, address, name and whether TLS comes. */
function keysOf({ kind, port, host, blocks }: Claim): { readonly key: string; readonly what: string }[] {
  const at = `on port ${port.number}`;
  if (blocks.length === 0) return [{ key: `${kind} ${port.number} ${host}`, what: `${host} ${at}` }];
  return blocks.map((block) => {
    // Requests to one block share a chain, and with it one table of hosts.
    const name = kind === 'tls' ? (host ?? '') : '';
    return {
      key: `${kind} ${port.number} ${block} ${name}`,
      what: `${name === '' ? '' : `${name} at `}${block} ${at}`,
    };
  });
}

/** The oldest wins (Gateway API, "Conflicts"); what a younger one has beside that still counts. */
export function visibleTo(state: ClusterState, namespace: string): Visible {
  const owners = new Map<string, string>();
  const claims: Claim[] = [];
  const conflicts: ClaimConflict[] = [];
  for (const external of externalServicesFor(state, namespace)) {
    const name = objectKey(external.metadata);
    for (const claim of claimsOf(external)) {
      const keys = keysOf(claim);
      const lost = keys.find(({ key }) => (owners.get(key) ?? name) !== name);
      if (lost !== undefined) {
        conflicts.push({ loser: name, winner: owners.get(lost.key) ?? '', what: lost.what });
        continue;
      }
      for (const { key } of keys) owners.set(key, name);
      claims.push(claim);
    }
  }
  return { claims, conflicts };
}
