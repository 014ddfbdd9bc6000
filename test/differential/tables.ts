/** Bootstraps for both proxies: the same text but for the address that tells them apart. */
import { bootstrap, cluster, type JsonObject, typed } from '../support/pair-bootstrap.ts';
import type { Table, Wire, Wires } from './case.ts';

export const APPLICATIONS = ['a', 'b', 'c'] as const;
export type Ports = Readonly<Record<string, number>>;

const http1Options: JsonObject = {
  enable_trailers: true,
  header_key_format: {
    stateful_formatter: {
      name: 'preserve_case',
      typed_config: typed('extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig'),
    },
  },
};

/** What both write of a request when it is over; the id finds it. */
const LOG_FORMAT =
  '@%REQ(X-CASE)% %RESPONSE_CODE% %RESPONSE_FLAGS% %ROUTE_NAME% %UPSTREAM_CLUSTER% n=%UPSTREAM_REQUEST_ATTEMPT_COUNT% ' +
  'rx=%BYTES_RECEIVED% tx=%BYTES_SENT%\n';

export const accessLog: JsonObject = {
  name: 'log',
  typed_config: typed('extensions.access_loggers.stream.v3.StdoutAccessLog', {
    log_format: { text_format_source: { inline_string: LOG_FORMAT } },
  }),
};

const router: JsonObject = {
  name: 'envoy.filters.http.router',
  typed_config: typed('extensions.filters.http.router.v3.Router', { suppress_envoy_headers: true }),
};

function listener(table: Table, { down, up }: Wires, name: string, ip: string, port: number): JsonObject {
  const ownWire = JSON.stringify(table.virtualHosts).replaceAll(
    /"@([a-z]+)"/g,
    (_, to: string) => `"${to}-${down}-${up}"`,
  );
  const virtualHosts: readonly JsonObject[] = JSON.parse(ownWire);
  return {
    name,
    traffic_direction: 'OUTBOUND',
    address: { socket_address: { address: ip, port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
              stat_prefix: name,
              codec_type: 'AUTO',
              server_header_transformation: 'PASS_THROUGH',
              normalize_path: true,
              delayed_close_timeout: '0.015s',
              generate_request_id: false,
              http_protocol_options: { ...http1Options, accept_http_10: true },
              access_log: [accessLog],
              route_config: { name, virtual_hosts: virtualHosts },
              http_filters: [...table.filters, router],
            }),
          },
        ],
      },
    ],
  };
}

const protocolOptions = (up: Wire): JsonObject => ({
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      {
        explicit_http_config: up === 'h1' ? { http_protocol_options: http1Options } : { http2_protocol_options: {} },
      },
    ),
  },
});

/**
 * Applications, and what cannot be reached: nobody listens, nobody is there, nothing is admitted. Each pair of versions
 * has its own, so that what ends a connection upstream meets only requests of its kind.
 */
function clusters({ down, up }: Wires, ip: string, ports: Ports): JsonObject[] {
  const fields = protocolOptions(up);
  const port = (name: string): number => ports[`${name}-${up}`] ?? 0;
  const named = (name: string, to: number | undefined, more: JsonObject = {}): JsonObject =>
    cluster({
      name: `${name}-${down}-${up}`,
      endpoints: to === undefined ? [] : [{ ip, port: to }],
      fields: { ...fields, ...more },
    });
  return [
    ...APPLICATIONS.map((name) => named(name, port(name))),
    named('down', ports['down'] ?? 0),
    named('empty', undefined),
    named('full', port('a'), { circuit_breakers: { thresholds: [{ max_requests: 0 }] } }),
    named('noretries', port('b'), { circuit_breakers: { thresholds: [{ max_retries: 0 }] } }),
  ];
}

export const allWires: readonly Wires[] = [
  { down: 'h1', up: 'h1' },
  { down: 'h1', up: 'h2' },
  { down: 'h2', up: 'h1' },
  { down: 'h2', up: 'h2' },
];

export const wiresOf = ({ translated }: Table): readonly Wires[] => translated?.wires ?? allWires;

export const listenerName = (table: number, { down, up }: Wires): string => `t${table}-${down}-${up}`;

/** `adminPort` is the proxy's own: who waits for it asks on the loopback of both. */
export function bootstrapOf(tables: readonly Table[], ip: string, ports: Ports, adminPort: number): string {
  return bootstrap({
    id: 'differential',
    adminPort,
    listeners: tables.flatMap((table, i) =>
      allWires.map((wires) => listener(table, wires, listenerName(i, wires), ip, ports[listenerName(i, wires)] ?? 0)),
    ),
    clusters: allWires.flatMap((wires) => clusters(wires, ip, ports)),
  });
}
