/** Clusters of hosts outside of the mesh: one for each host, so that no name ever reaches the servers of another. */

import type { ExternalService } from '@weft/policies/crds/kinds';
import { leastRequest } from '@weft/policies/model/balancer';
import { type Cluster, type Endpoint, plainEndpoint } from '@weft/policies/model/cluster';
import type { DnsCache } from '@weft/policies/model/dns-cache';
import { BLACKHOLE } from '@weft/policies/model/egress';
import { IDENTITY_SECRET, SYSTEM_TRUST_FILE, type UpstreamTls } from '@weft/policies/model/tls';
import { canonicalIp } from '../../index/core.ts';
import { keyOf } from '../../index/objects.ts';
import { clusterWith, originalDestinationCluster } from '../cluster.ts';
import type { TranslateContext } from '../context.ts';
import { tcpFault } from '../fault.ts';
import { PASSTHROUGH } from '../names.ts';
import { mergedPolicy } from '../policy.ts';
import { type ExternalRef, externalName, UNKNOWN } from './names.ts';
import { type ExternalPort, kindOfPort, type PortKind } from './visible.ts';

/** How often names are looked up while they have traffic. */
const dnsRefreshMs = 15_000;

/** Names below wildcards: all clusters and filters share one cache, as Envoy wants it. */
export const wildcardNames: DnsCache = {
  name: 'weft.dev/egress',
  hostsMax: 1_024,
  refreshMs: dnsRefreshMs,
  idleMs: 300_000,
};

const isWildcard = (host: string | undefined): boolean => host?.startsWith('*') === true;

/** Looked up by the name that each request or ClientHello brings. */
export const isDynamic = ({ spec }: ExternalService, host: string | undefined): boolean =>
  spec.resolution === 'DNS' && spec.endpoints === undefined && isWildcard(host);

export function translateExternalCluster(
  context: TranslateContext,
  clientNamespace: string,
  ref: ExternalRef,
): Cluster | undefined {
  const external = context.state.externalServices.get(keyOf(ref.namespace, ref.name));
  const port = external?.spec.ports.find(({ number }) => number === ref.port);
  if (external === undefined || port === undefined) return undefined;
  const { hosts = [] } = external.spec;
  if (ref.host !== undefined && !hosts.includes(ref.host)) return undefined;
  // A backend of a route is one server; which of the names below a wildcard would be meant, nobody has said.
  const host = ref.host ?? hosts.find((one) => !isWildcard(one));
  if (ref.host === undefined && host === undefined && hosts.length > 0 && isDynamic(external, hosts[0]))
    return undefined;
  const target = { service: external, port: { name: port.name, port: port.number } };
  const policy = mergedPolicy(context.state, clientNamespace, target);
  const tls = tlsOf(external, port, host);
  const name = externalName(ref);
  const cluster = clusterWith(context, policy, {
    name,
    discovery: discoveryOf(external, port, host, name),
    protocol: protocolOf(port, tls),
    tls,
    ...(tls !== undefined && tls.sni === '' ? { sniFromHost: true } : {}),
    meshTls: false,
    service: { namespace: ref.namespace, name: ref.name },
    ...(kindOfPort(port) === 'http' ? {} : tcpFault(context.state, clientNamespace, target)),
  });
  // The connection or the name says where it goes: nothing is balanced, and there is nobody else to be better than.
  const chosen = cluster.discovery.kind === 'original-dst' || cluster.discovery.kind === 'dynamic';
  return {
    ...cluster,
    tls: tls && { ...tls, alpn: alpnOf(kindOfPort(port), cluster.protocol) },
    ...(chosen ? { balancer: leastRequest } : {}),
    ...(cluster.discovery.kind === 'original-dst' ? { outlier: undefined } : {}),
  };
}

function discoveryOf(
  external: ExternalService,
  port: ExternalPort,
  host: string | undefined,
  clusterName: string,
): Cluster['discovery'] {
  const { resolution, endpoints = [] } = external.spec;
  const number = port.targetPort ?? port.number;
  switch (resolution) {
    case 'Passthrough':
      return { kind: 'original-dst' };
    case 'Static':
      return {
        kind: 'static',
        assignment: {
          clusterName,
          endpoints: endpoints.map(
            (one): Endpoint => ({
              ...plainEndpoint({ ip: canonicalIp(one.address), port: one.port ?? number }),
              weight: one.weight ?? 1,
              zone: one.zone ?? '',
            }),
          ),
        },
      };
    case 'DNS': {
      if (isDynamic(external, host))
        return { kind: 'dynamic', cache: wildcardNames, port: number, pattern: host ?? '' };
      const names = endpoints.map((one) => ({ host: one.address, port: one.port ?? number }));
      const own = host === undefined ? [] : [{ host, port: number }];
      return { kind: 'strict-dns', hosts: names.length > 0 ? names : own, refreshMs: dnsRefreshMs };
    }
  }
}

function protocolOf(port: ExternalPort, tls: UpstreamTls | undefined): Cluster['protocol'] {
  if (port.appProtocol === 'http2' || port.appProtocol === 'grpc') return 'http2';
  return tls !== undefined && port.appProtocol === 'http' ? 'negotiated' : 'downstream';
}

function alpnOf(kind: PortKind, protocol: Cluster['protocol']): readonly string[] {
  if (kind !== 'http') return [];
  switch (protocol) {
    case 'negotiated':
      return ['h2', 'http/1.1'];
    case 'http2':
      return ['h2'];
    case 'http1':
    case 'downstream':
      return ['http/1.1'];
  }
}

/** SNI is left empty where only the request says which server is meant. */
function tlsOf({ spec }: ExternalService, port: ExternalPort, host: string | undefined): UpstreamTls | undefined {
  const { tls } = spec;
  if (tls === undefined || port.appProtocol === 'tls') return undefined;
  const sni = tls.sni ?? (isWildcard(host) ? '' : (host ?? ''));
  const names = tls.subjectAltNames ?? (sni === '' ? [] : [sni]);
  const ca = tls.caCertificates;
  return {
    certificate: tls.mode === 'Mutual' ? { kind: 'secret', name: IDENTITY_SECRET } : undefined,
    validation: {
      trust: {
        kind: 'inline',
        ca: ca === undefined ? { kind: 'file', path: SYSTEM_TRUST_FILE } : { kind: 'pem', pem: ca },
      },
      subjectAltNames: names.map((value) => ({ type: 'dns', match: { kind: 'exact', value } })),
    },
    alpn: [],
    sni,
    parameters: { versionMin: 'TLSv1.2', versionMax: 'TLSv1.3' },
  };
}

/** Has no endpoints: whoever connects is closed with `UH`, as in Istio. */
export const blackhole: Cluster = {
  ...originalDestinationCluster(PASSTHROUGH),
  name: BLACKHOLE,
  discovery: { kind: 'static', assignment: { clusterName: BLACKHOLE, endpoints: [] } },
  meshTls: false,
  service: UNKNOWN,
};
