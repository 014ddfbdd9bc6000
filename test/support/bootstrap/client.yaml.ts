export interface ClientBootstrap {
  readonly listenIp: string;
  readonly listenPort: number;
  /** The server side's sidecar. */
  readonly upstreamIp: string;
  readonly upstreamPort: number;
  /** PEM files. */
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly trustFile: string;
  /** SPIFFE ID that the server has to show. */
  readonly serverId: string;
  /** None: no admin interface. */
  readonly adminPort?: number;
}

/** Envoy v3 bootstrap of the side that calls: plaintext in, mutual TLS out. */
export const clientBootstrap = (options: ClientBootstrap): string => `
node: { id: client, cluster: weft }
${options.adminPort === undefined ? '' : `admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${options.adminPort} } } }`}
static_resources:
  listeners:
    - name: outbound
      traffic_direction: OUTBOUND
      address: { socket_address: { address: "${options.listenIp}", port_value: ${options.listenPort} } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: outbound
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
                  name: outbound
                  virtual_hosts:
                    - name: any
                      domains: ["*"]
                      routes:
                        - name: any
                          match: { prefix: / }
                          route:
                            cluster: server
                            timeout: 10s
                            retry_policy: { retry_on: "connect-failure,refused-stream", num_retries: 2 }
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: server
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
        cluster_name: server
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address: { socket_address: { address: "${options.upstreamIp}", port_value: ${options.upstreamPort} } }
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
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
                  matcher: { exact: "${options.serverId}" }
`;
