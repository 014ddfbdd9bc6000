export interface ServerBootstrap {
  readonly listenIp: string;
  readonly listenPort: number;
  /** The application, plaintext. */
  readonly applicationIp: string;
  readonly applicationPort: number;
  /** PEM files. */
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly trustFile: string;
  /** SPIFFE IDs that TLS takes begin with this: the trust domain. */
  readonly trustDomain: string;
  /** The one SPIFFE ID that is authorized. */
  readonly clientId: string;
  /** None: no admin interface. */
  readonly adminPort?: number;
}

/** Envoy v3 bootstrap of the side that is called: mutual TLS in, authorization, plaintext out. */
export const serverBootstrap = (options: ServerBootstrap): string => `
node: { id: server, cluster: weft }
${options.adminPort === undefined ? '' : `admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${options.adminPort} } } }`}
static_resources:
  listeners:
    - name: inbound
      traffic_direction: INBOUND
      address: { socket_address: { address: "${options.listenIp}", port_value: ${options.listenPort} } }
      filter_chains:
        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              require_client_certificate: true
              common_tls_context:
                tls_params: { tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3 }
                alpn_protocols: [weft-http/1.1]
                tls_certificates:
                  - certificate_chain: { filename: "${options.certificateFile}" }
                    private_key: { filename: "${options.keyFile}" }
                validation_context:
                  trusted_ca: { filename: "${options.trustFile}" }
                  match_typed_subject_alt_names:
                    - san_type: URI
                      matcher: { prefix: "spiffe://${options.trustDomain}/" }
          filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: inbound
                codec_type: AUTO
                server_header_transformation: PASS_THROUGH
                normalize_path: true
                http_protocol_options:
                  enable_trailers: true
                  header_key_format:
                    stateful_formatter:
                      name: preserve_case
                      typed_config:
                        "@type": type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig
                route_config:
                  name: inbound
                  virtual_hosts:
                    - name: application
                      domains: ["*"]
                      routes:
                        - name: any
                          match: { prefix: / }
                          route: { cluster: application, timeout: 10s }
                http_filters:
                  - name: envoy.filters.http.rbac
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                      rules:
                        action: ALLOW
                        policies:
                          shop/allow-client/0:
                            permissions: [{ any: true }]
                            principals: [{ authenticated: { principal_name: { exact: "${options.clientId}" } } }]
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: application
      type: STATIC
      connect_timeout: 2s
      lb_policy: LEAST_REQUEST
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config:
            http_protocol_options:
              enable_trailers: true
              header_key_format:
                stateful_formatter:
                  name: preserve_case
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig
      load_assignment:
        cluster_name: application
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address: { socket_address: { address: "${options.applicationIp}", port_value: ${options.applicationPort} } }
`;
