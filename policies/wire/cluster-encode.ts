import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import type { Cluster, ClusterLimits } from '../model/cluster.ts';
import { IDENTITY_SECRET, MESH_ALPN, TRUST_SECRET } from '../model/tls.ts';
import { defaultUpstreamConnections } from '../model/upstream-connections.ts';
import { encodeBufferLimit } from './buffer-limit.ts';
import { encodeConfigSource } from './config-source.ts';
import { encodeDnsCache } from './dns-cache.ts';
import { encodeEndpoints, MESH_TLS_MATCH } from './endpoints.ts';
import { tcpFaultSetting } from './fault.ts';
import type { CircuitBreakersSchema } from './gen/envoy/config/cluster/v3/circuit_breaker_pb.ts';
import {
  type Cluster_TransportSocketMatchSchema,
  type ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as Family,
} from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterConfigSchema } from './gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts';
import { HttpProtocolOptionsSchema } from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts';
import { encodeHealthCheck } from './health-check.ts';
import { encodeHttp1Options } from './http-connection-manager-encode.ts';
import { encodeHttp2Options } from './http2-options.ts';
import { encodeBalancing, encodeHashesSource } from './load-balancing-encode.ts';
import { encodeLatencyOutliers, encodeOutlier } from './outlier.ts';
import { encodeRawBuffer, encodeUpstreamTls } from './tls-encode.ts';
import { encodeDuration, encodeMetadata, WEFT_METADATA } from './values.ts';

type ClusterInit = MessageInitShape<typeof ClusterSchema>;

/** Key of the HTTP options in `typed_extension_protocol_options`. */
export const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

const families = { v4: Family.V4_ONLY, v6: Family.V6_ONLY, 'v4-preferred': Family.V4_PREFERRED } as const;

export function encodeCluster(cluster: Cluster): ClusterInit {
  return {
    name: cluster.name,
    ...encodeDiscovery(cluster),
    ...encodeBalancing(cluster),
    ...encodeBufferLimit(cluster),
    connectTimeout: encodeDuration(cluster.connectTimeoutMs),
    circuitBreakers: encodeLimits(cluster.limits),
    ...(cluster.outlier === undefined ? {} : { outlierDetection: encodeOutlier(cluster.outlier) }),
    ...(cluster.healthCheck === undefined ? {} : { healthChecks: [encodeHealthCheck(cluster.healthCheck)] }),
    typedExtensionProtocolOptions: {
      [HTTP_OPTIONS]: anyPack(HttpProtocolOptionsSchema, create(HttpProtocolOptionsSchema, encodeHttpOptions(cluster))),
    },
    ...encodeTls(cluster),
    ...encodeTcpKeepAlive(cluster),
    metadata: encodeMetadata({ [WEFT_METADATA]: { ...encodeSettings(cluster), ...encodeHashesSource(cluster) } }),
  };
}

function encodeDiscovery({
  name,
  discovery,
  sniFromHost,
}: Cluster): Pick<
  ClusterInit,
  'clusterDiscoveryType' | 'edsClusterConfig' | 'loadAssignment' | 'dnsRefreshRate' | 'dnsLookupFamily'
> {
  switch (discovery.kind) {
    case 'eds':
      return {
        clusterDiscoveryType: { case: 'type', value: Discovery.EDS },
        edsClusterConfig: { edsConfig: encodeConfigSource(discovery.source), serviceName: discovery.serviceName },
      };
    case 'static':
      return {
        clusterDiscoveryType: { case: 'type', value: Discovery.STATIC },
        loadAssignment: encodeEndpoints(discovery.assignment),
      };
    case 'strict-dns':
      return {
        clusterDiscoveryType: {
          case: 'type',
          value: discovery.first === true ? Discovery.LOGICAL_DNS : Discovery.STRICT_DNS,
        },
        dnsLookupFamily: discovery.family === undefined ? Family.ALL : families[discovery.family],
        dnsRefreshRate: encodeDuration(discovery.refreshMs),
        loadAssignment: {
          clusterName: name,
          endpoints: [
            {
              lbEndpoints: discovery.hosts.map(({ host, port }) => ({
                hostIdentifier: {
                  case: 'endpoint',
                  value: {
                    address: {
                      address: {
                        case: 'socketAddress',
                        value: { address: host, portSpecifier: { case: 'portValue', value: port } },
                      },
                    },
                  },
                },
              })),
            },
          ],
        },
      };
    case 'dynamic':
      return {
        clusterDiscoveryType: {
          case: 'clusterType',
          value: {
            name: 'envoy.clusters.dynamic_forward_proxy',
            typedConfig: anyPack(
              ClusterConfigSchema,
              create(ClusterConfigSchema, {
                // Without it Envoy wants SNI of the host, also where there is no TLS or the name is another.
                allowInsecureClusterOptions: sniFromHost !== true,
                clusterImplementationSpecifier: { case: 'dnsCacheConfig', value: encodeDnsCache(discovery.cache) },
              }),
            ),
          },
        },
      };
    case 'original-dst':
      return { clusterDiscoveryType: { case: 'type', value: Discovery.ORIGINAL_DST } };
  }
}

const encodeLimits = (limits: ClusterLimits): MessageInitShape<typeof CircuitBreakersSchema> => ({
  thresholds: [
    {
      maxConnections: limits.connectionsMax,
      maxPendingRequests: limits.pendingRequestsMax,
      maxRequests: limits.requestsMax,
      maxRetries: limits.retriesMax,
      ...(limits.retryBudget === undefined
        ? {}
        : {
            retryBudget: {
              budgetPercent: { value: limits.retryBudget.percent },
              minRetryConcurrency: limits.retryBudget.concurrencyMin,
            },
          }),
    },
  ],
});

function encodeHttpOptions(cluster: Cluster): MessageInitShape<typeof HttpProtocolOptionsSchema> {
  const { durationMsMax, streamDurationMsMax } = cluster.connections ?? defaultUpstreamConnections;
  return {
    commonHttpProtocolOptions: {
      idleTimeout: encodeDuration(cluster.idleTimeoutMs),
      maxRequestsPerConnection: cluster.requestsPerConnectionMax,
      ...(durationMsMax === 0 ? {} : { maxConnectionDuration: encodeDuration(durationMsMax) }),
      ...(streamDurationMsMax === 0 ? {} : { maxStreamDuration: encodeDuration(streamDurationMsMax) }),
    },
    ...(cluster.sniFromHost === true
      ? { upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } }
      : {}),
    upstreamProtocolOptions: encodeUpstreamProtocol(cluster),
  };
}

function encodeUpstreamProtocol({
  protocol,
  connections = defaultUpstreamConnections,
}: Cluster): NonNullable<MessageInitShape<typeof HttpProtocolOptionsSchema>['upstreamProtocolOptions']> {
  const both = {
    httpProtocolOptions: encodeHttp1Options(),
    http2ProtocolOptions: encodeHttp2Options(connections.http2, connections.concurrentStreamsMax),
  };
  switch (protocol) {
    case 'downstream':
      return { case: 'useDownstreamProtocolConfig', value: both };
    case 'negotiated':
      return { case: 'autoConfig', value: both };
    case 'http1':
      return {
        case: 'explicitHttpConfig',
        value: { protocolConfig: { case: 'httpProtocolOptions', value: both.httpProtocolOptions } },
      };
    case 'http2':
      return {
        case: 'explicitHttpConfig',
        value: { protocolConfig: { case: 'http2ProtocolOptions', value: both.http2ProtocolOptions } },
      };
  }
}

function encodeTcpKeepAlive({ connections }: Cluster): Pick<ClusterInit, 'upstreamConnectionOptions'> {
  const settings = connections?.tcpKeepAlive;
  if (settings === undefined) return {};
  return {
    upstreamConnectionOptions: {
      tcpKeepalive: {
        keepaliveProbes: settings.probesMax,
        keepaliveTime: settings.idleMs / 1000,
        keepaliveInterval: settings.intervalMs / 1000,
      },
    },
  };
}

/** A cluster with TLS of its own has it for every endpoint; mesh TLS chooses by endpoint. */
function encodeTls(
  cluster: Cluster,
): Pick<ClusterInit, 'transportSocket'> & Pick<ClusterInit, 'transportSocketMatches'> {
  if (cluster.tls !== undefined) return { transportSocket: encodeUpstreamTls(cluster.tls) };
  return cluster.meshTls ? { transportSocketMatches: encodeMeshTls(cluster) } : {};
}

/** The name of the match is how decoding knows it. */
export const MESH_TLS_NAME = 'weft.dev/mesh-tls';

/** ALPN is for other readers of the configuration: a sidecar offers by payload what both sides can speak. */
const encodeMeshTls = ({ protocol }: Cluster): MessageInitShape<typeof Cluster_TransportSocketMatchSchema>[] => [
  {
    name: MESH_TLS_NAME,
    match: { ...MESH_TLS_MATCH },
    transportSocket: encodeUpstreamTls({
      certificate: { kind: 'secret', name: IDENTITY_SECRET },
      validation: { trust: { kind: 'secret', name: TRUST_SECRET }, subjectAltNames: [] },
      alpn: protocol === 'http2' ? [MESH_ALPN.http2] : [MESH_ALPN.http2, MESH_ALPN.http1],
      sni: '',
      parameters: { versionMin: 'TLSv1.3', versionMax: 'TLSv1.3' },
    }),
  },
  { name: 'plaintext', match: {}, transportSocket: encodeRawBuffer() },
];

function encodeSettings({
  discovery,
  errorRate,
  healthCheck,
  locality,
  outlier,
  service,
  fault,
  limits,
}: Cluster): JsonObject {
  const rate = limits.retryBudget?.rate;
  return {
    ...(rate === undefined ? {} : { retry_rate: { interval_ms: rate.intervalMs, per_second_min: rate.perSecondMin } }),
    ...(fault === undefined ? {} : { fault: tcpFaultSetting(fault) }),
    ...(locality === undefined ? {} : { locality }),
    ...(discovery.kind === 'dynamic' ? { dynamic: { port: discovery.port, pattern: discovery.pattern } } : {}),
    ...(errorRate === undefined
      ? {}
      : {
          error_rate: {
            threshold_percent: errorRate.thresholdPercent,
            volume_min: errorRate.volumeMin,
            window_ms: errorRate.windowMs,
            open_ms: errorRate.openMs,
          },
        }),
    ...(healthCheck?.initially === 'healthy' ? { health_initially: 'healthy' } : {}),
    ...(outlier?.latency === undefined ? {} : { outlier_latency: encodeLatencyOutliers(outlier.latency) }),
    ...(service === undefined ? {} : { service: { namespace: service.namespace, name: service.name } }),
  };
}
