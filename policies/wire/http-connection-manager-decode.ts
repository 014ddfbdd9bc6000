import { isMessage } from '@bufbuild/protobuf';
import { defaultHttpLimits, type HttpConnectionManager, type HttpFilter, type HttpLimits } from '../model/listener.ts';
import { decodeAccessLog } from './access-log-decode.ts';
import { decodeRbac } from './authorization.ts';
import { decodeAds } from './config-source.ts';
import type { At } from './decoding.ts';
import { decodeDnsCache } from './dns-cache.ts';
import { decodeEdge } from './edge.ts';
import { decodeExtAuthz } from './ext-authz.ts';
import { decodeHttpFault } from './fault.ts';
import type { Http1ProtocolOptions } from './gen/envoy/config/core/v3/protocol_pb.ts';
import { CorsSchema } from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts';
import { FilterConfigSchema as HttpDynamicDnsSchema } from './gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts';
import { ExtAuthzSchema } from './gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import { HTTPFaultSchema } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import { JwtAuthenticationSchema } from './gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import { type RBAC, RBACSchema } from './gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts';
import { RouterSchema } from './gen/envoy/extensions/filters/http/router/v3/router_pb.ts';
import { StatefulSessionSchema } from './gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.ts';
import {
  HttpConnectionManager_CodecType as CodecType,
  type HttpFilter as HttpFilterMessage,
  type HttpConnectionManager as ManagerMessage,
} from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { PreserveCaseFormatterConfigSchema } from './gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.ts';
import { decodeHttp2Options, decodeStreamsMax } from './http2-options.ts';
import { decodeJwt } from './jwt.ts';
import { decodeLocalReplies } from './local-reply.ts';
import { decodeOverloadFilter } from './overload-filters.ts';
import { decodeRequestHeadersFilter, inMutationOrder } from './request-headers.ts';
import { decodeRouteConfiguration } from './route-decode.ts';
import { decodeSession } from './session.ts';
import { decodeDuration, decodeUriText } from './values.ts';

const codecs = new Map<CodecType, HttpConnectionManager['codec']>([
  [CodecType.AUTO, 'auto'],
  [CodecType.HTTP1, 'http1'],
  [CodecType.HTTP2, 'http2'],
]);

export function decodeHttpConnectionManager(message: ManagerMessage, at: At): HttpConnectionManager {
  checkBehaviour(message, at);
  return {
    kind: 'http',
    statPrefix: message.statPrefix === '' ? at.field('stat_prefix').fail('is required', '') : message.statPrefix,
    codec: codecs.get(message.codecType) ?? at.field('codec_type').fail('has to be AUTO, HTTP1 or HTTP2', 'auto'),
    route: decodeRouteSource(message, at),
    filters: decodeHttpFilters(message.httpFilters, at.field('http_filters')),
    limits: decodeLimits(message, at),
    edge: decodeEdge(message, at),
    trustedHops: message.xffNumTrustedHops,
    accessLogs: message.accessLog.map((log, i) => decodeAccessLog(log, at.field('access_log').index(i))),
    ...(message.localReplyConfig === undefined
      ? {}
      : { localReplies: decodeLocalReplies(message.localReplyConfig, at.field('local_reply_config')) }),
  };
}

/** Settings whose one value is how Weft works; another one is refused rather than passed over. */
function checkBehaviour(message: ManagerMessage, at: At): void {
  if (message.normalizePath === false) {
    at.field('normalize_path').fail(
      'Weft matches paths with their percent-encodings in canonical form only',
      undefined,
    );
  }
  checkHttp1Options(message.httpProtocolOptions, at.field('http_protocol_options'));
}

export function checkHttp1Options(options: Http1ProtocolOptions | undefined, at: At): void {
  const format = options?.headerKeyFormat?.headerFormat;
  if (format?.case !== 'statefulFormatter') return;
  const here = at.field('header_key_format').field('stateful_formatter').field('typed_config');
  const any = format.value.typedConfig;
  if (any === undefined) {
    here.fail('is required', undefined);
    return;
  }
  const formatter = at.decoding.unpack(any);
  if (formatter !== undefined && !isMessage(formatter, PreserveCaseFormatterConfigSchema)) {
    here.fail('Weft preserves the case of header names, nothing else', undefined);
  }
}

function decodeRouteSource({ routeSpecifier }: ManagerMessage, at: At): HttpConnectionManager['route'] {
  if (routeSpecifier.case === 'routeConfig') {
    return { kind: 'inline', config: decodeRouteConfiguration(routeSpecifier.value, at.field('route_config')) };
  }
  if (routeSpecifier.case === undefined) at.fail('route_config or rds is required', undefined);
  if (routeSpecifier.case !== 'rds') return { kind: 'rds', name: '' };
  const { configSource, routeConfigName } = routeSpecifier.value;
  const here = at.field('rds');
  decodeAds(configSource, here.field('config_source'));
  if (routeConfigName === '') here.field('route_config_name').fail('is required', undefined);
  return { kind: 'rds', name: routeConfigName };
}

function decodeHttpFilters(messages: readonly HttpFilterMessage[], at: At): readonly HttpFilter[] {
  const filters: HttpFilter[] = [];
  for (const [i, { name, configType, isOptional }] of messages.entries()) {
    const here = at.index(i);
    if (configType.case !== 'typedConfig') {
      here.field('typed_config').fail('is required', undefined);
      continue;
    }
    const config = at.decoding.unpack(configType.value);
    const typedAt = here.field('typed_config');
    const own = decodeOverloadFilter(name, config, typedAt) ?? decodeRequestHeadersFilter(name, config, typedAt);
    if (own !== undefined) {
      filters.push(own);
    } else if (isMessage(config, RBACSchema)) {
      filters.push(...decodeRbacFilter(name, config, here.field('typed_config')));
    } else if (isMessage(config, JwtAuthenticationSchema)) {
      filters.push({ kind: 'jwt', name, jwt: decodeJwt(config, here.field('typed_config')) });
    } else if (isMessage(config, ExtAuthzSchema)) {
      filters.push({ kind: 'extAuthz', name, authz: decodeExtAuthz(config, name, here.field('typed_config')) });
    } else if (isMessage(config, CorsSchema)) {
      filters.push({ kind: 'cors', name });
    } else if (isMessage(config, HTTPFaultSchema)) {
      filters.push({ kind: 'fault', name, fault: decodeHttpFault(config, here.field('typed_config')) });
    } else if (isMessage(config, StatefulSessionSchema)) {
      filters.push({ kind: 'session', name, session: decodeSession(config, 0, here.field('typed_config')) });
    } else if (isMessage(config, HttpDynamicDnsSchema)) {
      const specifier = config.implementationSpecifier;
      const cacheAt = here.field('typed_config').field('dns_cache_config');
      const cache = decodeDnsCache(specifier.case === 'dnsCacheConfig' ? specifier.value : undefined, cacheAt);
      filters.push({ kind: 'dynamic-dns', name, cache });
    } else if (isMessage(config, RouterSchema)) {
      if (i !== messages.length - 1) here.fail('the router has to be the last filter', undefined);
      filters.push({ kind: 'router' });
    } else if (config !== undefined) {
      here.field('typed_config').fail(`${config.$typeName} is not an HTTP filter`, undefined);
    } else if (isOptional) {
      here.skip(`optional filter "${name}"`);
    }
  }
  if (filters.at(-1)?.kind !== 'router') at.fail('the last filter has to be the router', undefined);
  return inMutationOrder(filters, at);
}

/** Rules in the shadow decide nothing, and come first: their word is for filters that follow. */
function decodeRbacFilter(name: string, { rules, shadowRules, shadowRulesStatPrefix }: RBAC, at: At): HttpFilter[] {
  const filters: HttpFilter[] = [];
  if (shadowRules !== undefined) {
    const rbac = decodeRbac(shadowRules, at.field('shadow_rules'));
    filters.push({ kind: 'rbacShadow', name, prefix: shadowRulesStatPrefix, rbac });
  }
  if (rules !== undefined || shadowRules === undefined) {
    filters.push({ kind: 'rbac', name, rbac: decodeRbac(rules, at.field('rules')) });
  }
  return filters;
}

function decodeLimits(message: ManagerMessage, at: At): HttpLimits {
  const defaults = defaultHttpLimits;
  const common = message.commonHttpProtocolOptions;
  const commonAt = at.field('common_http_protocol_options');
  const http1 = message.httpProtocolOptions;
  const http2At = at.field('http2_protocol_options');
  const time = (
    name: 'streamIdleTimeout' | 'requestTimeout' | 'requestHeadersTimeout',
    absentMs: number,
    field: string,
  ) => decodeDuration(message[name], absentMs, at.field(field));
  const headKb = message.maxRequestHeadersKb;
  if (headKb !== undefined && (headKb < 1 || headKb > 8192)) {
    at.field('max_request_headers_kb').fail('has to be from 1 to 8192', undefined);
  }
  if (common?.maxHeadersCount === 0) commonAt.field('max_headers_count').fail('has to be at least 1', undefined);
  return {
    ...defaults,
    headBytesMax: headKb === undefined ? defaults.headBytesMax : headKb * 1024,
    headersCountMax: common?.maxHeadersCount ?? defaults.headersCountMax,
    requestTimeoutMs: time('requestTimeout', defaults.requestTimeoutMs, 'request_timeout'),
    headTimeoutMs: time('requestHeadersTimeout', defaults.headTimeoutMs, 'request_headers_timeout'),
    streamIdleTimeoutMs: time('streamIdleTimeout', defaults.streamIdleTimeoutMs, 'stream_idle_timeout'),
    idleTimeoutMs: decodeDuration(common?.idleTimeout, defaults.idleTimeoutMs, commonAt.field('idle_timeout')),
    requestsPerConnectionMax: common?.maxRequestsPerConnection ?? defaults.requestsPerConnectionMax,
    connectionDurationMsMax: decodeDuration(
      common?.maxConnectionDuration,
      0,
      commonAt.field('max_connection_duration'),
    ),
    drainTimeoutMs: decodeDuration(message.drainTimeout, defaults.drainTimeoutMs, at.field('drain_timeout')),
    streamDurationMsMax: decodeDuration(common?.maxStreamDuration, 0, commonAt.field('max_stream_duration')),
    lingerTimeoutMs: decodeDuration(
      message.delayedCloseTimeout,
      defaults.lingerTimeoutMs,
      at.field('delayed_close_timeout'),
    ),
    http10Accepted: http1?.acceptHttp10 ?? false,
    http10DefaultHost: decodeDefaultHost(http1, at.field('http_protocol_options')),
    concurrentStreamsMax: decodeStreamsMax(message.http2ProtocolOptions, defaults.concurrentStreamsMax, http2At),
    http2: decodeHttp2Options(message.http2ProtocolOptions, http2At),
  };
}

function decodeDefaultHost(options: Http1ProtocolOptions | undefined, at: At): string {
  const host = options?.defaultHostForHttp10 ?? '';
  const here = at.field('default_host_for_http_10');
  if (host !== '' && options?.acceptHttp10 !== true) here.fail('is without effect without accept_http_10', undefined);
  return decodeUriText(host, here);
}
