/** Filter chains of the outbound listener for destinations outside of the mesh. */
import type { CidrRange } from '@weft/policies/model/address';
import { BLACKHOLE, EGRESS_STAT_PREFIX, UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import {
  anyTraffic,
  type FilterChain,
  type FilterChainMatch,
  type HttpConnectionManager,
  type TcpProxy,
} from '@weft/policies/model/listener';
import { objectKey } from '../../index/objects.ts';
import type { ClusterState } from '../../index/state.ts';
import { OUTBOUND, PASSTHROUGH } from '../names.ts';
import { parseCidr } from '../principals.ts';
import { isDynamic, wildcardNames } from './cluster.ts';
import { egressName, externalName } from './names.ts';
import { type Claim, visibleTo } from './visible.ts';

interface ChainMakers {
  readonly httpProtocols: readonly string[];
  http(route: string): HttpConnectionManager;
  tcp(cluster: string): TcpProxy;
}

export const isRegistryOnly = (state: ClusterState): boolean => state.mesh?.spec.outbound === 'RegistryOnly';

/** Empty where nothing is declared and everything may pass: then no connection is looked at. */
export function externalChains(state: ClusterState, namespace: string, makers: ChainMakers): FilterChain[] {
  const { claims } = visibleTo(state, namespace);
  const chains = new Map<string, FilterChain>();
  for (const claim of claims) {
    const chain = chainOf(state, claim, makers);
    chains.set(chain.name, chain);
  }
  if (chains.size === 0 && !isRegistryOnly(state)) return [];
  return [...chains.values(), otherwise(state, makers)];
}

const rangesOf = (claim: Claim): CidrRange[] => claim.blocks.map(parseCidr);

function chainOf(state: ClusterState, claim: Claim, makers: ChainMakers): FilterChain {
  const { external, port, kind, host } = claim;
  const { namespace, name } = external.metadata;
  const resource = externalName({ namespace, name, port: port.number, host });
  const match: FilterChainMatch = {
    ...anyTraffic,
    destinationPort: port.number,
    destinationRanges: rangesOf(claim),
  };
  const base = { tls: undefined, networkRbac: [] };
  const service = objectKey(external.metadata);
  switch (kind) {
    case 'tcp':
      return { ...base, name: resource, match, outside: { service }, terminal: makers.tcp(resource) };
    case 'tls':
      return {
        ...base,
        name: resource,
        match: { ...match, serverNames: host === undefined ? [] : [host], transportProtocol: 'tls' },
        ...(isDynamic(external, host)
          ? { serverNameProxy: { cache: wildcardNames, port: port.targetPort ?? port.number } }
          : {}),
        outside: { service },
        terminal: makers.tcp(resource),
      };
    case 'http': {
      // Without addresses all hosts of the port share a chain, and Host tells them apart.
      const route =
        claim.blocks.length === 0
          ? egressName(port.number)
          : externalName({ namespace, name, port: port.number, host: undefined });
      return {
        ...base,
        name: route,
        match: { ...match, transportProtocol: 'raw_buffer', applicationProtocols: makers.httpProtocols },
        outside: { service: UNKNOWN_SERVICE },
        terminal: egressManager(state, makers.http(route)),
      };
    }
  }
}

function egressManager(state: ClusterState, manager: HttpConnectionManager): HttpConnectionManager {
  const dynamic = {
    kind: 'dynamic-dns',
    name: 'envoy.filters.http.dynamic_forward_proxy',
    cache: wildcardNames,
  } as const;
  return {
    ...manager,
    statPrefix: EGRESS_STAT_PREFIX,
    // A tunnel by CONNECT would go on to hosts that nobody declared.
    edge: isRegistryOnly(state) ? { ...manager.edge, upgrades: ['websocket'] } : manager.edge,
    filters: [...manager.filters.filter(({ kind }) => kind !== 'router'), dynamic, { kind: 'router' }],
  };
}

function otherwise(state: ClusterState, makers: ChainMakers): FilterChain {
  return {
    name: 'outside',
    match: anyTraffic,
    tls: undefined,
    networkRbac: [],
    outside: { service: UNKNOWN_SERVICE },
    terminal: { ...makers.tcp(isRegistryOnly(state) ? BLACKHOLE : PASSTHROUGH), statPrefix: `${OUTBOUND}-outside` },
  };
}
