import type { HeaderMatch } from '../model/match.ts';
import type { MirrorDiff } from '../model/mirror.ts';
import type { DirectResponseAction, RedirectAction, Route, RouteConfiguration, RouteMatch } from '../model/route.ts';
import type { RouteFilter } from '../model/route-filter.ts';
import type { At } from './decoding.ts';
import { decodeRuntimeFraction } from './fraction.ts';
import {
  RedirectAction_RedirectResponseCode as Code,
  type DirectResponseAction as DirectResponseMessage,
  type RedirectAction as RedirectMessage,
  type RouteMatch as RouteMatchMessage,
  type Route as RouteMessage,
  type VirtualHost as VirtualHostMessage,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import type { RouteConfiguration as RouteConfigurationMessage } from './gen/envoy/config/route/v3/route_pb.ts';
import { decodeHeaderMutations, decodeSharedMutations } from './header-mutation.ts';
import { decodeHeaderMatch, decodeQueryParameterMatch, decodeRegex } from './match.ts';
import { readDiff } from './mirror.ts';
import { decodeRetrySettings, type RetrySettings } from './retry-decode.ts';
import { decodeForward } from './route-action-decode.ts';
import { decodeRouteFilters } from './route-filter.ts';
import { decodeUriText, weftMetadata } from './values.ts';

export function decodeRouteConfiguration(message: RouteConfigurationMessage, at: At): RouteConfiguration {
  const hosts = at.field('virtual_hosts');
  const seen = new Set<string>();
  const common = decodeRouteFilters(message.typedPerFilterConfig, [], undefined, at);
  return {
    name: message.name,
    ...decodeSharedMutations(message, at),
    ...(message.mostSpecificHeaderMutationsWins ? { mostSpecificHeadersWin: true } : {}),
    virtualHosts: message.virtualHosts.map((host, i) => {
      const here = hosts.index(i);
      if (host.name === '') here.field('name').fail('name is required', undefined);
      if (host.domains.length === 0) here.field('domains').fail('at least one is required', undefined);
      for (const [d, domain] of host.domains.entries()) {
        const key = domain.toLowerCase();
        if (seen.has(key)) here.field('domains').index(d).fail(`domain "${domain}" occurs twice`, undefined);
        seen.add(key);
      }
      const inherited = decodeRouteFilters(host.typedPerFilterConfig, common, undefined, here);
      const routes = host.routes.map((route, r) =>
        decodeRoute(withRetries(route, host.retryPolicy), inherited, here.field('routes').index(r)),
      );
      const { includeRequestAttemptCount: inRequest, includeAttemptCountInResponse: inResponse } = host;
      return {
        name: host.name,
        domains: [...host.domains],
        routes,
        ...decodeSharedMutations(host, here),
        ...(inRequest || inResponse ? { attemptCount: { inRequest, inResponse } } : {}),
      };
    }),
  };
}

/** A route without retries of its own has those of its virtual host. */
function withRetries(route: RouteMessage, shared: VirtualHostMessage['retryPolicy']): RouteMessage {
  const { action } = route;
  if (shared === undefined || action.case !== 'route' || action.value.retryPolicy !== undefined) return route;
  return { ...route, action: { case: 'route', value: { ...action.value, retryPolicy: shared } } };
}

function decodeRoute(route: RouteMessage, inherited: readonly RouteFilter[], at: At): Route {
  const settings = weftMetadata(route.metadata, at);
  const retries = decodeRetrySettings(route, settings, at);
  const mirrorDiff = readDiff(settings.object('mirror_diff'));
  const filters = decodeRouteFilters(route.typedPerFilterConfig, inherited, settings.object('filters'), at);
  settings.end();
  return {
    name: route.name,
    match: decodeRouteMatch(route.match, at.field('match')),
    action: decodeAction(route, retries, mirrorDiff, at),
    ...decodeHeaderMutations(route, at),
    ...(filters.length === 0 ? {} : { filters }),
  };
}

function decodeAction(
  { action }: RouteMessage,
  retries: RetrySettings,
  mirrorDiff: MirrorDiff | undefined,
  at: At,
): Route['action'] {
  switch (action.case) {
    case 'route':
      return {
        ...decodeForward(action.value, retries, at.field('route')),
        ...(mirrorDiff === undefined ? {} : { mirrorDiff }),
      };
    case 'redirect':
      return decodeRedirect(action.value, at.field('redirect'));
    case 'directResponse':
      return decodeDirectResponse(action.value, at.field('direct_response'));
    case undefined:
      return at.fail('one of route, redirect, direct_response is required', placeholder);
    default:
      return placeholder;
  }
}

const placeholder: DirectResponseAction = { kind: 'direct', status: 500, body: '' };

function decodeRouteMatch(match: RouteMatchMessage | undefined, at: At): RouteMatch {
  if (match === undefined) {
    const path = { kind: 'prefix', value: '/' } as const;
    return at.fail('match is required', { path, caseSensitive: true, headers: [], queryParameters: [] });
  }
  return {
    path: decodePath(match, at),
    caseSensitive: match.caseSensitive ?? true,
    headers: [
      ...match.headers.map((header, i) => decodeHeaderMatch(header, at.field('headers').index(i))),
      ...(match.grpc === undefined ? [] : [grpcContent]),
    ],
    queryParameters: match.queryParameters.map((parameter, i) =>
      decodeQueryParameterMatch(parameter, at.field('query_parameters').index(i)),
    ),
    ...(match.runtimeFraction === undefined
      ? {}
      : { share: decodeRuntimeFraction(match.runtimeFraction, at.field('runtime_fraction')) }),
  };
}

/** `grpc: {}`, as Envoy tells calls of gRPC from other requests. */
const grpcContent: HeaderMatch = {
  name: 'content-type',
  invert: false,
  value: { kind: 'regex', value: 'application/grpc(\\+.*)?' },
};

function decodePath({ pathSpecifier }: RouteMatchMessage, at: At): RouteMatch['path'] {
  switch (pathSpecifier.case) {
    case 'prefix':
      return { kind: 'prefix', value: pathSpecifier.value };
    case 'path':
      return { kind: 'exact', value: pathSpecifier.value };
    case 'pathSeparatedPrefix':
      // Envoy: begins with a slash, does not end with one; "/" itself is written as `prefix`.
      if (!/^\/.*[^/]$/.test(pathSpecifier.value)) {
        at.field('path_separated_prefix').fail('has to begin with "/", and may not end with it', undefined);
      }
      return { kind: 'pathSeparatedPrefix', value: pathSpecifier.value };
    case 'safeRegex':
      return { kind: 'regex', value: decodeRegex(pathSpecifier.value, at.field('safe_regex')) };
    case 'connectMatcher':
      return { kind: 'connect', value: '' };
    case undefined:
      return at.fail('a path to match is required', { kind: 'prefix', value: '/' });
    default:
      return { kind: 'prefix', value: '/' };
  }
}

const statuses = new Map<Code, RedirectAction['status']>([
  [Code.MOVED_PERMANENTLY, 301],
  [Code.FOUND, 302],
  [Code.SEE_OTHER, 303],
  [Code.TEMPORARY_REDIRECT, 307],
  [Code.PERMANENT_REDIRECT, 308],
]);

function decodeRedirect(redirect: RedirectMessage, at: At): RedirectAction {
  const { schemeRewriteSpecifier: scheme, pathRewriteSpecifier: path, portRedirect } = redirect;
  if (portRedirect > 65_535) at.field('port_redirect').fail('port is more than 65535', undefined);
  const https = scheme.case === 'httpsRedirect' && scheme.value ? 'https' : undefined;
  return {
    kind: 'redirect',
    status: statuses.get(redirect.responseCode) ?? at.field('response_code').fail('unknown code', 301),
    scheme: scheme.case === 'schemeRedirect' ? decodeUriText(scheme.value, at.field('scheme_redirect')) : https,
    host: redirect.hostRedirect === '' ? undefined : decodeUriText(redirect.hostRedirect, at.field('host_redirect')),
    port: portRedirect === 0 ? undefined : portRedirect,
    path:
      path.case === 'pathRedirect'
        ? { kind: 'full', value: decodeUriText(path.value, at.field('path_redirect')) }
        : path.case === 'prefixRewrite'
          ? { kind: 'prefix', value: decodeUriText(path.value, at.field('prefix_rewrite')) }
          : undefined,
  };
}

function decodeDirectResponse(direct: DirectResponseMessage, at: At): DirectResponseAction {
  const { status, body } = direct;
  if (status < 200 || status > 599) at.field('status').fail('has to be from 200 to 599', undefined);
  if (body === undefined) return { kind: 'direct', status, body: '' };
  if (body.specifier.case !== 'inlineString') {
    return at.field('body').fail('only inline_string is supported by Weft', { kind: 'direct', status, body: '' });
  }
  return { kind: 'direct', status, body: body.specifier.value };
}
