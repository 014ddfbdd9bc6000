import type { JsonObject } from '@bufbuild/protobuf';
import type { StrictnessCase } from './strictness-cases.testing.ts';
import {
  cluster,
  empty,
  endpoints,
  httpOptions,
  ownPolicy,
  type,
  upstreamOptions,
} from './strictness-samples.testing.ts';

const withTls = (common: JsonObject): JsonObject =>
  cluster({
    transport_socket: {
      name: 't',
      typed_config: { ...type('transport_sockets.tls.v3.UpstreamTlsContext'), common_tls_context: common },
    },
  });

/** Of clusters and their endpoints. */
export const strictnessClusterCases: readonly StrictnessCase[] = [
  [
    'two certificates of a client',
    'cluster',
    withTls({
      tls_certificates: [1, 2].map(() => ({
        certificate_chain: { filename: 'a' },
        private_key: { filename: 'b' },
      })),
    }),
    'transport_socket.typed_config.common_tls_context.tls_certificates',
  ],
  [
    'a file of endpoints, named by a control plane',
    'cluster',
    { name: 'c', type: 'EDS', eds_cluster_config: { eds_config: { path_config_source: { path: '/e' } } } },
    'eds_cluster_config.eds_config.path_config_source.path',
  ],
  [
    'how long to wait for endpoints, by a control plane',
    'cluster',
    { name: 'c', type: 'EDS', eds_cluster_config: { eds_config: { ads: {}, initial_fetch_timeout: '1s' } } },
    'eds_cluster_config.eds_config.initial_fetch_timeout',
  ],
  [
    'how long to wait for a certificate',
    'cluster',
    withTls({
      tls_certificate_sds_secret_configs: [
        { name: 'weft.dev/identity', sds_config: { ads: {}, initial_fetch_timeout: '1s' } },
      ],
    }),
    'transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0].sds_config.initial_fetch_timeout',
  ],
  [
    'outlier detection',
    'cluster',
    cluster({ outlier_detection: { max_ejection_percent: 101 } }),
    'outlier_detection.max_ejection_percent',
  ],
  [
    'another TLS for health checks',
    'cluster',
    cluster({
      health_checks: [
        {
          timeout: '1s',
          interval: '1s',
          unhealthy_threshold: 1,
          healthy_threshold: 1,
          grpc_health_check: {},
          tls_options: empty,
        },
      ],
    }),
    'health_checks[0].tls_options',
  ],
  [
    'a hash that is not xxHash',
    'cluster',
    cluster({ lb_policy: 'RING_HASH', ring_hash_lb_config: { hash_function: 'MURMUR_HASH_2' } }),
    'ring_hash_lb_config.hash_function',
  ],
  [
    'a configuration for another policy',
    'cluster',
    cluster({ lb_policy: 'RANDOM', ring_hash_lb_config: { minimum_ring_size: 5 } }),
    'lb_policy',
  ],
  [
    'a Maglev table whose size is no prime',
    'cluster',
    cluster({ lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 65_536 } }),
    'maglev_lb_config.table_size',
  ],
  [
    'a bias of least request',
    'cluster',
    cluster({ lb_policy: 'LEAST_REQUEST', least_request_lb_config: { active_request_bias: empty } }),
    'least_request_lb_config.active_request_bias',
  ],
  [
    'no policy that is known',
    'cluster',
    cluster({ load_balancing_policy: { policies: [{ typed_extension_config: { name: 'x' } }] } }),
    'load_balancing_policy',
  ],
  [
    'settings of ours that are out of range',
    'cluster',
    cluster({ load_balancing_policy: { policies: [ownPolicy({ type: 'peak-ewma', decay_ms: -1 })] } }),
    'load_balancing_policy.policies[0].typed_extension_config.typed_config.value.decay_ms',
  ],
  [
    'high priority',
    'cluster',
    cluster({ circuit_breakers: { thresholds: [{ priority: 1 }] } }),
    'circuit_breakers.thresholds[0].priority',
  ],
  [
    'old TLS',
    'cluster',
    withTls({ tls_params: { tls_minimum_protocol_version: 'TLSv1_0' } }),
    'transport_socket.typed_config.common_tls_context.tls_params.tls_minimum_protocol_version',
  ],
  [
    'server context to an upstream',
    'cluster',
    cluster({ transport_socket: { name: 't', typed_config: type('transport_sockets.tls.v3.DownstreamTlsContext') } }),
    'transport_socket.typed_config',
  ],
  [
    'HTTP options',
    'cluster',
    cluster({
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          ...type('upstreams.http.v3.HttpProtocolOptions'),
          explicit_http_config: { http2_protocol_options: { max_outbound_frames: empty } },
        },
      },
    }),
    `${httpOptions}.explicit_http_config.http2_protocol_options.max_outbound_frames`,
  ],
  [
    'ALPN without TLS',
    'cluster',
    cluster(upstreamOptions({ auto_config: { http2_protocol_options: {} } })),
    'transport_socket',
  ],
  [
    'what only a server has',
    'cluster',
    cluster(upstreamOptions({ explicit_http_config: { http_protocol_options: { accept_http_10: true } } })),
    `${httpOptions}.explicit_http_config.http_protocol_options.accept_http_10`,
  ],
  [
    'extended CONNECT of a client',
    'cluster',
    cluster(upstreamOptions({ explicit_http_config: { http2_protocol_options: { allow_connect: true } } })),
    `${httpOptions}.explicit_http_config.http2_protocol_options.allow_connect`,
  ],
  [
    'TCP keep-alive',
    'cluster',
    cluster({ upstream_connection_options: { tcp_keepalive: { keepalive_time: 40_000 } } }),
    'upstream_connection_options.tcp_keepalive.keepalive_time',
  ],
  ['degraded', 'endpoints', endpoints({ health_status: 'DEGRADED' }), 'endpoints[0].lb_endpoints[0].health_status'],
  [
    'SPIFFE ID',
    'endpoints',
    endpoints({ metadata: { filter_metadata: { 'weft.dev': { spiffe_id: 'https://x' } } } }),
    'endpoints[0].lb_endpoints[0].metadata.filter_metadata["weft.dev"].spiffe_id',
  ],
  [
    'not an address',
    'endpoints',
    endpoints({ endpoint: { address: { socket_address: { address: 'example.com', port_value: 1 } } } }),
    'endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address',
  ],
];
