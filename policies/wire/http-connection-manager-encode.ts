import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HttpConnectionManager, HttpFilter } from '../model/listener.ts';
import { encodeAccessLog } from './access-log-encode.ts';
import { encodeRbac } from './authorization.ts';
import { encodeConfigSource } from './config-source.ts';
import { encodeDnsCache } from './dns-cache.ts';
import { encodeEdge, encodeUnderscores } from './edge.ts';
import { encodeExtAuthz } from './ext-authz.ts';
import { encodeHttpFault } from './fault.ts';
import type { Http1ProtocolOptionsSchema } from './gen/envoy/config/core/v3/protocol_pb.ts';
import { CorsSchema } from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts';
import { FilterConfigSchema as HttpDynamicDnsSchema } from './gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts';
import { ExtAuthzSchema } from './gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import { HTTPFaultSchema } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import { JwtAuthenticationSchema } from './gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import { RBACSchema } from './gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts';
import { RouterSchema } from './gen/envoy/extensions/filters/http/router/v3/router_pb.ts';
import { StatefulSessionSchema } from './gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.ts';
import {
  HttpConnectionManager_CodecType as CodecType,
  type HttpConnectionManagerSchema,
  type HttpFilterSchema,
} from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { PreserveCaseFormatterConfigSchema } from './gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.ts';
import { encodeHttp2Options } from './http2-options.ts';
import { encodeJwt } from './jwt.ts';
import { encodeLocalReplies } from './local-reply.ts';
import { encodeOverloadFilter } from './overload-filters.ts';
import { encodeRequestHeadersFilter } from './request-headers.ts';
import { encodeRouteConfiguration } from './route-encode.ts';
import { encodeSession } from './session.ts';
import { typedConfig } from './typed-config.ts';
import { encodeDuration } from './values.ts';

type ManagerInit = MessageInitShape<typeof HttpConnectionManagerSchema>;

const codecs = { auto: CodecType.AUTO, http1: CodecType.HTTP1, http2: CodecType.HTTP2 } as const;

export function encodeHttpConnectionManager(manager: HttpConnectionManager): ManagerInit {
  const { limits, route } = manager;
  return {
    codecType: codecs[manager.codec],
    statPrefix: manager.statPrefix,
    routeSpecifier:
      route.kind === 'inline'
        ? { case: 'routeConfig', value: encodeRouteConfiguration(route.config) }
        : { case: 'rds', value: { configSource: encodeConfigSource(), routeConfigName: route.name } },
    httpFilters: manager.filters.map(encodeHttpFilter),
    commonHttpProtocolOptions: {
      idleTimeout: encodeDuration(limits.idleTimeoutMs),
      maxHeadersCount: limits.headersCountMax,
      maxRequestsPerConnection: limits.requestsPerConnectionMax,
      headersWithUnderscoresAction: encodeUnderscores(manager.edge),
      ...(limits.connectionDurationMsMax === 0
        ? {}
        : { maxConnectionDuration: encodeDuration(limits.connectionDurationMsMax) }),
      ...(limits.streamDurationMsMax === 0 ? {} : { maxStreamDuration: encodeDuration(limits.streamDurationMsMax) }),
    },
    httpProtocolOptions: {
      ...encodeHttp1Options(),
      acceptHttp10: limits.http10Accepted,
      defaultHostForHttp10: limits.http10DefaultHost,
    },
    http2ProtocolOptions: encodeHttp2Options(limits.http2, limits.concurrentStreamsMax),
    drainTimeout: encodeDuration(limits.drainTimeoutMs),
    delayedCloseTimeout: encodeDuration(limits.lingerTimeoutMs),
    maxRequestHeadersKb: Math.ceil(limits.headBytesMax / 1024),
    streamIdleTimeout: encodeDuration(limits.streamIdleTimeoutMs),
    requestTimeout: encodeDuration(limits.requestTimeoutMs),
    requestHeadersTimeout: encodeDuration(limits.headTimeoutMs),
    ...encodeEdge(manager.edge),
    xffNumTrustedHops: manager.trustedHops,
    normalizePath: true,
    accessLog: manager.accessLogs.map(encodeAccessLog),
    ...(manager.localReplies === undefined ? {} : { localReplyConfig: encodeLocalReplies(manager.localReplies) }),
  };
}

/** What Weft does always: header names keep the case that they came with, and trailers are forwarded. */
export const encodeHttp1Options = (): MessageInitShape<typeof Http1ProtocolOptionsSchema> => ({
  headerKeyFormat: {
    headerFormat: {
      case: 'statefulFormatter',
      value: {
        name: 'preserve_case',
        typedConfig: typedConfig(PreserveCaseFormatterConfigSchema).value,
      },
    },
  },
  enableTrailers: true,
});

function encodeHttpFilter(filter: HttpFilter): MessageInitShape<typeof HttpFilterSchema> {
  switch (filter.kind) {
    case 'rbac':
      return { name: filter.name, configType: typedConfig(RBACSchema, { rules: encodeRbac(filter.rbac) }) };
    case 'jwt':
      return { name: filter.name, configType: typedConfig(JwtAuthenticationSchema, encodeJwt(filter.jwt)) };
    case 'rbacShadow':
      return {
        name: filter.name,
        configType: typedConfig(RBACSchema, {
          shadowRules: encodeRbac(filter.rbac),
          shadowRulesStatPrefix: filter.prefix,
        }),
      };
    case 'extAuthz':
      return { name: filter.name, configType: typedConfig(ExtAuthzSchema, encodeExtAuthz(filter.authz)) };
    case 'headerRemoval':
    case 'headerMutation':
    case 'reservedHeaders':
      return encodeRequestHeadersFilter(filter);
    case 'cors':
      return { name: filter.name, configType: typedConfig(CorsSchema) };
    case 'fault':
      return { name: filter.name, configType: typedConfig(HTTPFaultSchema, encodeHttpFault(filter.fault)) };
    case 'session':
      return { name: filter.name, configType: typedConfig(StatefulSessionSchema, encodeSession(filter.session)) };
    case 'localRateLimit':
    case 'rateLimits':
    case 'adaptiveConcurrency':
    case 'admission':
      return encodeOverloadFilter(filter);
    case 'dynamic-dns':
      return {
        name: filter.name,
        configType: typedConfig(HttpDynamicDnsSchema, {
          implementationSpecifier: { case: 'dnsCacheConfig', value: encodeDnsCache(filter.cache) },
        }),
      };
    case 'router':
      return { name: 'envoy.filters.http.router', configType: typedConfig(RouterSchema) };
  }
}
