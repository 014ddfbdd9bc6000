/**
 * Envoy v3 bootstraps in parts, for tests that need more than the two examples: what Weft and Envoy both read.
 * JSON is YAML.
 */
import type { CertificateFiles } from './certs.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface At {
  readonly ip: string;
  readonly port: number;
}

const TYPE = 'type.googleapis.com/envoy';

export const typed = (type: string, fields: JsonObject = {}): JsonObject => ({ '@type': `${TYPE}.${type}`, ...fields });

const socketAddress = ({ ip, port }: At): JsonObject => ({ socket_address: { address: ip, port_value: port } });

const http1Options: JsonObject = {
  enable_trailers: true,
  header_key_format: {
    stateful_formatter: {
      name: 'preserve_case',
      typed_config: typed('extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig'),
    },
  },
};

/** One line for each request on stdout, in Weft's own form; Envoy passes over it. */
const ownLog: JsonObject = { filter_metadata: { 'weft.dev': { settings: { access_log: 'all' } } } };

const tlsVersions: JsonObject = { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' };

const commonTls = (files: CertificateFiles, alpn: string, san: JsonObject): JsonObject => ({
  tls_params: tlsVersions,
  alpn_protocols: [alpn],
  tls_certificates: [
    { certificate_chain: { filename: files.certificateFile }, private_key: { filename: files.keyFile } },
  ],
  validation_context: {
    trusted_ca: { filename: files.trustFile },
    match_typed_subject_alt_names: [{ san_type: 'URI', matcher: san }],
  },
});

/** Mutual TLS towards a server with exactly that identity. */
export const upstreamTls = (files: CertificateFiles, serverId: string, alpn = 'weft-http/1.1'): JsonObject => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    common_tls_context: commonTls(files, alpn, { exact: serverId }),
  }),
});

/** Mutual TLS from clients of the trust domain. */
export const downstreamTls = (files: CertificateFiles, alpn = 'weft-http/1.1'): JsonObject => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: typed('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: commonTls(files, alpn, { prefix: 'spiffe://cluster.local/' }),
  }),
});

const router: JsonObject = {
  name: 'envoy.filters.http.router',
  typed_config: typed('extensions.filters.http.router.v3.Router'),
};

/** The HTTP filter that lets one identity in, by a rule of that name. */
export const allowOnly = (rule: string, spiffeId: string): JsonObject => ({
  name: 'envoy.filters.http.rbac',
  typed_config: typed('extensions.filters.http.rbac.v3.RBAC', {
    rules: {
      action: 'ALLOW',
      policies: {
        [rule]: {
          permissions: [{ any: true }],
          principals: [{ authenticated: { principal_name: { exact: spiffeId } } }],
        },
      },
    },
  }),
});

/** The HTTP filter that denies what begins with a path, by a rule of that name. */
export const denyPath = (rule: string, prefix: string): JsonObject => ({
  name: 'envoy.filters.http.rbac',
  typed_config: typed('extensions.filters.http.rbac.v3.RBAC', {
    rules: {
      action: 'DENY',
      policies: {
        [rule]: { permissions: [{ url_path: { path: { prefix } } }], principals: [{ any: true }] },
      },
    },
  }),
});

export interface HttpListener {
  readonly name: string;
  readonly at: At;
  readonly also?: readonly At[];
  readonly direction: 'INBOUND' | 'OUTBOUND';
  readonly routes: readonly JsonObject[];
  readonly tls?: JsonObject;
  /** Before the router. */
  readonly filters?: readonly JsonObject[];
  /** Further fields of the connection manager. */
  readonly manager?: JsonObject;
  /** Further fields of the virtual host. */
  readonly host?: JsonObject;
  /** Further fields of the route configuration. */
  readonly routeConfiguration?: JsonObject;
}

const additional = (also: readonly At[] | undefined): JsonObject =>
  also === undefined ? {} : { additional_addresses: also.map((at) => ({ address: socketAddress(at) })) };

export const httpListener = (options: HttpListener): JsonObject => ({
  name: options.name,
  traffic_direction: options.direction,
  address: socketAddress(options.at),
  ...additional(options.also),
  // A manager that says itself what it logs is left to that.
  ...(options.manager?.access_log === undefined ? { metadata: ownLog } : {}),
  filter_chains: [
    {
      ...(options.tls === undefined ? {} : { transport_socket: options.tls }),
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typed_config: typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
            stat_prefix: options.name,
            codec_type: 'AUTO',
            server_header_transformation: 'PASS_THROUGH',
            normalize_path: true,
            http_protocol_options: { ...http1Options, accept_http_10: true },
            ...options.manager,
            route_config: {
              name: options.name,
              ...options.routeConfiguration,
              virtual_hosts: [{ name: options.name, domains: ['*'], routes: options.routes, ...options.host }],
            },
            http_filters: [...(options.filters ?? []), router],
          }),
        },
      ],
    },
  ],
});

export interface TcpListener {
  readonly name: string;
  readonly at: At;
  readonly direction: 'INBOUND' | 'OUTBOUND';
  readonly cluster: string;
  readonly tls?: JsonObject;
}

export const tcpListener = (options: TcpListener): JsonObject => ({
  name: options.name,
  traffic_direction: options.direction,
  address: socketAddress(options.at),
  metadata: ownLog,
  filter_chains: [
    {
      ...(options.tls === undefined ? {} : { transport_socket: options.tls }),
      filters: [
        {
          name: 'envoy.filters.network.tcp_proxy',
          typed_config: typed('extensions.filters.network.tcp_proxy.v3.TcpProxy', {
            stat_prefix: options.name,
            cluster: options.cluster,
          }),
        },
      ],
    },
  ],
});

export interface ClusterOptions {
  readonly name: string;
  readonly endpoints: readonly At[];
  readonly tls?: JsonObject;
  /** Further fields of the cluster. */
  readonly fields?: JsonObject;
}

export const cluster = ({ name, endpoints, tls, fields }: ClusterOptions): JsonObject => ({
  name,
  type: 'STATIC',
  connect_timeout: '2s',
  lb_policy: 'ROUND_ROBIN',
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      { explicit_http_config: { http_protocol_options: http1Options } },
    ),
  },
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: endpoints.map((at) => ({ endpoint: { address: socketAddress(at) } })) }],
  },
  ...(tls === undefined ? {} : { transport_socket: tls }),
  ...fields,
});

/** A route of everything below a prefix to a cluster. */
export const route = (name: string, prefix: string, to: string, action: JsonObject = {}): JsonObject => ({
  name,
  match: { prefix },
  route: { cluster: to, timeout: '10s', ...action },
});

export interface BootstrapOptions {
  readonly id: string;
  readonly listeners: readonly JsonObject[];
  readonly clusters: readonly JsonObject[];
  readonly adminPort: number;
}

export const bootstrap = (options: BootstrapOptions): string =>
  JSON.stringify({
    node: { id: options.id, cluster: 'weft' },
    admin: { address: socketAddress({ ip: '127.0.0.1', port: options.adminPort }) },
    static_resources: { listeners: options.listeners, clusters: options.clusters },
  });
