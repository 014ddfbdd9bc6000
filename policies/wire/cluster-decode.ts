import { isMessage } from '@bufbuild/protobuf';
import type { Cluster, ClusterLimits, ErrorRateBreaker, RetryRate } from '../model/cluster.ts';
import type { ManagementServer } from '../model/management-server.ts';
import { IDENTITY_SECRET, TRUST_SECRET, type UpstreamTls } from '../model/tls.ts';
import {
  defaultUpstreamConnections,
  type TcpKeepAlive,
  type UpstreamConnections,
} from '../model/upstream-connections.ts';
import { decodeBufferLimit } from './buffer-limit.ts';
import { decodeDiscovery, decodeDynamic, decodeSniFromHost } from './cluster-discovery-decode.ts';
import { HTTP_OPTIONS, MESH_TLS_NAME } from './cluster-encode.ts';
import type { At } from './decoding.ts';
import { readTcpFault } from './fault.ts';
import type { CircuitBreakers } from './gen/envoy/config/cluster/v3/circuit_breaker_pb.ts';
import {
  type Cluster as ClusterMessage,
  Cluster_DiscoveryType as Discovery,
} from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { Http1ProtocolOptions, Http2ProtocolOptions } from './gen/envoy/config/core/v3/protocol_pb.ts';
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
import { DURATION_MS_MAX, decodeDuration, type StructReader, weftMetadata } from './values.ts';

/** Envoy's defaults. */
const CONNECT_TIMEOUT_DEFAULT_MS = 5_000;
const IDLE_TIMEOUT_DEFAULT_MS = 3_600_000;

/** `ads`: the server that a bootstrap has for it. */
export function decodeCluster(message: ClusterMessage, at: At, ads?: ManagementServer): Cluster {
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
    discovery: decodeDynamic(message, dynamic, at) ?? decodeDiscovery(message, at, ads),
    connectTimeoutMs: decodeDuration(message.connectTimeout, CONNECT_TIMEOUT_DEFAULT_MS, at.field('connect_timeout')),
    ...http,
    ...decodeSniFromHost(message, tls, at),
    limits: decodeLimits(message.circuitBreakers, rate, at.field('circuit_breakers').field('thresholds')),
    errorRate,
    outlier,
    ...health,
    ...decodeBufferLimit(message),
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
  const older = message.http2ProtocolOptions;
  if (older !== undefined) {
    const olderAt = at.field('http2_protocol_options');
    if (options !== undefined) olderAt.fail('typed_extension_protocol_options are set as well', undefined);
    return {
      idleTimeoutMs: IDLE_TIMEOUT_DEFAULT_MS,
      requestsPerConnectionMax: 0,
      protocol: 'http2',
      ...unlessDefault({ ...defaults, ...http2Connections(older, defaults.concurrentStreamsMax, olderAt) }),
    };
  }
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
  const duration = (name: 'maxConnectionDuration' | 'maxStreamDuration', field: string): number =>
    decodeDuration(common?.[name], 0, commonAt.field(field));
  return {
    idleTimeoutMs: decodeDuration(common?.idleTimeout, IDLE_TIMEOUT_DEFAULT_MS, commonAt.field('idle_timeout')),
    requestsPerConnectionMax: common?.maxRequestsPerConnection ?? 0,
    protocol,
    ...unlessDefault({
      durationMsMax: duration('maxConnectionDuration', 'max_connection_duration'),
      streamDurationMsMax: duration('maxStreamDuration', 'max_stream_duration'),
      ...http2Connections(http2, defaults.concurrentStreamsMax, http2At),
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

function http2Connections(
  http2: Http2ProtocolOptions | undefined,
  streamsMax: number,
  at: At,
): Pick<UpstreamConnections, 'concurrentStreamsMax' | 'http2'> {
  if (http2?.allowConnect) at.field('allow_connect').fail(unsupported, undefined);
  return {
    concurrentStreamsMax: decodeStreamsMax(http2, streamsMax, at),
    http2: { ...decodeHttp2Options(http2, at), connectProtocol: false },
  };
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
