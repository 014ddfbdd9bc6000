/**
 * Every field of Envoy's API that Weft acts on, by message. A field that is set and not here is an error with its path;
 * so is what a future version of the API adds, once its `.proto` is compiled in.
 */
const fields: Readonly<Record<string, string>> = {
  'envoy.config.listener.v3.Listener':
    'name address additional_addresses filter_chains default_filter_chain metadata listener_filters listener_filters_timeout continue_on_listener_filters_timeout traffic_direction per_connection_buffer_limit_bytes',
  'envoy.config.listener.v3.AdditionalAddress': 'address',
  'envoy.config.listener.v3.ListenerFilter': 'name typed_config',
  'envoy.config.listener.v3.FilterChain': 'name filter_chain_match filters transport_socket metadata',
  'envoy.config.listener.v3.FilterChainMatch':
    'destination_port prefix_ranges server_names transport_protocol application_protocols',
  'envoy.config.listener.v3.Filter': 'name typed_config',
  'envoy.extensions.filters.listener.original_dst.v3.OriginalDst': '',
  'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol': '',
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector': '',
  'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector': '',
  'envoy.config.core.v3.Address': 'socket_address pipe',
  'envoy.config.core.v3.Pipe': 'path',
  'envoy.config.core.v3.SocketAddress': 'address port_value ipv4_compat',
  'envoy.config.core.v3.CidrRange': 'address_prefix prefix_len',
  'envoy.config.core.v3.Metadata': 'filter_metadata',
  'envoy.config.core.v3.TransportSocket': 'name typed_config',
  'envoy.config.core.v3.TypedExtensionConfig': 'name typed_config',
  'envoy.config.core.v3.ConfigSource':
    'ads api_config_source initial_fetch_timeout path path_config_source resource_api_version',
  'envoy.config.core.v3.ApiConfigSource': 'api_type transport_api_version grpc_services set_node_on_first_message_only',
  'envoy.config.core.v3.PathConfigSource': 'path watched_directory',
  'envoy.config.core.v3.AggregatedConfigSource': '',
  'envoy.config.core.v3.DataSource': 'filename inline_bytes inline_string',
  'envoy.config.core.v3.HeaderValueOption': 'header append append_action keep_empty_value',
  'envoy.config.core.v3.HeaderValue': 'key value',
  'envoy.config.core.v3.HttpProtocolOptions':
    'idle_timeout max_headers_count max_requests_per_connection headers_with_underscores_action max_connection_duration max_stream_duration',
  'envoy.config.core.v3.Http1ProtocolOptions':
    'header_key_format enable_trailers accept_http_10 default_host_for_http_10 allow_absolute_url',
  'envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat': 'stateful_formatter',
  'envoy.config.core.v3.Http2ProtocolOptions':
    'max_concurrent_streams initial_stream_window_size initial_connection_window_size hpack_table_size allow_connect connection_keepalive',
  'envoy.config.core.v3.KeepaliveSettings': 'interval timeout',
  'envoy.config.core.v3.TcpKeepalive': 'keepalive_probes keepalive_time keepalive_interval',
  'envoy.config.cluster.v3.UpstreamConnectionOptions': 'tcp_keepalive',
  'envoy.config.core.v3.Locality': 'region zone sub_zone',
  'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig': '',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager':
    'codec_type stat_prefix rds route_config http_filters common_http_protocol_options http_protocol_options http2_protocol_options max_request_headers_kb stream_idle_timeout request_timeout request_headers_timeout server_header_transformation use_remote_address xff_num_trusted_hops access_log normalize_path skip_xff_append generate_request_id preserve_external_request_id always_set_request_id_in_response server_name via forward_client_cert_details set_current_client_cert_details strip_matching_host_port strip_any_host_port upgrade_configs drain_timeout delayed_close_timeout merge_slashes path_with_escaped_slashes_action local_reply_config',
  'envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig': 'mappers body_format',
  'envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper':
    'filter status_code body body_format_override headers_to_add',
  // Subject, certificate and chain are not kept of a peer.
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails':
    'dns uri',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig':
    'upgrade_type enabled',
  'envoy.extensions.filters.network.http_connection_manager.v3.Rds': 'config_source route_config_name',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter': 'name typed_config is_optional',
  'envoy.extensions.filters.http.router.v3.Router': 'suppress_envoy_headers',
  'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication': 'providers rules',
  'envoy.extensions.filters.http.jwt_authn.v3.JwtProvider':
    'issuer audiences require_expiration local_jwks forward from_headers from_params from_cookies payload_in_metadata clock_skew_seconds claim_to_headers',
  'envoy.extensions.filters.http.jwt_authn.v3.JwtHeader': 'name value_prefix',
  'envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader': 'header_name claim_name',
  'envoy.extensions.filters.http.jwt_authn.v3.RequirementRule': 'match requires',
  'envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement': 'provider_name requires_any allow_missing',
  'envoy.extensions.filters.http.jwt_authn.v3.JwtRequirementOrList': 'requirements',
  'envoy.extensions.filters.http.rbac.v3.RBAC': 'rules shadow_rules shadow_rules_stat_prefix',
  'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz':
    'grpc_service http_service transport_api_version failure_mode_allow failure_mode_allow_header_add with_request_body clear_route_cache status_on_error validate_mutations filter_enabled_metadata stat_prefix allowed_headers disallowed_headers',
  'envoy.extensions.filters.http.ext_authz.v3.BufferSettings': 'max_request_bytes allow_partial_message pack_as_bytes',
  'envoy.extensions.filters.http.ext_authz.v3.HttpService':
    'server_uri path_prefix authorization_request authorization_response',
  'envoy.extensions.filters.http.ext_authz.v3.AuthorizationRequest': 'allowed_headers headers_to_add',
  'envoy.extensions.filters.http.ext_authz.v3.AuthorizationResponse':
    'allowed_upstream_headers allowed_upstream_headers_to_append allowed_client_headers allowed_client_headers_on_success',
  'envoy.config.core.v3.GrpcService': 'envoy_grpc timeout initial_metadata',
  'envoy.config.core.v3.GrpcService.EnvoyGrpc': 'cluster_name authority',
  'envoy.config.core.v3.HttpUri': 'uri cluster timeout',
  'envoy.type.matcher.v3.ListStringMatcher': 'patterns',
  'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation': 'mutations',
  'envoy.extensions.filters.http.header_mutation.v3.Mutations': 'request_mutations response_mutations',
  'envoy.config.common.mutation_rules.v3.HeaderMutation': 'remove append',
  'envoy.extensions.filters.http.cors.v3.Cors': '',
  'envoy.extensions.filters.http.cors.v3.CorsPolicy':
    'allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials filter_enabled shadow_enabled forward_not_matching_preflights',
  'envoy.extensions.filters.http.fault.v3.HTTPFault': 'delay abort headers max_active_faults response_rate_limit',
  'envoy.extensions.filters.http.fault.v3.FaultAbort': 'http_status grpc_status header_abort percentage',
  'envoy.extensions.filters.http.fault.v3.FaultAbort.HeaderAbort': '',
  'envoy.extensions.filters.common.fault.v3.FaultDelay': 'fixed_delay header_delay percentage',
  'envoy.extensions.filters.common.fault.v3.FaultDelay.HeaderDelay': '',
  'envoy.extensions.filters.common.fault.v3.FaultRateLimit': 'fixed_limit header_limit percentage',
  'envoy.extensions.filters.common.fault.v3.FaultRateLimit.FixedLimit': 'limit_kbps',
  'envoy.extensions.filters.common.fault.v3.FaultRateLimit.HeaderLimit': '',
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSession': 'session_state strict',
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute': 'disabled stateful_session',
  'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState': 'cookie',
  'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState': 'name',
  'envoy.type.http.v3.Cookie': 'name ttl path',
  // Its runtime_key says nothing: there is no runtime that could have one.
  'envoy.config.core.v3.RuntimeFractionalPercent': 'default_value runtime_key',
  'envoy.type.v3.FractionalPercent': 'numerator denominator',
  'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit':
    'stat_prefix status token_bucket filter_enabled filter_enforced request_headers_to_add_when_not_enforced response_headers_to_add enable_x_ratelimit_headers rate_limited_as_resource_exhausted',
  'envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency':
    'gradient_controller_config concurrency_limit_exceeded_status',
  'envoy.extensions.filters.http.adaptive_concurrency.v3.GradientControllerConfig':
    'sample_aggregate_percentile concurrency_limit_params min_rtt_calc_params',
  'envoy.extensions.filters.http.adaptive_concurrency.v3.GradientControllerConfig.ConcurrencyLimitCalculationParams':
    'max_concurrency_limit concurrency_update_interval',
  'envoy.extensions.filters.http.adaptive_concurrency.v3.GradientControllerConfig.MinimumRTTCalculationParams':
    'interval request_count jitter min_concurrency buffer',
  'envoy.type.v3.HttpStatus': 'code',
  'envoy.type.v3.TokenBucket': 'max_tokens tokens_per_fill fill_interval',
  'envoy.extensions.filters.network.rbac.v3.RBAC': 'rules stat_prefix',
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy':
    'stat_prefix cluster weighted_clusters idle_timeout access_log hash_policy',
  'envoy.type.v3.HashPolicy': 'source_ip',
  'envoy.type.v3.HashPolicy.SourceIp': '',
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster': 'clusters',
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight': 'name weight',
  'envoy.config.accesslog.v3.AccessLog': 'name filter typed_config',
  'envoy.config.accesslog.v3.AccessLogFilter':
    'status_code_filter duration_filter not_health_check_filter and_filter or_filter header_filter response_flag_filter grpc_status_filter runtime_filter log_type_filter',
  'envoy.config.accesslog.v3.GrpcStatusFilter': 'statuses exclude',
  // Its runtime_key says nothing: there is no runtime that could have one.
  'envoy.config.accesslog.v3.RuntimeFilter': 'runtime_key percent_sampled use_independent_randomness',
  'envoy.config.accesslog.v3.LogTypeFilter': 'types exclude',
  'envoy.config.accesslog.v3.ComparisonFilter': 'op value',
  'envoy.config.accesslog.v3.StatusCodeFilter': 'comparison',
  'envoy.config.accesslog.v3.DurationFilter': 'comparison',
  'envoy.config.accesslog.v3.NotHealthCheckFilter': '',
  'envoy.config.accesslog.v3.AndFilter': 'filters',
  'envoy.config.accesslog.v3.OrFilter': 'filters',
  'envoy.config.accesslog.v3.HeaderFilter': 'header',
  'envoy.config.accesslog.v3.ResponseFlagFilter': 'flags',
  // Its runtime_key says nothing: there is no runtime that could have one.
  'envoy.config.core.v3.RuntimeUInt32': 'default_value runtime_key',
  'envoy.config.core.v3.SubstitutionFormatString':
    'text_format text_format_source json_format omit_empty_values json_format_options content_type',
  'envoy.config.core.v3.JsonFormatOptions': 'sort_properties',
  'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog': 'log_format',
  'envoy.extensions.access_loggers.stream.v3.StderrAccessLog': 'log_format',
  'envoy.extensions.access_loggers.file.v3.FileAccessLog': 'path format json_format typed_json_format log_format',
  'envoy.config.rbac.v3.RBAC': 'action policies',
  'envoy.config.rbac.v3.Policy': 'permissions principals',
  'envoy.config.rbac.v3.Permission': 'and_rules or_rules not_rule any header url_path destination_ip destination_port',
  'envoy.config.rbac.v3.Permission.Set': 'rules',
  'envoy.config.rbac.v3.Principal':
    'and_ids or_ids not_id any authenticated direct_remote_ip remote_ip header metadata',
  'envoy.config.rbac.v3.Principal.Set': 'ids',
  'envoy.config.rbac.v3.Principal.Authenticated': 'principal_name',
  'envoy.type.matcher.v3.MetadataMatcher': 'filter path value invert',
  'envoy.type.matcher.v3.MetadataMatcher.PathSegment': 'key',
  'envoy.type.matcher.v3.ValueMatcher': 'string_match double_match bool_match present_match list_match or_match',
  'envoy.type.matcher.v3.DoubleMatcher': 'exact',
  'envoy.type.matcher.v3.ListMatcher': 'one_of',
  'envoy.type.matcher.v3.OrMatcher': 'value_matchers',
  'envoy.type.matcher.v3.PathMatcher': 'path',
  'envoy.type.matcher.v3.StringMatcher': 'exact prefix suffix contains safe_regex ignore_case',
  'envoy.type.matcher.v3.RegexMatcher': 'google_re2 regex',
  'envoy.type.matcher.v3.RegexMatcher.GoogleRE2': '',
  'envoy.type.matcher.v3.RegexMatchAndSubstitute': 'pattern substitution',
  'envoy.type.v3.Percent': 'value',
  'envoy.config.route.v3.RouteConfiguration':
    'name virtual_hosts typed_per_filter_config request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove most_specific_header_mutations_wins',
  'envoy.config.route.v3.VirtualHost':
    'name domains routes include_request_attempt_count include_attempt_count_in_response retry_policy typed_per_filter_config request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove',
  'envoy.config.route.v3.Route':
    'name match route redirect direct_response metadata per_request_buffer_limit_bytes request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove typed_per_filter_config',
  'envoy.config.route.v3.RouteMatch':
    'prefix path path_separated_prefix safe_regex connect_matcher case_sensitive headers query_parameters runtime_fraction grpc',
  'envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions': '',
  'envoy.config.route.v3.RouteMatch.ConnectMatcher': '',
  'envoy.config.route.v3.HeaderMatcher':
    'name present_match string_match exact_match prefix_match suffix_match contains_match safe_regex_match invert_match',
  'envoy.config.route.v3.QueryParameterMatcher': 'name string_match present_match',
  'envoy.config.route.v3.RouteAction':
    'cluster weighted_clusters cluster_not_found_response_code timeout idle_timeout retry_policy host_rewrite_literal host_rewrite_header auto_host_rewrite append_x_forwarded_host prefix_rewrite regex_rewrite max_stream_duration max_grpc_timeout request_mirror_policies hedge_policy hash_policy upgrade_configs',
  'envoy.config.route.v3.RouteAction.UpgradeConfig': 'upgrade_type enabled',
  'envoy.config.route.v3.RouteAction.RequestMirrorPolicy': 'cluster runtime_fraction disable_shadow_host_suffix_append',
  'envoy.config.route.v3.RouteAction.HashPolicy': 'header cookie connection_properties query_parameter terminal',
  'envoy.config.route.v3.RouteAction.HashPolicy.Header': 'header_name',
  'envoy.config.route.v3.RouteAction.HashPolicy.Cookie': 'name ttl path',
  'envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties': 'source_ip',
  'envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter': 'name',
  'envoy.config.route.v3.RouteAction.MaxStreamDuration':
    'max_stream_duration grpc_timeout_header_max grpc_timeout_header_offset',
  'envoy.config.route.v3.WeightedCluster': 'clusters',
  'envoy.config.route.v3.WeightedCluster.ClusterWeight':
    'name weight request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove',
  'envoy.config.route.v3.RetryPolicy':
    'retry_on num_retries per_try_timeout retriable_status_codes retry_back_off rate_limited_retry_back_off retriable_headers retriable_request_headers retry_host_predicate host_selection_retry_max_attempts',
  'envoy.config.route.v3.RetryPolicy.RetryBackOff': 'base_interval max_interval',
  'envoy.config.route.v3.RetryPolicy.RateLimitedRetryBackOff': 'reset_headers max_interval',
  'envoy.config.route.v3.RetryPolicy.ResetHeader': 'name format',
  'envoy.config.route.v3.RetryPolicy.RetryHostPredicate': 'name typed_config',
  'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate': '',
  'envoy.config.route.v3.HedgePolicy': 'hedge_on_per_try_timeout',
  'envoy.config.route.v3.RedirectAction':
    'https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite response_code',
  'envoy.config.route.v3.DirectResponseAction': 'status body',
  'envoy.config.cluster.v3.Cluster':
    'name type cluster_type eds_cluster_config connect_timeout lb_policy load_assignment circuit_breakers typed_extension_protocol_options dns_refresh_rate dns_lookup_family metadata transport_socket transport_socket_matches outlier_detection common_lb_config upstream_connection_options health_checks load_balancing_policy ring_hash_lb_config maglev_lb_config least_request_lb_config round_robin_lb_config per_connection_buffer_limit_bytes http2_protocol_options',
  'envoy.config.cluster.v3.Cluster.CustomClusterType': 'name typed_config',
  'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig': 'dns_cache_config allow_insecure_cluster_options',
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig': 'dns_cache_config',
  'envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig': 'dns_cache_config port_value',
  'envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig':
    'name dns_lookup_family dns_refresh_rate host_ttl max_hosts',
  'envoy.config.cluster.v3.Cluster.CommonLbConfig':
    'healthy_panic_threshold ignore_new_hosts_until_first_hc zone_aware_lb_config',
  'envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig': 'routing_enabled min_cluster_size',
  'envoy.config.cluster.v3.Cluster.RingHashLbConfig': 'minimum_ring_size hash_function maximum_ring_size',
  'envoy.config.cluster.v3.Cluster.MaglevLbConfig': 'table_size',
  'envoy.config.cluster.v3.Cluster.LeastRequestLbConfig': 'choice_count slow_start_config',
  'envoy.config.cluster.v3.Cluster.RoundRobinLbConfig': 'slow_start_config',
  'envoy.config.cluster.v3.Cluster.SlowStartConfig': 'slow_start_window aggression min_weight_percent',
  'envoy.config.core.v3.RuntimeDouble': 'default_value runtime_key',
  'envoy.config.cluster.v3.LoadBalancingPolicy': 'policies',
  'envoy.config.cluster.v3.LoadBalancingPolicy.Policy': 'typed_extension_config',
  'envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin':
    'blackout_period weight_expiration_period weight_update_period error_utilization_penalty',
  'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest':
    'choice_count slow_start_config locality_lb_config',
  'envoy.extensions.load_balancing_policies.maglev.v3.Maglev': 'table_size',
  'envoy.extensions.load_balancing_policies.random.v3.Random': 'locality_lb_config',
  'envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash': 'hash_function minimum_ring_size maximum_ring_size',
  'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin': 'slow_start_config locality_lb_config',
  'envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig': 'zone_aware_lb_config',
  'envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig.ZoneAwareLbConfig':
    'routing_enabled min_cluster_size',
  'envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig':
    'slow_start_window aggression min_weight_percent',
  'xds.type.v3.TypedStruct': 'type_url value',
  'envoy.config.cluster.v3.OutlierDetection':
    'consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx enforcing_success_rate success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor consecutive_gateway_failure enforcing_consecutive_gateway_failure split_external_local_origin_errors consecutive_local_origin_failure enforcing_consecutive_local_origin_failure enforcing_local_origin_success_rate failure_percentage_threshold enforcing_failure_percentage enforcing_failure_percentage_local_origin failure_percentage_minimum_hosts failure_percentage_request_volume max_ejection_time max_ejection_time_jitter always_eject_one_host successful_active_health_check_uneject_host',
  'envoy.config.core.v3.HealthCheck':
    'timeout interval initial_jitter interval_jitter interval_jitter_percent unhealthy_threshold healthy_threshold alt_port reuse_connection http_health_check tcp_health_check grpc_health_check no_traffic_interval no_traffic_healthy_interval unhealthy_interval unhealthy_edge_interval healthy_edge_interval',
  'envoy.config.core.v3.HealthCheck.HttpHealthCheck':
    'host path request_headers_to_add request_headers_to_remove expected_statuses retriable_statuses codec_client_type method',
  'envoy.config.core.v3.HealthCheck.TcpHealthCheck': 'send receive',
  'envoy.config.core.v3.HealthCheck.GrpcHealthCheck': 'service_name authority initial_metadata',
  'envoy.config.core.v3.HealthCheck.Payload': 'text binary',
  'envoy.type.v3.Int64Range': 'start end',
  'envoy.config.cluster.v3.Cluster.EdsClusterConfig': 'eds_config service_name',
  'envoy.config.cluster.v3.Cluster.TransportSocketMatch': 'name match transport_socket',
  'envoy.config.cluster.v3.CircuitBreakers': 'thresholds',
  // Without `priority`: DEFAULT is its zero, and HIGH is refused.
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds':
    'max_connections max_pending_requests max_requests max_retries retry_budget',
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget': 'budget_percent min_retry_concurrency',
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions':
    'common_http_protocol_options explicit_http_config use_downstream_protocol_config auto_config upstream_http_protocol_options',
  'envoy.config.core.v3.UpstreamHttpProtocolOptions': 'auto_sni auto_san_validation',
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig':
    'http_protocol_options http2_protocol_options',
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig':
    'http_protocol_options http2_protocol_options',
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig':
    'http_protocol_options http2_protocol_options',
  'envoy.config.endpoint.v3.ClusterLoadAssignment': 'cluster_name endpoints',
  'envoy.config.endpoint.v3.LocalityLbEndpoints': 'locality lb_endpoints load_balancing_weight priority',
  'envoy.config.endpoint.v3.LbEndpoint': 'endpoint health_status metadata load_balancing_weight',
  'envoy.config.endpoint.v3.Endpoint': 'address additional_addresses hostname',
  'envoy.config.endpoint.v3.Endpoint.AdditionalAddress': 'address',
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer': '',
  'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext':
    'common_tls_context require_client_certificate disable_stateless_session_resumption disable_stateful_session_resumption',
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext': 'common_tls_context sni',
  'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext':
    'tls_params tls_certificates tls_certificate_sds_secret_configs validation_context validation_context_sds_secret_config combined_validation_context alpn_protocols',
  'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext':
    'default_validation_context validation_context_sds_secret_config',
  'envoy.extensions.transport_sockets.tls.v3.TlsParameters':
    'tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves',
  // Files are watched in any case.
  'envoy.extensions.transport_sockets.tls.v3.TlsCertificate': 'certificate_chain private_key watched_directory',
  'envoy.config.core.v3.WatchedDirectory': 'path',
  'envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext':
    'trusted_ca match_typed_subject_alt_names verify_certificate_hash verify_certificate_spki crl watched_directory custom_validator_config',
  'envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher': 'san_type matcher',
  'envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig': 'name sds_config',
  'envoy.extensions.transport_sockets.tls.v3.Secret': 'name validation_context generic_secret',
  'envoy.extensions.transport_sockets.tls.v3.GenericSecret': 'secret',
  'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig': 'trust_domains',
  'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.TrustDomain': 'name trust_bundle',
  'envoy.config.bootstrap.v3.Bootstrap': 'node static_resources dynamic_resources admin',
  'envoy.config.bootstrap.v3.Bootstrap.DynamicResources': 'ads_config',
  'envoy.config.bootstrap.v3.Bootstrap.StaticResources': 'listeners clusters',
  'envoy.config.bootstrap.v3.Admin': 'address access_log_path',
  'envoy.config.core.v3.Node': 'id cluster metadata locality',
  'weft.v1.ReservedHeaders': 'names prefixes',
  'weft.v1.RateLimits': 'limits',
  'weft.v1.RequestMatch': 'permissions principals',
  'weft.v1.RateLimit': 'name matches token_bucket header path identity keys_max global status rate_limit_headers',
  'weft.v1.Admission': 'name fixed_limit classes queue',
  'weft.v1.PriorityClass': 'name matches weight',
  'weft.v1.Queue': 'length_max wait_max target interval',
  'weft.v1.Address': 'service workload',
  'weft.v1.Service': 'namespace name ports',
  'weft.v1.ServicePort': 'port protocol route_configuration cluster weighted server_names',
  'weft.v1.WeightedClusters': 'clusters',
  'weft.v1.WeightedCluster': 'name weight',
  'weft.v1.ServerNameRoutes': 'routes',
  'weft.v1.ServerNameRoute': 'server_names clusters',
  'weft.v1.Workload': 'namespace name spiffe_id workload_name zone node mtls service ports terminating plaintext',
  'weft.v1.PlaintextPorts': 'ports others',
};

const setOf = (names: string): ReadonlySet<string> => new Set(names.split(' ').filter((name) => name !== ''));

const sets = new Map<string, ReadonlySet<string>>();

/** Undefined of a message that is not configuration. */
export function supportedFieldsOf(message: string): ReadonlySet<string> | undefined {
  let set = sets.get(message);
  if (set === undefined) {
    const names = fields[message];
    if (names === undefined) return undefined;
    set = setOf(names);
    sets.set(message, set);
  }
  return set;
}

export const allSupportedFields = (): ReadonlyMap<string, ReadonlySet<string>> =>
  new Map(Object.entries(fields).map(([message, names]) => [message, setOf(names)]));
