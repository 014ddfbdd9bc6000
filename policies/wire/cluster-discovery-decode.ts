/** Where the endpoints of a cluster come from. */
import { isMessage } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.ts';
import type { ManagementServer } from '../model/management-server.ts';
import type { UpstreamTls } from '../model/tls.ts';
import { HTTP_OPTIONS } from './cluster-encode.ts';
import { decodeEndpointSource } from './config-source.ts';
import type { At } from './decoding.ts';
import { decodeDnsCache } from './dns-cache.ts';
import { decodeEndpoints } from './endpoints.ts';
import {
  type Cluster as ClusterMessage,
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as Family,
} from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { ClusterLoadAssignment } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ClusterConfigSchema } from './gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts';
import { HttpProtocolOptionsSchema } from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts';
import { decodeDuration, decodeHostAddress, type StructReader } from './values.ts';

const DNS_REFRESH_DEFAULT_MS = 5_000;

/** Undefined: another kind of cluster. */
export function decodeDynamic(
  message: ClusterMessage,
  settings: StructReader | undefined,
  at: At,
): Cluster['discovery'] | undefined {
  const { clusterDiscoveryType: type, loadAssignment, edsClusterConfig } = message;
  if (type.case !== 'clusterType') return undefined;
  const here = at.field('cluster_type');
  if (loadAssignment !== undefined || edsClusterConfig !== undefined)
    here.fail('finds its endpoints itself', undefined);
  const config = type.value.typedConfig && at.decoding.unpack(type.value.typedConfig);
  if (!isMessage(config, ClusterConfigSchema)) {
    return here.field('typed_config').fail('has to be that of dynamic_forward_proxy', { kind: 'original-dst' });
  }
  if (!config.allowInsecureClusterOptions && !asksByHost(message, at)) {
    const options = here.field('typed_config').field('allow_insecure_cluster_options');
    options.fail('has to be true without auto_sni and auto_san_validation, as for Envoy', undefined);
  }
  const specifier = config.clusterImplementationSpecifier;
  const cacheAt = here.field('typed_config').field('dns_cache_config');
  const discovery = {
    kind: 'dynamic',
    cache: decodeDnsCache(specifier.case === 'dnsCacheConfig' ? specifier.value : undefined, cacheAt),
    port: settings?.number('port', 0, 65_535) ?? 0,
    pattern: settings?.string('pattern') ?? '',
  } as const;
  settings?.end();
  return discovery;
}

const asksByHost = (message: ClusterMessage, at: At): boolean => {
  const any = message.typedExtensionProtocolOptions[HTTP_OPTIONS];
  const options = any === undefined ? undefined : at.decoding.unpack(any);
  return isMessage(options, HttpProtocolOptionsSchema) && options.upstreamHttpProtocolOptions?.autoSni === true;
};

/** Envoy has the two apart; a name that is asked for and not verified would be worth nothing. */
export function decodeSniFromHost(
  message: ClusterMessage,
  tls: UpstreamTls | undefined,
  at: At,
): Pick<Cluster, 'sniFromHost'> {
  const any = message.typedExtensionProtocolOptions[HTTP_OPTIONS];
  const options = any === undefined ? undefined : at.decoding.unpack(any);
  if (!isMessage(options, HttpProtocolOptionsSchema)) return {};
  const upstream = options.upstreamHttpProtocolOptions;
  if (upstream === undefined || (!upstream.autoSni && !upstream.autoSanValidation)) return {};
  const here = at.field('typed_extension_protocol_options').key(HTTP_OPTIONS).field('upstream_http_protocol_options');
  if (!upstream.autoSni || !upstream.autoSanValidation)
    here.fail('auto_sni needs auto_san_validation in Weft', undefined);
  if (tls === undefined) here.fail('is without effect without TLS', undefined);
  return { sniFromHost: true };
}

export function decodeDiscovery(message: ClusterMessage, at: At, ads?: ManagementServer): Cluster['discovery'] {
  const type = message.clusterDiscoveryType.case === 'type' ? message.clusterDiscoveryType.value : Discovery.STATIC;
  const here = at.field('load_assignment');
  const inline = type === Discovery.STATIC || type === Discovery.STRICT_DNS || type === Discovery.LOGICAL_DNS;
  if (message.loadAssignment !== undefined && !inline)
    here.fail('is for STATIC, STRICT_DNS and LOGICAL_DNS', undefined);
  if (message.edsClusterConfig !== undefined && type !== Discovery.EDS) {
    at.field('eds_cluster_config').fail('is for EDS', undefined);
  }
  switch (type) {
    case Discovery.EDS: {
      const config = message.edsClusterConfig;
      const source = decodeEndpointSource(config?.edsConfig, at.field('eds_cluster_config').field('eds_config'), ads);
      const serviceName = config?.serviceName || message.name;
      return { kind: 'eds', serviceName, ...(source === undefined ? {} : { source }) };
    }
    case Discovery.STATIC: {
      const { loadAssignment } = message;
      const assignment =
        loadAssignment === undefined ? here.fail('is required', undefined) : decodeEndpoints(loadAssignment, here);
      return { kind: 'static', assignment: assignment ?? { clusterName: '', endpoints: [] } };
    }
    case Discovery.LOGICAL_DNS:
    case Discovery.STRICT_DNS: {
      const rate = at.field('dns_refresh_rate');
      const refreshMs = decodeDuration(message.dnsRefreshRate, DNS_REFRESH_DEFAULT_MS, rate);
      if (refreshMs < 1) rate.fail('has to be at least 1 ms', undefined);
      const hosts = decodeHosts(message.loadAssignment, here);
      const logical = type === Discovery.LOGICAL_DNS;
      if (logical && hosts.length !== 1) here.fail('one name is wanted for LOGICAL_DNS', undefined);
      return {
        kind: 'strict-dns',
        hosts,
        refreshMs,
        ...decodeFamily(message, at),
        ...(logical ? { first: true } : {}),
      };
    }
    case Discovery.ORIGINAL_DST:
      return { kind: 'original-dst' };
    default:
      return at.field('type').fail(`discovery type ${type} is not supported by Weft`, { kind: 'original-dst' });
  }
}

/** AUTO and ALL: both families, as the runtime orders them. */
function decodeFamily({ dnsLookupFamily: family }: ClusterMessage, at: At): { family?: 'v4' | 'v6' | 'v4-preferred' } {
  switch (family) {
    case Family.AUTO:
    case Family.ALL:
      return {};
    case Family.V4_ONLY:
      return { family: 'v4' };
    case Family.V6_ONLY:
      return { family: 'v6' };
    case Family.V4_PREFERRED:
      return { family: 'v4-preferred' };
    default:
      return at.field('dns_lookup_family').fail(`family ${family} is not known`, {});
  }
}

/** Names are resolved to endpoints that are all alike: what tells endpoints apart is refused. */
function decodeHosts(assignment: ClusterLoadAssignment | undefined, at: At): { host: string; port: number }[] {
  if (assignment === undefined) return at.fail('is required', []);
  return assignment.endpoints.flatMap((group, g) => {
    const here = at.field('endpoints').index(g);
    if (group.priority !== 0) here.field('priority').fail('is not supported by Weft for STRICT_DNS', undefined);
    return group.lbEndpoints.map((endpoint, i) => {
      const place = here.field('lb_endpoints').index(i);
      if (endpoint.metadata !== undefined || endpoint.healthStatus !== 0 || (endpoint.loadBalancingWeight ?? 1) !== 1) {
        place.fail(
          'metadata, health_status and load_balancing_weight are not supported by Weft for STRICT_DNS',
          undefined,
        );
      }
      const host = endpoint.hostIdentifier.case === 'endpoint' ? endpoint.hostIdentifier.value : undefined;
      if ((host?.hostname ?? '') !== '') {
        place.field('endpoint').field('hostname').fail('is the name that is resolved for STRICT_DNS', undefined);
      }
      return decodeHostAddress(host?.address, place.field('endpoint').field('address'));
    });
  });
}
