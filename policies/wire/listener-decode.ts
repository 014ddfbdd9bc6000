import { isMessage } from '@bufbuild/protobuf';
import type { Rbac } from '../model/authorization.ts';
import type {
  FilterChain,
  FilterChainMatch,
  Listener,
  TcpProxy,
  TracingSettings,
  WorkloadSettings,
} from '../model/listener.ts';
import { decodeAccessLog } from './access-log-decode.ts';
import { decodeRbac } from './authorization.ts';
import { decodeBufferLimit } from './buffer-limit.ts';
import type { At } from './decoding.ts';
import { decodeDnsCache } from './dns-cache.ts';
import { TrafficDirection } from './gen/envoy/config/core/v3/base_pb.ts';
import type {
  FilterChain as FilterChainMessage,
  Filter as FilterMessage,
  FilterChainMatch as MatchMessage,
} from './gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { Listener as ListenerMessage } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { HttpInspectorSchema } from './gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts';
import { OriginalDstSchema } from './gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.ts';
import { ProxyProtocolSchema } from './gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts';
import { TlsInspectorSchema } from './gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts';
import { HttpConnectionManagerSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { RBACSchema } from './gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts';
import {
  type FilterConfig as SniDynamicDns,
  FilterConfigSchema as SniDynamicDnsSchema,
} from './gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.ts';
import {
  type TcpProxy as TcpProxyMessage,
  TcpProxySchema,
} from './gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import { decodeHttpConnectionManager } from './http-connection-manager-decode.ts';
import { decodeRequestLimits } from './request-limits.ts';
import { decodeDownstreamSocket } from './tls-decode.ts';
import { decodeCidr, decodeDuration, decodeSocketAddress, type StructReader, weftMetadata } from './values.ts';

/** Envoy's defaults. */
const DETECT_TIMEOUT_DEFAULT_MS = 15_000;
const TCP_IDLE_TIMEOUT_DEFAULT_MS = 3_600_000;

export function decodeListener(message: ListenerMessage, at: At): Listener {
  const addresses = [
    decodeSocketAddress(message.address, at.field('address')),
    ...message.additionalAddresses.map(({ address }, i) =>
      decodeSocketAddress(address, at.field('additional_addresses').index(i).field('address')),
    ),
  ];
  const { defaultFilterChain, filterChains } = message;
  if (filterChains.length === 0 && defaultFilterChain === undefined) {
    at.field('filter_chains').fail('at least one is required', undefined);
  }
  const metadata = weftMetadata(message.metadata, at);
  const settings = decodeSettings(metadata.object('settings'));
  const traceContext = metadata.choice('trace_context', ['continue', 'restart']);
  metadata.end();
  return {
    name: message.name,
    direction: message.trafficDirection === TrafficDirection.INBOUND ? 'inbound' : 'outbound',
    addresses,
    ...decodeListenerFilters(message, at),
    detectTimeoutMs: decodeDuration(
      message.listenerFiltersTimeout,
      DETECT_TIMEOUT_DEFAULT_MS,
      at.field('listener_filters_timeout'),
    ),
    ...decodeBufferLimit(message),
    filterChains: filterChains.map((chain, i) => decodeFilterChain(chain, at.field('filter_chains').index(i))),
    defaultFilterChain: defaultFilterChain && decodeFilterChain(defaultFilterChain, at.field('default_filter_chain')),
    settings,
    ...(traceContext === 'restart' ? { traceContext } : {}),
  };
}

function decodeListenerFilters(
  message: ListenerMessage,
  at: At,
): Pick<Listener, 'useOriginalDst' | 'proxyProtocol' | 'detectTls' | 'detectHttp' | 'closesUndetected'> {
  let useOriginalDst = false;
  let proxyProtocol = false;
  let detectTls = false;
  let detectHttp = false;
  for (const [i, { configType }] of message.listenerFilters.entries()) {
    const here = at.field('listener_filters').index(i).field('typed_config');
    if (configType.case !== 'typedConfig') {
      here.fail('is required', undefined);
      continue;
    }
    const config = at.decoding.unpack(configType.value);
    if (isMessage(config, OriginalDstSchema)) useOriginalDst = true;
    else if (isMessage(config, ProxyProtocolSchema)) proxyProtocol = true;
    else if (isMessage(config, TlsInspectorSchema)) detectTls = true;
    else if (isMessage(config, HttpInspectorSchema)) detectHttp = true;
    else if (config !== undefined) here.fail(`${config.$typeName} is not a listener filter`, undefined);
  }
  const closes = (detectTls || detectHttp) && !message.continueOnListenerFiltersTimeout;
  const filters = { useOriginalDst, proxyProtocol, detectTls, detectHttp };
  return closes ? { ...filters, closesUndetected: true } : filters;
}

function decodeSettings(reader: StructReader | undefined): WorkloadSettings | undefined {
  if (reader === undefined) return undefined;
  const settings = {
    tracing: decodeTracing(reader.object('tracing')),
    accessLog: reader.choice('access_log', ['listener', 'none', 'errors', 'all']),
    workloadName: reader.string('workload_name'),
    serviceName: reader.string('service_name'),
  };
  reader.end();
  return settings;
}

function decodeTracing(reader: StructReader | undefined): TracingSettings | undefined {
  if (reader === undefined) return undefined;
  const tracing = {
    otlpEndpoint: reader.string('otlp_endpoint'),
    otlpProtocol: reader.choice('otlp_protocol', ['grpc', 'http']),
    samplingPercent: reader.number('sampling_percent', 0, 100),
  };
  if (!URL.canParse(tracing.otlpEndpoint)) reader.place('otlp_endpoint').fail('has to be a URL', undefined);
  reader.end();
  return tracing;
}

function decodeFilterChain(chain: FilterChainMessage, at: At): FilterChain {
  const filters = at.field('filters');
  const networkRbac: Rbac[] = [];
  let serverNameProxy: FilterChain['serverNameProxy'];
  let terminal: FilterChain['terminal'] | undefined;
  for (const [i, filter] of chain.filters.entries()) {
    const here = filters.index(i);
    if (terminal !== undefined) here.fail('stands behind the terminal filter', undefined);
    const decoded = decodeFilter(filter, here);
    if (decoded === undefined) continue;
    if ('action' in decoded) networkRbac.push(decoded);
    else if ('cache' in decoded) serverNameProxy = decoded;
    else terminal = decoded;
  }
  if (terminal === undefined) filters.fail('the last has to be an HTTP connection manager or a TCP proxy', undefined);
  return {
    name: chain.name,
    match: decodeMatch(chain.filterChainMatch, at.field('filter_chain_match')),
    tls: decodeDownstreamSocket(chain.transportSocket, at.field('transport_socket')),
    networkRbac,
    ...(serverNameProxy === undefined ? {} : { serverNameProxy }),
    ...decodeChainMetadata(chain, terminal, at),
  };
}

const noTerminal: TcpProxy = { kind: 'tcp', statPrefix: '', clusters: [], idleTimeoutMs: 0, accessLogs: [] };

function decodeChainMetadata(
  { metadata }: FilterChainMessage,
  terminal: FilterChain['terminal'] = noTerminal,
  at: At,
): Pick<FilterChain, 'outside' | 'terminal'> {
  const settings = weftMetadata(metadata, at);
  const outside = settings.object('outside');
  const limits = settings.object('request_limits');
  settings.end();
  const service = outside?.string('service');
  outside?.end();
  return {
    ...(service === undefined ? {} : { outside: { service } }),
    terminal: limits === undefined ? terminal : decodeRequestLimits(limits, terminal, settings.place('request_limits')),
  };
}

function decodeServerNameProxy(config: SniDynamicDns, at: At): NonNullable<FilterChain['serverNameProxy']> {
  const { portSpecifier, dnsCacheConfig } = config;
  const port = portSpecifier.case === 'portValue' ? portSpecifier.value : 443;
  if (port < 1 || port > 65_535) at.field('port_value').fail('has to be from 1 to 65535', undefined);
  return { cache: decodeDnsCache(dnsCacheConfig, at.field('dns_cache_config')), port };
}

function decodeFilter(
  { configType }: FilterMessage,
  at: At,
): Rbac | NonNullable<FilterChain['serverNameProxy']> | FilterChain['terminal'] | undefined {
  const here = at.field('typed_config');
  if (configType.case !== 'typedConfig') return here.fail('is required', undefined);
  const config = at.decoding.unpack(configType.value);
  if (isMessage(config, RBACSchema)) return decodeRbac(config.rules, here.field('rules'));
  if (isMessage(config, HttpConnectionManagerSchema)) return decodeHttpConnectionManager(config, here);
  if (isMessage(config, TcpProxySchema)) return decodeTcpProxy(config, here);
  if (isMessage(config, SniDynamicDnsSchema)) return decodeServerNameProxy(config, here);
  return config === undefined ? undefined : here.fail(`${config.$typeName} is not a network filter`, undefined);
}

function decodeMatch(match: MatchMessage | undefined, at: At): FilterChainMatch {
  const transport = match?.transportProtocol ?? '';
  const transportProtocol = transport === 'tls' || transport === 'raw_buffer' ? transport : undefined;
  if (transportProtocol === undefined && transport !== '') {
    at.field('transport_protocol').fail(`"${transport}" is neither tls nor raw_buffer`, undefined);
  }
  return {
    destinationPort: match?.destinationPort,
    destinationRanges: (match?.prefixRanges ?? []).map((range, i) =>
      decodeCidr(range, at.field('prefix_ranges').index(i)),
    ),
    serverNames: [...(match?.serverNames ?? [])],
    transportProtocol,
    applicationProtocols: [...(match?.applicationProtocols ?? [])],
  };
}

function decodeTcpProxy(proxy: TcpProxyMessage, at: At): TcpProxy {
  const specifier = proxy.clusterSpecifier;
  if (specifier.case === undefined) at.fail('cluster or weighted_clusters is required', undefined);
  const clusters =
    specifier.case === 'weightedClusters'
      ? specifier.value.clusters.map(({ name, weight }) => ({ name, weight }))
      : [{ name: specifier.case === 'cluster' ? specifier.value : '', weight: 1 }];
  if (clusters.length === 0)
    at.field('weighted_clusters').field('clusters').fail('at least one is required', undefined);
  return {
    kind: 'tcp',
    statPrefix: proxy.statPrefix === '' ? at.field('stat_prefix').fail('is required', '') : proxy.statPrefix,
    clusters,
    idleTimeoutMs: decodeDuration(proxy.idleTimeout, TCP_IDLE_TIMEOUT_DEFAULT_MS, at.field('idle_timeout')),
    accessLogs: proxy.accessLog.map((log, i) => decodeAccessLog(log, at.field('access_log').index(i))),
    ...(hashesSource(proxy, at.field('hash_policy')) ? { hashesSource: true } : {}),
  };
}

function hashesSource({ hashPolicy: policies }: TcpProxyMessage, at: At): boolean {
  const [only] = policies;
  if (only === undefined) return false;
  if (policies.length > 1) at.fail('at most one is possible', undefined);
  return only.policySpecifier.case === 'sourceIp' || at.index(0).fail('source_ip is required', false);
}
