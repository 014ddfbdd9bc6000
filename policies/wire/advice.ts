/** What to do instead of what users of Envoy bring and Weft does not have. Said after the path and what is refused. */

const RUNTIME = 'Weft has no runtime: write the values where their keys are named, and leave the keys out';
const CODE = 'Weft runs no code of others: let an authorizer (ext_authz) or the application do it';
const APPLICATION = 'let the application do it, or an Envoy in front of it';
const COMPRESSED = 'let the application compress, or a proxy at the edge';
const PROTOCOL = 'Weft does not look into this protocol: tcp_proxy carries it as it is';
const RATE_LIMIT =
  'limits for a proxy alone are local_ratelimit; those for many come from an OverloadPolicy of the mesh';
const METRICS = 'metrics are at /stats and /stats/prometheus of the admin interface, as they are';
const TRACING =
  'say in metadata.filter_metadata["weft.dev"].settings.tracing of the listener where OTLP goes: otlp_endpoint, otlp_protocol (grpc or http), sampling_percent';

const DYNAMIC =
  'a file has its listeners and clusters in static_resources; a sidecar of the mesh has its configuration of the control plane, without a file';

/** By message and field. */
export const advisedFields: Readonly<Record<string, string>> = {
  'Bootstrap.layered_runtime': RUNTIME,
  'DynamicResources.lds_config': DYNAMIC,
  'DynamicResources.cds_config': DYNAMIC,
  'Bootstrap.overload_manager': 'Weft guards memory and file descriptors by itself, at 90 % of what it may have',
  'Bootstrap.cluster_manager': 'the place of the proxy and reports of load are settings of the mesh',
  'Bootstrap.tracing': TRACING,
  'Bootstrap.stats_config': METRICS,
  'Bootstrap.stats_sinks': METRICS,
  'Bootstrap.stats_flush_interval': METRICS,
  'Admin.access_log': 'Weft writes no log of its admin interface: leave it out',
  'HttpConnectionManager.tracing': TRACING,
  'HttpConnectionManager.add_user_agent': 'request_headers_to_add with append_action ADD_IF_ABSENT sets a User-Agent',
  'HttpConnectionManager.internal_address_config': 'Weft takes no address for internal: leave it out',
  'HttpConnectionManager.scoped_routes': 'write the routes, or name them by rds',
  'Route.decorator': 'spans are named by their method: leave it out',
  'Router.start_child_span': 'every attempt has a span: leave it out',
  'RouteAction.cluster_header': 'name the cluster, one route for each value (match.headers)',
  'RouteAction.rate_limits': RATE_LIMIT,
  'VirtualHost.rate_limits': RATE_LIMIT,
  'VirtualHost.require_tls': 'a listener of its own for plaintext, with a route that has https_redirect, says the same',
  'VirtualHost.cors': 'say it in typed_per_filter_config["envoy.filters.http.cors"]',
  'RouteAction.cors': 'say it in typed_per_filter_config["envoy.filters.http.cors"] of the route',
  'RequestMirrorPolicy.cluster_header': 'name the cluster, one route for each value (match.headers)',
  'CommonLbConfig.locality_weighted_lb_config': 'load_balancing_weight of the endpoints says the same',
  'Endpoint.health_check_config': 'alt_port of the health check says the port of all endpoints',
  'Cluster.lb_subset_config': 'a cluster for each subset says the same',
  'Cluster.respect_dns_ttl': 'dns_refresh_rate says how often names are resolved',
  'Cluster.tls_context': 'say it in transport_socket',
  'SocketAddress.protocol': 'UDP does not pass through Weft',
  'RBAC.matcher': 'say it in rules',
  'RBAC.shadow_matcher': 'say it in shadow_rules',
};

/** By the type of an extension, from the name of its filter on. */
const extensions: readonly (readonly [name: string, advice: string])[] = [
  ['filters.http.lua.', CODE],
  ['filters.http.wasm.', CODE],
  ['filters.http.golang.', CODE],
  ['filters.http.ext_proc.', CODE],
  ['filters.http.compressor.', COMPRESSED],
  ['filters.http.decompressor.', COMPRESSED],
  ['filters.http.ratelimit.', RATE_LIMIT],
  ['filters.http.grpc_http1_bridge.', 'gRPC needs HTTP/2 of its clients; Weft translates HTTP/1 for servers, not gRPC'],
  ['filters.http.grpc_web.', APPLICATION],
  ['filters.http.grpc_json_transcoder.', APPLICATION],
  ['filters.http.csrf.', APPLICATION],
  ['filters.http.cache.', APPLICATION],
  ['filters.http.buffer.', 'request_limits of the filter chain bounds content, and retries hold what they repeat'],
  ['filters.http.health_check.', 'a route with direct_response answers a path by itself'],
  ['filters.network.', PROTOCOL],
  ['filters.udp.', 'UDP does not pass through Weft'],
];

/** Beginning with a colon; empty: nothing is known that would help. */
export const adviceOnField = (message: string, field: string): string => said(advisedFields[`${message}.${field}`]);

export const adviceOnExtension = (typeUrl: string): string =>
  said(extensions.find(([name]) => typeUrl.includes(`.${name}`))?.[1]);

const said = (advice: string | undefined): string => (advice === undefined ? '' : `: ${advice}`);
