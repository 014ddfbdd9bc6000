import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import type { FilterChain, FilterChainMatch, Listener, TcpProxy, WorkloadSettings } from '../model/listener.ts';
import { encodeAccessLog } from './access-log-encode.ts';
import { encodeRbac } from './authorization.ts';
import { encodeBufferLimit } from './buffer-limit.ts';
import { encodeDnsCache } from './dns-cache.ts';
import { TrafficDirection } from './gen/envoy/config/core/v3/base_pb.ts';
import type {
  FilterChainMatchSchema,
  FilterChainSchema,
  FilterSchema,
  ListenerFilterSchema,
} from './gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { HttpInspectorSchema } from './gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts';
import { OriginalDstSchema } from './gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.ts';
import { ProxyProtocolSchema } from './gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts';
import { TlsInspectorSchema } from './gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts';
import { HttpConnectionManagerSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { RBACSchema } from './gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts';
import { FilterConfigSchema as SniDynamicDnsSchema } from './gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.ts';
import { TcpProxySchema } from './gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import { encodeHttpConnectionManager } from './http-connection-manager-encode.ts';
import { encodeRequestLimits } from './request-limits.ts';
import { encodeDownstreamTls } from './tls-encode.ts';
import { typedConfig } from './typed-config.ts';
import { encodeCidr, encodeDuration, encodeMetadata, encodeSocketAddress, WEFT_METADATA } from './values.ts';

export function encodeListener(listener: Listener): MessageInitShape<typeof ListenerSchema> {
  const [address, ...others] = listener.addresses;
  return {
    name: listener.name,
    trafficDirection: listener.direction === 'inbound' ? TrafficDirection.INBOUND : TrafficDirection.OUTBOUND,
    ...(address === undefined ? {} : { address: encodeSocketAddress(address) }),
    additionalAddresses: others.map((other) => ({ address: encodeSocketAddress(other) })),
    listenerFilters: encodeListenerFilters(listener),
    listenerFiltersTimeout: encodeDuration(listener.detectTimeoutMs),
    continueOnListenerFiltersTimeout: listener.closesUndetected !== true,
    ...encodeBufferLimit(listener),
    filterChains: listener.filterChains.map(encodeFilterChain),
    ...(listener.defaultFilterChain === undefined
      ? {}
      : { defaultFilterChain: encodeFilterChain(listener.defaultFilterChain) }),
    metadata: encodeMetadata({
      [WEFT_METADATA]: {
        ...(listener.settings === undefined ? {} : { settings: encodeSettings(listener.settings) }),
        ...(listener.traceContext === undefined ? {} : { trace_context: listener.traceContext }),
      },
    }),
  };
}

function encodeListenerFilters(listener: Listener): MessageInitShape<typeof ListenerFilterSchema>[] {
  const filters: MessageInitShape<typeof ListenerFilterSchema>[] = [];
  if (listener.useOriginalDst) {
    filters.push({ name: 'envoy.filters.listener.original_dst', configType: typedConfig(OriginalDstSchema) });
  }
  if (listener.proxyProtocol) {
    filters.push({ name: 'envoy.filters.listener.proxy_protocol', configType: typedConfig(ProxyProtocolSchema) });
  }
  if (listener.detectTls) {
    filters.push({ name: 'envoy.filters.listener.tls_inspector', configType: typedConfig(TlsInspectorSchema) });
  }
  if (listener.detectHttp) {
    filters.push({ name: 'envoy.filters.listener.http_inspector', configType: typedConfig(HttpInspectorSchema) });
  }
  return filters;
}

const encodeSettings = ({ tracing, ...settings }: WorkloadSettings): JsonObject => ({
  workload_name: settings.workloadName,
  service_name: settings.serviceName,
  access_log: settings.accessLog,
  ...(tracing === undefined
    ? {}
    : {
        tracing: {
          otlp_endpoint: tracing.otlpEndpoint,
          otlp_protocol: tracing.otlpProtocol,
          sampling_percent: tracing.samplingPercent,
        },
      }),
});

function encodeFilterChain(chain: FilterChain): MessageInitShape<typeof FilterChainSchema> {
  const rbac = chain.networkRbac.map(
    (rules): MessageInitShape<typeof FilterSchema> => ({
      name: 'envoy.filters.network.rbac',
      configType: typedConfig(RBACSchema, { statPrefix: 'rbac', rules: encodeRbac(rules) }),
    }),
  );
  const { outside, serverNameProxy, terminal } = chain;
  const limits = encodeRequestLimits(terminal);
  const own = {
    ...(outside === undefined ? {} : { outside: { service: outside.service } }),
    ...(limits === undefined ? {} : { request_limits: limits }),
  };
  const names = serverNameProxy === undefined ? [] : [encodeServerNameProxy(serverNameProxy)];
  return {
    name: chain.name,
    filterChainMatch: encodeMatch(chain.match),
    filters: [...rbac, ...names, encodeTerminal(terminal)],
    ...(chain.tls === undefined ? {} : { transportSocket: encodeDownstreamTls(chain.tls) }),
    ...(Object.keys(own).length === 0 ? {} : { metadata: encodeMetadata({ [WEFT_METADATA]: own }) }),
  };
}

const encodeServerNameProxy = ({
  cache,
  port,
}: NonNullable<FilterChain['serverNameProxy']>): MessageInitShape<typeof FilterSchema> => ({
  name: 'envoy.filters.network.sni_dynamic_forward_proxy',
  configType: typedConfig(SniDynamicDnsSchema, {
    dnsCacheConfig: encodeDnsCache(cache),
    portSpecifier: { case: 'portValue', value: port },
  }),
});

const encodeMatch = (match: FilterChainMatch): MessageInitShape<typeof FilterChainMatchSchema> => ({
  destinationPort: match.destinationPort,
  prefixRanges: match.destinationRanges.map(encodeCidr),
  serverNames: [...match.serverNames],
  transportProtocol: match.transportProtocol ?? '',
  applicationProtocols: [...match.applicationProtocols],
});

const encodeTerminal = (terminal: FilterChain['terminal']): MessageInitShape<typeof FilterSchema> =>
  terminal.kind === 'http'
    ? {
        name: 'envoy.filters.network.http_connection_manager',
        configType: typedConfig(HttpConnectionManagerSchema, encodeHttpConnectionManager(terminal)),
      }
    : { name: 'envoy.filters.network.tcp_proxy', configType: typedConfig(TcpProxySchema, encodeTcpProxy(terminal)) };

function encodeTcpProxy(proxy: TcpProxy): MessageInitShape<typeof TcpProxySchema> {
  const [only] = proxy.clusters;
  return {
    statPrefix: proxy.statPrefix,
    clusterSpecifier:
      only !== undefined && proxy.clusters.length === 1 && only.weight === 1
        ? { case: 'cluster', value: only.name }
        : {
            case: 'weightedClusters',
            value: { clusters: proxy.clusters.map(({ name, weight }) => ({ name, weight })) },
          },
    idleTimeout: encodeDuration(proxy.idleTimeoutMs),
    accessLog: proxy.accessLogs.map(encodeAccessLog),
    ...(proxy.hashesSource === true ? { hashPolicy: [{ policySpecifier: { case: 'sourceIp', value: {} } }] } : {}),
  };
}
