/** Authorizers outside of the proxy: Envoy's ext_authz, and the RBAC rules in the shadow that say who is asked about. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  AUTHORIZER_TIMEOUT_MS,
  type AuthorizerBody,
  type ExtAuthz,
  type GrpcAuthorizer,
  type HttpAuthorizer,
  type ShadowMatch,
} from '../model/ext-authz.ts';
import type { StringMatch } from '../model/match.ts';
import type { HeaderValue } from '../model/route.ts';
import type { At } from './decoding.ts';
import type { HeaderValue as HeaderValueMessage } from './gen/envoy/config/core/v3/base_pb.ts';
import { ApiVersion } from './gen/envoy/config/core/v3/config_source_pb.ts';
import type { GrpcService, GrpcServiceSchema } from './gen/envoy/config/core/v3/grpc_service_pb.ts';
import type {
  BufferSettings,
  ExtAuthz as ExtAuthzMessage,
  ExtAuthzSchema,
  HttpService,
  HttpServiceSchema,
} from './gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import type { MetadataMatcher, MetadataMatcherSchema } from './gen/envoy/type/matcher/v3/metadata_pb.ts';
import type { ListStringMatcher, ListStringMatcherSchema } from './gen/envoy/type/matcher/v3/string_pb.ts';
import type { StatusCode } from './gen/envoy/type/v3/http_status_pb.ts';
import { decodeFieldName, decodeFieldValue, decodeFormat } from './header-mutation.ts';
import { decodeStringMatch, encodeStringMatch } from './match.ts';
import { decodeDuration, decodeUriText, encodeDuration } from './values.ts';

const FORBIDDEN = 403;
const TIMEOUT_MS_MAX = 60_000;
const BODY_BYTES_MAX = 1_048_576;
const RBAC_METADATA = 'envoy.filters.http.rbac';
const SHADOW_POLICY = 'shadow_effective_policy_id';

type ListInit = MessageInitShape<typeof ListStringMatcherSchema>;

const encodeList = (matches: readonly StringMatch[]): ListInit => ({ patterns: matches.map(encodeStringMatch) });
const encodeSome = (matches: readonly StringMatch[]): ListInit | undefined =>
  matches.length === 0 ? undefined : encodeList(matches);

export function encodeExtAuthz(authz: ExtAuthz): MessageInitShape<typeof ExtAuthzSchema> {
  const { service, body } = authz;
  return {
    services:
      service.kind === 'grpc'
        ? { case: 'grpcService', value: encodeGrpc(service, authz.timeoutMs) }
        : { case: 'httpService', value: encodeHttp(service, authz.timeoutMs) },
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: authz.failureAllowed,
    failureModeAllowHeaderAdd: authz.tellsFailure,
    statusOnError: { code: authz.errorStatus as StatusCode },
    validateMutations: authz.validatesMutations,
    statPrefix: authz.statPrefix,
    clearRouteCache: true,
    ...(body === undefined
      ? {}
      : {
          withRequestBody: {
            maxRequestBytes: body.bytesMax,
            allowPartialMessage: body.partial,
            packAsBytes: body.raw,
          },
        }),
    ...(authz.allowedHeaders === undefined ? {} : { allowedHeaders: encodeList(authz.allowedHeaders) }),
    ...optional('disallowedHeaders', encodeSome(authz.disallowedHeaders)),
    ...(authz.enabledBy === undefined ? {} : { filterEnabledMetadata: encodeShadowMatch(authz.enabledBy) }),
  };
}

const optional = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V });

/** In Envoy `%` begins a command operator here too. */
const encodeHeaders = (headers: readonly HeaderValue[]) =>
  headers.map(({ name, value }) => ({ key: name, value: value.replaceAll('%', '%%') }));

const encodeGrpc = (service: GrpcAuthorizer, timeoutMs: number): MessageInitShape<typeof GrpcServiceSchema> => ({
  targetSpecifier: {
    case: 'envoyGrpc',
    value: { clusterName: service.cluster, authority: service.authority },
  },
  timeout: encodeDuration(timeoutMs),
  initialMetadata: encodeHeaders(service.metadata),
});

const encodeHttp = (service: HttpAuthorizer, timeoutMs: number): MessageInitShape<typeof HttpServiceSchema> => ({
  serverUri: {
    uri: service.uri,
    httpUpstreamType: { case: 'cluster', value: service.cluster },
    timeout: encodeDuration(timeoutMs),
  },
  pathPrefix: service.pathPrefix,
  authorizationRequest: {
    headersToAdd: encodeHeaders(service.headersToAdd),
  },
  authorizationResponse: {
    ...optional('allowedUpstreamHeaders', encodeSome(service.upstreamHeaders)),
    ...optional('allowedUpstreamHeadersToAppend', encodeSome(service.upstreamHeadersToAppend)),
    ...(service.clientHeaders === undefined ? {} : { allowedClientHeaders: encodeList(service.clientHeaders) }),
    ...optional('allowedClientHeadersOnSuccess', encodeSome(service.clientHeadersOnSuccess)),
  },
});

const encodeShadowMatch = ({ prefix, value }: ShadowMatch): MessageInitShape<typeof MetadataMatcherSchema> => ({
  filter: RBAC_METADATA,
  path: [{ segment: { case: 'key', value: `${prefix}${SHADOW_POLICY}` } }],
  value: {
    matchPattern:
      value.kind === 'present'
        ? { case: 'presentMatch', value: true }
        : { case: 'stringMatch', value: encodeStringMatch(value) },
  },
});

export function decodeExtAuthz(message: ExtAuthzMessage, name: string, at: At): ExtAuthz {
  const { service, timeoutMs, allowedHeaders } = decodeService(message, at);
  const status = message.statusOnError?.code ?? FORBIDDEN;
  if (status !== 0 && (status < 100 || status > 599)) {
    at.field('status_on_error').field('code').fail('has to be a status', undefined);
  }
  checkVersion(message, at);
  return {
    service,
    timeoutMs,
    failureAllowed: message.failureModeAllow,
    tellsFailure: message.failureModeAllowHeaderAdd,
    errorStatus: status === 0 ? FORBIDDEN : status,
    body: decodeBody(message.withRequestBody, at.field('with_request_body')),
    allowedHeaders:
      message.allowedHeaders === undefined
        ? allowedHeaders
        : decodeList(message.allowedHeaders, at.field('allowed_headers')),
    disallowedHeaders: decodeList(message.disallowedHeaders, at.field('disallowed_headers')),
    validatesMutations: message.validateMutations,
    enabledBy: decodeShadowMatch(message.filterEnabledMetadata, at.field('filter_enabled_metadata')),
    statPrefix: message.statPrefix === '' ? name : message.statPrefix,
  };
}

/** There is no other. */
function checkVersion(message: ExtAuthzMessage, at: At): void {
  if (message.transportApiVersion === ApiVersion.V2) at.field('transport_api_version').fail('has to be V3', undefined);
}

interface DecodedService {
  readonly service: ExtAuthz['service'];
  readonly timeoutMs: number;
  readonly allowedHeaders: readonly StringMatch[] | undefined;
}

function decodeService(message: ExtAuthzMessage, at: At): DecodedService {
  const { services } = message;
  switch (services.case) {
    case 'grpcService':
      return decodeGrpc(services.value, at.field('grpc_service'));
    case 'httpService':
      return decodeHttp(services.value, at.field('http_service'));
    case undefined: {
      const service: GrpcAuthorizer = { kind: 'grpc', cluster: '', authority: '', metadata: [] };
      const nothing: DecodedService = { service, timeoutMs: AUTHORIZER_TIMEOUT_MS, allowedHeaders: undefined };
      return at.fail('grpc_service or http_service is required', nothing);
    }
  }
}

function decodeTimeout(timeout: GrpcService['timeout'], at: At): number {
  const ms = decodeDuration(timeout, AUTHORIZER_TIMEOUT_MS, at, TIMEOUT_MS_MAX);
  return ms > 0 ? ms : at.fail('has to be more than 0: a request does not wait for ever', AUTHORIZER_TIMEOUT_MS);
}

function decodeGrpc(message: GrpcService, at: At): DecodedService {
  const target = message.targetSpecifier;
  if (target.case !== 'envoyGrpc') at.fail('envoy_grpc is required', undefined);
  const cluster = target.case === 'envoyGrpc' ? target.value.clusterName : '';
  const here = at.field('envoy_grpc');
  if (target.case === 'envoyGrpc' && cluster === '') here.field('cluster_name').fail('is required', undefined);
  const authority = target.case === 'envoyGrpc' ? target.value.authority : '';
  return {
    service: {
      kind: 'grpc',
      cluster,
      authority: decodeUriText(authority, here.field('authority')),
      metadata: decodeHeaders(message.initialMetadata, at.field('initial_metadata')),
    },
    timeoutMs: decodeTimeout(message.timeout, at.field('timeout')),
    allowedHeaders: undefined,
  };
}

function decodeHttp(message: HttpService, at: At): DecodedService {
  const uri = message.serverUri;
  const uriAt = at.field('server_uri');
  const cluster = uri?.httpUpstreamType.case === 'cluster' ? uri.httpUpstreamType.value : '';
  if (cluster === '') uriAt.field('cluster').fail('is required', undefined);
  const prefix = message.pathPrefix;
  if (prefix !== '' && !prefix.startsWith('/')) at.field('path_prefix').fail('has to begin with /', undefined);
  const response = message.authorizationResponse;
  const responseAt = at.field('authorization_response');
  const request = message.authorizationRequest;
  const requestAt = at.field('authorization_request');
  return {
    service: {
      kind: 'http',
      cluster,
      uri: uri?.uri ?? '',
      pathPrefix: decodeUriText(prefix, at.field('path_prefix')),
      headersToAdd: decodeHeaders(request?.headersToAdd ?? [], requestAt.field('headers_to_add')),
      upstreamHeaders: decodeList(response?.allowedUpstreamHeaders, responseAt.field('allowed_upstream_headers')),
      upstreamHeadersToAppend: decodeList(
        response?.allowedUpstreamHeadersToAppend,
        responseAt.field('allowed_upstream_headers_to_append'),
      ),
      clientHeaders:
        response?.allowedClientHeaders === undefined
          ? undefined
          : decodeList(response.allowedClientHeaders, responseAt.field('allowed_client_headers')),
      clientHeadersOnSuccess: decodeList(
        response?.allowedClientHeadersOnSuccess,
        responseAt.field('allowed_client_headers_on_success'),
      ),
    },
    timeoutMs: decodeTimeout(uri?.timeout, uriAt.field('timeout')),
    allowedHeaders:
      request?.allowedHeaders === undefined
        ? undefined
        : decodeList(request.allowedHeaders, requestAt.field('allowed_headers')),
  };
}

function decodeHeaders(headers: readonly HeaderValueMessage[], at: At): readonly HeaderValue[] {
  return headers.map(({ key, value }, i) => {
    const here = at.index(i);
    return {
      name: decodeFieldName(key, here.field('key')),
      value: decodeFieldValue(decodeFormat(value, here.field('value')), here.field('value')),
    };
  });
}

function decodeList(list: ListStringMatcher | undefined, at: At): readonly StringMatch[] {
  return (list?.patterns ?? []).map((pattern, i) => decodeStringMatch(pattern, at.field('patterns').index(i)));
}

function decodeBody(settings: BufferSettings | undefined, at: At): AuthorizerBody | undefined {
  if (settings === undefined) return undefined;
  const { maxRequestBytes } = settings;
  const here = at.field('max_request_bytes');
  if (maxRequestBytes === 0) here.fail('has to be more than 0', undefined);
  if (maxRequestBytes > BODY_BYTES_MAX) here.fail(`has to be at most ${BODY_BYTES_MAX}`, undefined);
  return { bytesMax: maxRequestBytes, partial: settings.allowPartialMessage, raw: settings.packAsBytes };
}

/** Rules in the shadow are the only thing that leaves metadata here, so that any other condition could never hold. */
function decodeShadowMatch(matcher: MetadataMatcher | undefined, at: At): ShadowMatch | undefined {
  if (matcher === undefined) return undefined;
  const [first] = matcher.path;
  const key = first?.segment.case === 'key' ? first.segment.value : '';
  const pattern = matcher.value?.matchPattern;
  if (matcher.filter !== RBAC_METADATA || matcher.path.length !== 1 || !key.endsWith(SHADOW_POLICY) || matcher.invert) {
    return at.fail(`only ${RBAC_METADATA} with one key that ends in ${SHADOW_POLICY} is known to Weft`, undefined);
  }
  const prefix = key.slice(0, -SHADOW_POLICY.length);
  if (pattern?.case === 'stringMatch') {
    return { prefix, value: decodeStringMatch(pattern.value, at.field('value').field('string_match')) };
  }
  if (pattern?.case === 'presentMatch' && pattern.value) return { prefix, value: { kind: 'present' } };
  return at.field('value').fail('has to be string_match, or present_match: true', undefined);
}
