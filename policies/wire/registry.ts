import { createRegistry } from '@bufbuild/protobuf';
import { FileAccessLogSchema } from './gen/envoy/extensions/access_loggers/file/v3/file_pb.ts';
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from './gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts';
import { ClusterConfigSchema as DynamicClusterSchema } from './gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts';
import { AdaptiveConcurrencySchema } from './gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.ts';
import { CorsPolicySchema, CorsSchema } from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts';
import { FilterConfigSchema as HttpDynamicDnsSchema } from './gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts';
import { ExtAuthzSchema } from './gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import { HTTPFaultSchema } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import { HeaderMutationSchema } from './gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.ts';
import { JwtAuthenticationSchema } from './gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import { LocalRateLimitSchema } from './gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts';
import { RBACSchema as HttpRbacSchema } from './gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts';
import { RouterSchema } from './gen/envoy/extensions/filters/http/router/v3/router_pb.ts';
import {
  StatefulSessionPerRouteSchema,
  StatefulSessionSchema,
} from './gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.ts';
import { HttpInspectorSchema } from './gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts';
import { OriginalDstSchema } from './gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.ts';
import { ProxyProtocolSchema } from './gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts';
import { TlsInspectorSchema } from './gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts';
import { HttpConnectionManagerSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { RBACSchema as NetworkRbacSchema } from './gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts';
import { FilterConfigSchema as SniDynamicDnsSchema } from './gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.ts';
import { TcpProxySchema } from './gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import { PreserveCaseFormatterConfigSchema } from './gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.ts';
import { CookieBasedSessionStateSchema } from './gen/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.ts';
import { HeaderBasedSessionStateSchema } from './gen/envoy/extensions/http/stateful_session/header/v3/header_pb.ts';
import { ClientSideWeightedRoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.ts';
import { LeastRequestSchema } from './gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.ts';
import { MaglevSchema } from './gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.ts';
import { RandomSchema } from './gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.ts';
import { RingHashSchema } from './gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.ts';
import { RoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.ts';
import { PreviousHostsPredicateSchema } from './gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts';
import { RawBufferSchema } from './gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts';
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts';
import { SPIFFECertValidatorConfigSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.ts';
import { HttpProtocolOptionsSchema } from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts';
import { ReservedHeadersSchema } from './gen/weft/v1/headers_pb.ts';
import { AdmissionSchema, RateLimitsSchema } from './gen/weft/v1/overload_pb.ts';
import { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.ts';

/** Every extension that Weft takes in a `typed_config`; the place where it stands decides whether it belongs there. */
export const registry = createRegistry(
  OriginalDstSchema,
  ProxyProtocolSchema,
  TlsInspectorSchema,
  HttpInspectorSchema,
  HttpConnectionManagerSchema,
  NetworkRbacSchema,
  TcpProxySchema,
  HttpRbacSchema,
  HeaderMutationSchema,
  ReservedHeadersSchema,
  JwtAuthenticationSchema,
  CorsSchema,
  CorsPolicySchema,
  ExtAuthzSchema,
  HTTPFaultSchema,
  StatefulSessionSchema,
  StatefulSessionPerRouteSchema,
  CookieBasedSessionStateSchema,
  HeaderBasedSessionStateSchema,
  RouterSchema,
  LocalRateLimitSchema,
  AdaptiveConcurrencySchema,
  RateLimitsSchema,
  AdmissionSchema,
  StdoutAccessLogSchema,
  StderrAccessLogSchema,
  FileAccessLogSchema,
  PreserveCaseFormatterConfigSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
  RawBufferSchema,
  SPIFFECertValidatorConfigSchema,
  HttpProtocolOptionsSchema,
  PreviousHostsPredicateSchema,
  DynamicClusterSchema,
  HttpDynamicDnsSchema,
  SniDynamicDnsSchema,
  ClientSideWeightedRoundRobinSchema,
  LeastRequestSchema,
  MaglevSchema,
  RandomSchema,
  RingHashSchema,
  RoundRobinSchema,
  TypedStructSchema,
);
