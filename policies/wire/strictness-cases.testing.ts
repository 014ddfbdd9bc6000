import type { JsonObject } from '@bufbuild/protobuf';
import type { ResourceKind } from '../model/snapshot.ts';
import { action, chain, empty, listener, manager, route, router, routes, type } from './strictness-samples.testing.ts';

export type StrictnessCase = readonly [what: string, kind: ResourceKind, resource: JsonObject, path: string];

const headerMutation = (mutations: JsonObject): JsonObject => {
  const config = { ...type('filters.http.header_mutation.v3.HeaderMutation'), mutations };
  return listener(manager({ http_filters: [{ name: 'mutation', typed_config: config }, router] }));
};

/** Of listeners, routes and addresses. */
export const strictnessCases: readonly StrictnessCase[] = [
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
  [
    'an operator that no filter knows',
    'listener',
    headerMutation({ request_mutations: [{ append: { header: { key: 'a', value: '%UPSTREAM_CLUSTER%' } } }] }),
    `${chain}.http_filters[0].typed_config.mutations.request_mutations[0].append.header.value`,
  ],
  [
    'a filter that looks at requests behind one that adds to them',
    'listener',
    listener(
      manager({
        http_filters: [
          {
            name: 'm',
            typed_config: {
              ...type('filters.http.header_mutation.v3.HeaderMutation'),
              mutations: { request_mutations: [{ append: { header: { key: 'a', value: 'b' } } }] },
            },
          },
          { name: 'r', typed_config: { ...type('filters.http.rbac.v3.RBAC'), rules: { policies: {} } } },
          router,
        ],
      }),
    ),
    `${chain}.http_filters`,
  ],
  [
    'framing taken off requests',
    'listener',
    headerMutation({ request_mutations: [{ remove: 'Transfer-Encoding' }] }),
    `${chain}.http_filters[0].typed_config.mutations.request_mutations[0].remove`,
  ],
  ['router not last', 'listener', listener(manager({ http_filters: [router, router] })), `${chain}.http_filters[0]`],
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
                '@type': 'type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState',
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
    'operator of a response in a request',
    'route',
    routes({
      ...action,
      request_headers_to_add: [{ header: { key: 'a', value: '%PROTOCOL% %RESPONSE_CODE%' } }],
    }),
    `${route}.request_headers_to_add[0].header.value`,
  ],
  [
    'operator of what has ended in a response',
    'route',
    routes({
      ...action,
      response_headers_to_add: [
        { header: { key: 'a', value: '%COALESCE({"operators": [{"command": "TRAILER", "param": "a"}]})%' } },
      ],
    }),
    `${route}.response_headers_to_add[0].header.value`,
  ],
  [
    'percent sign that begins no operator',
    'route',
    routes({ ...action, request_headers_to_add: [{ header: { key: 'a', value: '100%' } }] }),
    `${route}.request_headers_to_add[0].header.value`,
  ],
  [
    'both ways to say how a header is added',
    'route',
    routes({
      ...action,
      request_headers_to_add: [
        { header: { key: 'a', value: '1' }, append: false, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      ],
    }),
    `${route}.request_headers_to_add[0].append`,
  ],
  [
    'offset of a gRPC timeout that has no bound',
    'listener',
    listener(
      manager({
        route_config: routes({
          ...action,
          route: { cluster: 'c', max_stream_duration: { grpc_timeout_header_offset: '1s' } },
        }),
      }),
    ),
    `${chain}.route_config.${route}.route.max_stream_duration.grpc_timeout_header_offset`,
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
    'operator of a log of TCP',
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
            log_format: { json_format: { a: ['%FILTER_STATE(a)%'] } },
          },
        },
      ],
    }),
    `${chain}.access_log[0].typed_config.log_format.json_format.a[0]`,
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
  ['address of nothing', 'address', {}, ''],
  [
    'port 0',
    'address',
    { service: { namespace: 'a', name: 'b', ports: [{ protocol: 'PROTOCOL_HTTP' }] } },
    'service.ports[0].port',
  ],
];
