import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, type DescMessage, fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ResourceKind } from '../model/snapshot.ts';
import { WIRE_ERRORS_MAX, type WireError } from './decoding.ts';
import { BootstrapSchema } from './gen/envoy/config/bootstrap/v3/bootstrap_pb.ts';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts';
import { AddressSchema } from './gen/weft/v1/address_pb.ts';
import { registry } from './registry.ts';
import { decodeResource } from './resource.ts';
import { supportedFields } from './supported-fields.ts';
import { typeUrls } from './type-urls.ts';

const schemas = {
  listener: ListenerSchema,
  route: RouteConfigurationSchema,
  cluster: ClusterSchema,
  endpoints: ClusterLoadAssignmentSchema,
  address: AddressSchema,
} as const satisfies Record<ResourceKind, DescMessage>;

const decode = (kind: ResourceKind, json: JsonObject) =>
  decodeResource(typeUrls[kind], toBinary(schemas[kind], fromJson(schemas[kind], json, { registry })));

function errorsOf(kind: ResourceKind, json: JsonObject): readonly WireError[] {
  const decoded = decode(kind, json);
  assert.ok(!decoded.ok, 'was accepted');
  return decoded.error;
}

/** A message that Weft does not act on is compiled as its bytes: this is an empty one, set. */
const empty = '';

const type = (name: string): JsonObject => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` });
const router = { name: 'router', typed_config: type('filters.http.router.v3.Router') };
const action: JsonObject = { match: { prefix: '/' }, route: { cluster: 'c' } };
const routes = (route: JsonObject = action): JsonObject => ({
  name: 'r',
  virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route] }],
});
const manager = (change: JsonObject = {}): JsonObject => ({
  ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
  stat_prefix: 's',
  route_config: routes(),
  http_filters: [router],
  ...change,
});
const listener = (hcm: JsonObject = manager(), change: JsonObject = {}): JsonObject => ({
  name: 'l',
  address: { socket_address: { address: '127.0.0.1', port_value: 1 } },
  filter_chains: [{ filters: [{ name: 'f', typed_config: hcm }] }],
  ...change,
});
const cluster = (change: JsonObject = {}): JsonObject => ({
  name: 'c',
  type: 'STATIC',
  load_assignment: { cluster_name: 'c' },
  ...change,
});
const endpoints = (endpoint: JsonObject): JsonObject => ({
  cluster_name: 'c',
  endpoints: [
    {
      lb_endpoints: [
        { endpoint: { address: { socket_address: { address: '10.0.0.1', port_value: 80 } } }, ...endpoint },
      ],
    },
  ],
});

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const httpOptions = `typed_extension_protocol_options["${HTTP_OPTIONS}"]`;
const upstreamOptions = (fields: JsonObject): JsonObject => ({
  typed_extension_protocol_options: {
    [HTTP_OPTIONS]: { ...type('upstreams.http.v3.HttpProtocolOptions'), ...fields },
  },
});
const chain = 'filter_chains[0].filters[0].typed_config';
const route = 'virtual_hosts[0].routes[0]';

const ownPolicy = (value: JsonObject): JsonObject => ({
  typed_extension_config: {
    name: 'weft.dev/load-balancing',
    typed_config: {
      '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
      type_url: 'type.googleapis.com/weft.v1.LoadBalancing',
      value,
    },
  },
});

describe('what Weft does not act on is refused by path', () => {
  const cases: [string, ResourceKind, JsonObject, string][] = [
    [
      'listener field',
      'listener',
      listener(manager(), { tcp_fast_open_queue_length: empty }),
      'tcp_fast_open_queue_length',
    ],
    ['field in an extension', 'listener', listener(manager({ tracing: empty })), `${chain}.tracing`],
    [
      'field in a route inside an extension',
      'listener',
      listener(manager({ route_config: routes({ ...action, tracing: empty }) })),
      `${chain}.route_config.${route}.tracing`,
    ],
    [
      'field of an HTTP filter',
      'listener',
      listener(
        manager({
          http_filters: [{ name: 'router', typed_config: { ...router.typed_config, start_child_span: true } }],
        }),
      ),
      `${chain}.http_filters[0].typed_config.start_child_span`,
    ],
    [
      'network filter in the place of an HTTP filter',
      'listener',
      listener(
        manager({
          http_filters: [
            {
              name: 'x',
              typed_config: { ...type('filters.network.tcp_proxy.v3.TcpProxy'), stat_prefix: 't', cluster: 'c' },
            },
            router,
          ],
        }),
      ),
      `${chain}.http_filters[0].typed_config`,
    ],
    ['router not last', 'listener', listener(manager({ http_filters: [router, router] })), `${chain}.http_filters[0]`],
    [
      'detection that closes connections',
      'listener',
      listener(manager(), {
        listener_filters: [{ name: 't', typed_config: type('filters.listener.tls_inspector.v3.TlsInspector') }],
      }),
      'continue_on_listener_filters_timeout',
    ],
    [
      'UDP',
      'listener',
      listener(manager(), { address: { socket_address: { protocol: 1, address: '::', port_value: 1 } } }),
      'address.socket_address.protocol',
    ],
    [
      'retry condition',
      'route',
      routes({ ...action, route: { cluster: 'c', retry_policy: { retry_on: '5xx,envoy-ratelimited' } } }),
      `${route}.route.retry_policy.retry_on`,
    ],
    [
      'a body held that is larger than any',
      'route',
      routes({ ...action, per_request_buffer_limit_bytes: 1_048_577 }),
      `${route}.per_request_buffer_limit_bytes`,
    ],
    [
      'hosts that are passed over otherwise',
      'route',
      routes({
        ...action,
        route: { cluster: 'c', retry_policy: { retry_on: '5xx', retry_host_predicate: [{ name: 'x' }] } },
      }),
      `${route}.route.retry_policy.retry_host_predicate[0].typed_config`,
    ],
    [
      'pattern that backtracks',
      'route',
      routes({ ...action, match: { safe_regex: { regex: '(a)\\1' } } }),
      `${route}.match.safe_regex.regex`,
    ],
    [
      'a mirror that a header names',
      'route',
      routes({ ...action, route: { cluster: 'c', request_mirror_policies: [{ cluster: 'd', cluster_header: 'x' }] } }),
      `${route}.route.request_mirror_policies[0].cluster_header`,
    ],
    [
      'what is no setting of a filter',
      'route',
      routes({ ...action, typed_per_filter_config: { a: router.typed_config } }),
      `${route}.typed_per_filter_config["a"]`,
    ],
    [
      'a fault that names its upstream',
      'route',
      routes({
        ...action,
        typed_per_filter_config: {
          a: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
            upstream_cluster: 'c',
          },
        },
      }),
      `${route}.typed_per_filter_config["a"].upstream_cluster`,
    ],
    [
      'a delay of nothing',
      'route',
      routes({
        ...action,
        typed_per_filter_config: {
          a: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
            delay: { fixed_delay: '0s' },
          },
        },
      }),
      `${route}.typed_per_filter_config["a"].delay.fixed_delay`,
    ],
    [
      'a session cookie whose name is two',
      'route',
      routes({
        ...action,
        typed_per_filter_config: {
          a: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute',
            stateful_session: {
              session_state: {
                name: 's',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState',
                  cookie: { name: 'a; b' },
                },
              },
            },
          },
        },
      }),
      `${route}.typed_per_filter_config["a"].stateful_session.session_state.typed_config.cookie.name`,
    ],
    [
      'command operator',
      'route',
      routes({
        ...action,
        request_headers_to_add: [
          { header: { key: 'a', value: '%HOSTNAME%' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
        ],
      }),
      `${route}.request_headers_to_add[0].header.value`,
    ],
    [
      'append before overwrite',
      'route',
      routes({
        ...action,
        request_headers_to_add: [
          { header: { key: 'a', value: '1' } },
          { header: { key: 'A', value: '2' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
        ],
      }),
      `${route}.request_headers_to_add[1]`,
    ],
    [
      'operator of an access log',
      'listener',
      listener(
        manager({
          access_log: [
            {
              name: 'a',
              typed_config: {
                ...type('access_loggers.stream.v3.StdoutAccessLog'),
                log_format: { json_format: { a: ['%PROTOCOL%', '%DYNAMIC_METADATA(a)%'] } },
              },
            },
          ],
        }),
      ),
      `${chain}.access_log[0].typed_config.log_format.json_format.a[1]`,
    ],
    [
      'operator of TCP that only HTTP has',
      'listener',
      listener({
        ...type('filters.network.tcp_proxy.v3.TcpProxy'),
        stat_prefix: 't',
        cluster: 'c',
        access_log: [
          {
            name: 'a',
            typed_config: {
              ...type('access_loggers.stream.v3.StdoutAccessLog'),
              log_format: { json_format: { a: ['%REQUESTED_SERVER_NAME%'] } },
            },
          },
        ],
      }),
      `${chain}.access_log[0].typed_config`,
    ],
    [
      'two certificates of a client',
      'cluster',
      cluster({
        transport_socket: {
          name: 't',
          typed_config: {
            ...type('transport_sockets.tls.v3.UpstreamTlsContext'),
            common_tls_context: {
              tls_certificates: [1, 2].map(() => ({
                certificate_chain: { filename: 'a' },
                private_key: { filename: 'b' },
              })),
            },
          },
        },
      }),
      'transport_socket.typed_config.common_tls_context.tls_certificates',
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
      cluster({
        transport_socket: {
          name: 't',
          typed_config: {
            ...type('transport_sockets.tls.v3.UpstreamTlsContext'),
            common_tls_context: { tls_params: { tls_minimum_protocol_version: 'TLSv1_0' } },
          },
        },
      }),
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
    ...(
      [
        ['initial_stream_window_size', 1, 'initial_stream_window_size'],
        ['initial_connection_window_size', 4_294_967_295, 'initial_connection_window_size'],
        ['hpack_table_size', 2_000_000, 'hpack_table_size'],
        ['max_concurrent_streams', 0, 'max_concurrent_streams'],
        ['connection_keepalive', { timeout: '1s' }, 'connection_keepalive.interval'],
        ['connection_keepalive', { interval: '1s' }, 'connection_keepalive.timeout'],
        ['allow_metadata', true, 'allow_metadata'],
      ] as const
    ).map(([field, value, path]): [string, ResourceKind, JsonObject, string] => [
      `HTTP/2: ${path}`,
      'listener',
      listener(manager({ http2_protocol_options: { [field]: value } })),
      `${chain}.http2_protocol_options.${path}`,
    ]),
    [
      'a host for a version that is refused',
      'listener',
      listener(manager({ http_protocol_options: { default_host_for_http_10: 'a' } })),
      `${chain}.http_protocol_options.default_host_for_http_10`,
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
    ['address of nothing', 'address', {}, ''],
    [
      'port 0',
      'address',
      { service: { namespace: 'a', name: 'b', ports: [{ protocol: 'PROTOCOL_HTTP' }] } },
      'service.ports[0].port',
    ],
  ];
  for (const [what, kind, json, path] of cases) {
    test(what, () => {
      assert.deepEqual(
        errorsOf(kind, json).map((error) => error.path),
        [path],
      );
    });
  }

  test('every error at once, and no more than the bound', () => {
    const many = Array.from({ length: WIRE_ERRORS_MAX + 10 }, () => ({
      ...action,
      tracing: empty,
      decorator: empty,
    }));
    const errors = errorsOf('route', { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes: many }] });
    assert.equal(errors.length, WIRE_ERRORS_MAX);
  });

  test('an unknown extension is named by its type', () => {
    const json = listener();
    const message = fromJson(ListenerSchema, json, { registry });
    const filter = message.filterChains[0]?.filters[0];
    assert.ok(filter?.configType.case === 'typedConfig');
    filter.configType.value.typeUrl = 'type.googleapis.com/envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy';
    const decoded = decodeResource(typeUrls.listener, toBinary(ListenerSchema, message));
    assert.ok(!decoded.ok);
    assert.equal(decoded.error[0]?.path, chain);
    assert.match(decoded.error[0].message, /mongo_proxy\.v3\.MongoProxy" is not supported/);
  });
});

describe('what a later version says is passed over and counted', () => {
  test('field numbers, at any depth', () => {
    const later = new BinaryWriter().tag(20_000, WireType.Varint).uint32(1).finish();
    const bytes = toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, endpoints({})));
    const assignment = create(ClusterLoadAssignmentSchema, {
      clusterName: 'c',
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: {} } }] }],
    });
    const known = decodeResource(typeUrls.endpoints, Uint8Array.of(...bytes, ...later));
    assert.ok(known.ok);
    assert.equal(known.value.unknownFields, 1);
    const group = assignment.endpoints[0];
    assert.ok(group !== undefined);
    group.$unknown = [{ no: 20_001, wireType: WireType.Varint, data: Uint8Array.of(1) }];
    group.lbEndpoints = fromJson(ClusterLoadAssignmentSchema, endpoints({})).endpoints[0]?.lbEndpoints ?? [];
    const nested = decodeResource(typeUrls.endpoints, toBinary(ClusterLoadAssignmentSchema, assignment));
    assert.ok(nested.ok);
    assert.equal(nested.value.unknownFields, 1);
  });

  test('settings of our own', () => {
    const decoded = decode(
      'cluster',
      cluster({ metadata: { filter_metadata: { 'weft.dev': { later: 1 }, other: { a: 1 } } } }),
    );
    assert.ok(decoded.ok);
    assert.equal(decoded.value.unknownFields, 1);
  });

  test('an HTTP filter that is optional', () => {
    const message = fromJson(ListenerSchema, listener(), { registry });
    const filter = message.filterChains[0]?.filters[0];
    assert.ok(filter?.configType.case === 'typedConfig');
    const withOptional = (isOptional: boolean) => decodeResource(typeUrls.listener, listenerWithFilter(isOptional));
    const optional = withOptional(true);
    assert.ok(optional.ok && optional.value.kind === 'listener');
    assert.equal(optional.value.unknownFields, 1);
    const terminal = optional.value.value.filterChains[0]?.terminal;
    assert.deepEqual(terminal?.kind === 'http' && terminal.filters, [{ kind: 'router' }]);
    assert.equal(withOptional(false).ok, false);
  });
});

/** A listener with an HTTP filter of a type that nobody knows, before the router. */
function listenerWithFilter(isOptional: boolean): Uint8Array {
  const text = JSON.stringify(
    listener(
      manager({
        http_filters: [{ name: 'later', is_optional: isOptional, typed_config: router.typed_config }, router],
      }),
    ),
  );
  const bytes = Buffer.from(toBinary(ListenerSchema, fromJson(ListenerSchema, JSON.parse(text), { registry })));
  const known = Buffer.from('envoy.extensions.filters.http.router.v3.Router');
  const at = bytes.indexOf(known);
  bytes.write('envoy.extensions.filters.http.router.v9.Router', at);
  return new Uint8Array(bytes);
}

test('every supported field is a field of its message', () => {
  const known = new Map<string, Set<string>>();
  const visit = (desc: DescMessage): void => {
    if (known.has(desc.typeName)) return;
    known.set(desc.typeName, new Set(desc.fields.map(({ name }) => name)));
    for (const field of desc.fields) if (field.message !== undefined) visit(field.message);
  };
  for (const schema of Object.values(schemas)) visit(schema);
  visit(BootstrapSchema);
  for (const item of registry) if (item.kind === 'message') visit(item);
  for (const [message, fields] of supportedFields) {
    const all = known.get(message);
    assert.ok(all !== undefined, `${message} is reachable`);
    assert.deepEqual(
      [...fields].filter((field) => !all.has(field)),
      [],
      message,
    );
  }
});
