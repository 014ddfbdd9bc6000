import { isMessage } from '@bufbuild/protobuf';
import type { Cluster, ClusterLimits, ErrorRateBreaker, RetryRate } from '../model/cluster.ts';
import { IDENTITY_SECRET, TRUST_SECRET, type UpstreamTls } from '../model/tls.ts';
import {
  defaultUpstreamConnections,
  type TcpKeepAlive,
  type UpstreamConnections,
} from '../model/upstream-connections.ts';
import { HTTP_OPTIONS, MESH_TLS_NAME } from './cluster-encode.ts';
import type { At } from './decoding.ts';
import { decodeDnsCache } from './dns-cache.ts';
import { decodeEndpoints } from './endpoints.ts';
import { readTcpFault } from './fault.ts';
import type { CircuitBreakers } from './gen/envoy/config/cluster/v3/circuit_breaker_pb.ts';
import {
  type Cluster as ClusterMessage,
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as Family,
} from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { Http1ProtocolOptions, Http2ProtocolOptions } from './gen/envoy/config/core/v3/protocol_pb.ts';
import type { ClusterLoadAssignment } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ClusterConfigSchema } from './gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts';
import {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts';
import { decodeHealthCheck } from './health-check.ts';
import { checkHttp1Options } from './http-connection-manager-decode.ts';
import { decodeHttp2Options, decodeStreamsMax } from './http2-options.ts';
import { decodeBalancing } from './load-balancing-decode.ts';
import { decodeLatencyOutliers, decodeOutlier } from './outlier.ts';
import { decodeUpstreamSocket } from './tls-decode.ts';
import { DURATION_MS_MAX, decodeDuration, decodeHostAddress, type StructReader, weftMetadata } from './values.ts';

/** Envoy's defaults. */
const CONNECT_TIMEOUT_DEFAULT_MS = 5_000;
const IDLE_TIMEOUT_DEFAULT_MS = 3_600_000;
const DNS_REFRESH_DEFAULT_MS = 5_000;

export function decodeCluster(message: ClusterMessage, at: At): Cluster {
  if (message.name === '') at.field('name').fail('is required', undefined);
  const settings = weftMetadata(message.metadata, at);
  const errorRate = decodeErrorRate(settings.object('error_rate'));
  const outlier = decodeOutlierDetection(message, settings, at.field('outlier_detection'));
  const health = decodeHealthCheck(message, settings, at.field('health_checks'));
  const service = decodeService(settings.object('service'));
  const fault = readTcpFault(settings.object('fault'));
  const locality = settings.choice('locality', ['any', 'prefer-zone', 'prefer-node', 'local-node', 'zone-hints']);
  const rate = decodeRetryRate(settings.object('retry_rate'));
  const dynamic = settings.object('dynamic');
  const hashesSource = settings.boolean('hashes_source');
  settings.end();
  const http = decodeHttpOptions(message, at);
  const tls = decodeUpstreamSocket(message.transportSocket, at.field('transport_socket'));
  return {
    name: message.name,
    discovery: decodeDynamic(message, dynamic, at) ?? decodeDiscovery(message, at),
    connectTimeoutMs: decodeDuration(message.connectTimeout, CONNECT_TIMEOUT_DEFAULT_MS, at.field('connect_timeout')),
    ...http,
    ...decodeSniFromHost(message, tls, at),
    limits: decodeLimits(message.circuitBreakers, rate, at.field('circuit_breakers').field('thresholds')),
    errorRate,
    outlier,
    ...health,
    ...decodeBalancing(message, hashesSource, at),
    tls: http.protocol === 'negotiated' ? decodeNegotiated(tls, at) : tls,
    meshTls: decodeMeshTls(message, at.field('transport_socket_matches')),
    ...(locality === 'any' ? {} : { locality }),
    service,
    ...(fault === undefined ? {} : { fault }),
  };
}

function decodeOutlierDetection(
  { outlierDetection, clusterDiscoveryType: type }: ClusterMessage,
  settings: StructReader,
  at: At,
): Cluster['outlier'] {
  const latency = settings.object('outlier_latency');
  if (outlierDetection === undefined) {
    if (latency !== undefined) settings.place('outlier_latency').fail('outlier_detection is not set', undefined);
    return undefined;
  }
  if (type.case === 'type' && type.value === Discovery.ORIGINAL_DST) {
    return at.fail('is not for ORIGINAL_DST: the connection names its one endpoint', undefined);
  }
  const outlier = decodeOutlier(outlierDetection, at);
  return latency === undefined ? outlier : { ...outlier, latency: decodeLatencyOutliers(latency) };
}

/** Undefined: another kind of cluster. */
function decodeDynamic(
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
function decodeSniFromHost(
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

function decodeDiscovery(message: ClusterMessage, at: At): Cluster['discovery'] {
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
      const source = message.edsClusterConfig?.edsConfig?.configSourceSpecifier.case;
      if (source === undefined) at.field('eds_cluster_config').field('eds_config').fail('is required: ads', undefined);
      const serviceName = message.edsClusterConfig?.serviceName ?? '';
      return { kind: 'eds', serviceName: serviceName === '' ? message.name : serviceName };
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
      const host = endpoint.hostIdentifier.case === 'endpoint' ? endpoint.hostIdentifier.value.address : undefined;
      return decodeHostAddress(host, place.field('endpoint').field('address'));
    });
  });
}

/** Absent values are Envoy's defaults; without a budget, retries are limited by number. */
function decodeLimits(breakers: CircuitBreakers | undefined, rate: RetryRate | undefined, at: At): ClusterLimits {
  const all = breakers?.thresholds ?? [];
  if (all.length > 1) at.fail('more than one for the default priority', undefined);
  const [thresholds] = all;
  const budget = thresholds?.retryBudget;
  const percent = budget?.budgetPercent?.value ?? 20;
  if (!(percent >= 0 && percent <= 100)) {
    at.index(0).field('retry_budget').field('budget_percent').fail('has to be from 0 to 100', undefined);
  }
  return {
    connectionsMax: thresholds?.maxConnections ?? 1_024,
    pendingRequestsMax: thresholds?.maxPendingRequests ?? 1_024,
    requestsMax: thresholds?.maxRequests ?? 1_024,
    retriesMax: thresholds?.maxRetries ?? 3,
    retryBudget: budget && {
      percent,
      concurrencyMin: budget.minRetryConcurrency ?? 3,
      ...(rate === undefined ? {} : { rate }),
    },
  };
}

type HttpOptions = Pick<Cluster, 'idleTimeoutMs' | 'requestsPerConnectionMax' | 'protocol' | 'connections'>;

const DEFAULT_CONNECTIONS = JSON.stringify(defaultUpstreamConnections);

/** Said only where something was. */
const unlessDefault = (connections: UpstreamConnections): Pick<Cluster, 'connections'> =>
  JSON.stringify(connections) === DEFAULT_CONNECTIONS ? {} : { connections };

function decodeHttpOptions(message: ClusterMessage, at: At): HttpOptions {
  const place = at.field('typed_extension_protocol_options');
  for (const key of Object.keys(message.typedExtensionProtocolOptions)) {
    if (key !== HTTP_OPTIONS) place.key(key).fail('is not supported by Weft', undefined);
  }
  const any = message.typedExtensionProtocolOptions[HTTP_OPTIONS];
  const here = place.key(HTTP_OPTIONS);
  const options = any === undefined ? undefined : at.decoding.unpack(any);
  const defaults = { ...defaultUpstreamConnections, tcpKeepAlive: decodeTcpKeepAlive(message, at) };
  if (!isMessage(options, HttpProtocolOptionsSchema)) {
    if (options !== undefined) here.fail(`${options.$typeName} is not ${HTTP_OPTIONS}`, undefined);
    return {
      idleTimeoutMs: IDLE_TIMEOUT_DEFAULT_MS,
      requestsPerConnectionMax: 0,
      protocol: 'http1',
      ...unlessDefault(defaults),
    };
  }
  const common = options.commonHttpProtocolOptions;
  const commonAt = here.field('common_http_protocol_options');
  if (common?.maxHeadersCount !== undefined) commonAt.field('max_headers_count').fail(unsupported, undefined);
  const { protocol, http1, http2, at: chosen } = upstreamProtocol(options, here);
  if (http1 !== undefined) checkUpstreamHttp1(http1, chosen.field('http_protocol_options'));
  const http2At = chosen.field('http2_protocol_options');
  if (http2?.allowConnect) http2At.field('allow_connect').fail(unsupported, undefined);
  const duration = (name: 'maxConnectionDuration' | 'maxStreamDuration', field: string): number =>
    decodeDuration(common?.[name], 0, commonAt.field(field));
  return {
    idleTimeoutMs: decodeDuration(common?.idleTimeout, IDLE_TIMEOUT_DEFAULT_MS, commonAt.field('idle_timeout')),
    requestsPerConnectionMax: common?.maxRequestsPerConnection ?? 0,
    protocol,
    ...unlessDefault({
      durationMsMax: duration('maxConnectionDuration', 'max_connection_duration'),
      streamDurationMsMax: duration('maxStreamDuration', 'max_stream_duration'),
      concurrentStreamsMax: decodeStreamsMax(http2, defaults.concurrentStreamsMax, http2At),
      http2: { ...decodeHttp2Options(http2, http2At), connectProtocol: false },
      tcpKeepAlive: defaults.tcpKeepAlive,
    }),
  };
}

interface UpstreamProtocol {
  readonly protocol: Cluster['protocol'];
  readonly http1: Http1ProtocolOptions | undefined;
  readonly http2: Http2ProtocolOptions | undefined;
  readonly at: At;
}

function upstreamProtocol({ upstreamProtocolOptions: upstream }: HttpProtocolOptions, at: At): UpstreamProtocol {
  switch (upstream.case) {
    case 'explicitHttpConfig': {
      const config = upstream.value.protocolConfig;
      const http2 = config.case === 'http2ProtocolOptions' ? config.value : undefined;
      const http1 = config.case === 'httpProtocolOptions' ? config.value : undefined;
      const protocol = config.case === 'http2ProtocolOptions' ? 'http2' : 'http1';
      return { protocol, http1, http2, at: at.field('explicit_http_config') };
    }
    case 'useDownstreamProtocolConfig': {
      const { httpProtocolOptions: http1, http2ProtocolOptions: http2 } = upstream.value;
      return { protocol: 'downstream', http1, http2, at: at.field('use_downstream_protocol_config') };
    }
    case 'autoConfig': {
      const { httpProtocolOptions: http1, http2ProtocolOptions: http2 } = upstream.value;
      return { protocol: 'negotiated', http1, http2, at: at.field('auto_config') };
    }
    case undefined:
      at.field('explicit_http_config').fail('is required', undefined);
  }
  return { protocol: 'http1', http1: undefined, http2: undefined, at };
}

function checkUpstreamHttp1(options: Http1ProtocolOptions, at: At): void {
  checkHttp1Options(options, at);
  if (options.acceptHttp10) at.field('accept_http_10').fail(unsupported, undefined);
  if (options.defaultHostForHttp10 !== '') at.field('default_host_for_http_10').fail(unsupported, undefined);
}

const unsupported = 'is not supported by Weft towards an upstream';

/** Envoy offers these two as well, whatever alpn_protocols says. */
const NEGOTIATED_ALPN = ['h2', 'http/1.1'];

function decodeNegotiated(tls: UpstreamTls | undefined, at: At): UpstreamTls | undefined {
  const here = at.field('transport_socket');
  if (tls === undefined) return here.fail('has to be TLS: auto_config lets ALPN choose', undefined);
  return { ...tls, alpn: NEGOTIATED_ALPN };
}

/** Of Linux, for what is not set. */
const KEEP_ALIVE_PROBES = 9;
const KEEP_ALIVE_IDLE_S = 7_200;
const KEEP_ALIVE_INTERVAL_S = 75;
/** What the kernel takes. */
const KEEP_ALIVE_PROBES_MAX = 127;
const KEEP_ALIVE_S_MAX = 32_767;

function decodeTcpKeepAlive({ upstreamConnectionOptions }: ClusterMessage, at: At): TcpKeepAlive | undefined {
  const settings = upstreamConnectionOptions?.tcpKeepalive;
  if (settings === undefined) return undefined;
  const here = at.field('upstream_connection_options').field('tcp_keepalive');
  const value = (given: number | undefined, absent: number, max: number, field: string): number => {
    if (given === undefined) return absent;
    return given >= 1 && given <= max ? given : here.field(field).fail(`has to be from 1 to ${max}`, absent);
  };
  const idle = value(settings.keepaliveTime, KEEP_ALIVE_IDLE_S, KEEP_ALIVE_S_MAX, 'keepalive_time');
  const interval = value(settings.keepaliveInterval, KEEP_ALIVE_INTERVAL_S, KEEP_ALIVE_S_MAX, 'keepalive_interval');
  return {
    probesMax: value(settings.keepaliveProbes, KEEP_ALIVE_PROBES, KEEP_ALIVE_PROBES_MAX, 'keepalive_probes'),
    idleMs: idle * 1000,
    intervalMs: interval * 1000,
  };
}

/** Only the pair of matches that means mesh TLS is understood: mTLS where the endpoint says so, else plaintext. */
function decodeMeshTls(message: ClusterMessage, at: At): boolean {
  const matches = message.transportSocketMatches;
  if (matches.length === 0) return false;
  const [mesh, plain] = matches;
  if (message.transportSocket !== undefined) at.fail('transport_socket is set as well', undefined);
  const tls = decodeUpstreamSocket(mesh?.transportSocket, at.index(0).field('transport_socket'));
  const fallback = decodeUpstreamSocket(plain?.transportSocket, at.index(1).field('transport_socket'));
  const understood =
    matches.length === 2 &&
    mesh?.name === MESH_TLS_NAME &&
    mesh.match?.['weft.dev/tls'] === 'mtls' &&
    Object.keys(mesh.match).length === 1 &&
    Object.keys(plain?.match ?? {}).length === 0 &&
    tls?.certificate?.kind === 'secret' &&
    tls.certificate.name === IDENTITY_SECRET &&
    tls.validation?.trust.kind === 'secret' &&
    tls.validation.trust.name === TRUST_SECRET &&
    fallback === undefined;
  return understood || at.fail('is supported by Weft only as mesh TLS with plaintext as the fallback', false);
}

function decodeErrorRate(reader: StructReader | undefined): ErrorRateBreaker | undefined {
  if (reader === undefined) return undefined;
  const breaker = {
    thresholdPercent: reader.number('threshold_percent', 0, 100),
    volumeMin: reader.number('volume_min', 0, Number.MAX_SAFE_INTEGER),
    windowMs: reader.number('window_ms', 1, DURATION_MS_MAX),
    openMs: reader.number('open_ms', 1, DURATION_MS_MAX),
  };
  reader.end();
  return breaker;
}

function decodeRetryRate(reader: StructReader | undefined): RetryRate | undefined {
  if (reader === undefined) return undefined;
  const rate = {
    intervalMs: reader.number('interval_ms', 1, DURATION_MS_MAX),
    perSecondMin: reader.number('per_second_min', 0, Number.MAX_SAFE_INTEGER),
  };
  reader.end();
  return rate;
}

function decodeService(reader: StructReader | undefined): Cluster['service'] {
  if (reader === undefined) return undefined;
  const service = { namespace: reader.string('namespace'), name: reader.string('name') };
  reader.end();
  return service;
}
