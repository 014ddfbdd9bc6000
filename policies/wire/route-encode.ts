import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type DirectResponseAction,
  noMutation,
  type RedirectAction,
  type Route,
  type RouteConfiguration,
  type RouteMatch,
} from '../model/route.ts';
import { encodeRuntimeFraction } from './fraction.ts';
import {
  RedirectAction_RedirectResponseCode as Code,
  type DirectResponseActionSchema,
  type RedirectActionSchema,
  type RouteMatchSchema,
  type RouteSchema,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import type { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts';
import { encodeHeaderMutations } from './header-mutation.ts';
import { encodeHeaderMatch, encodeQueryParameterMatch } from './match.ts';
import { diffSetting } from './mirror.ts';
import { encodeRetrySettings } from './retry-encode.ts';
import { encodeForward } from './route-action-encode.ts';
import { encodeRouteFilters, routeFilterSettings } from './route-filter.ts';
import { encodeMetadata, WEFT_METADATA } from './values.ts';

export const encodeRouteConfiguration = (
  config: RouteConfiguration,
): MessageInitShape<typeof RouteConfigurationSchema> => ({
  name: config.name,
  ...encodeSharedMutations(config),
  mostSpecificHeaderMutationsWins: config.mostSpecificHeadersWin ?? false,
  virtualHosts: config.virtualHosts.map(({ name, domains, routes, attemptCount, ...more }) => ({
    name,
    domains: [...domains],
    routes: routes.map(encodeRoute),
    ...encodeSharedMutations(more),
    includeRequestAttemptCount: attemptCount?.inRequest ?? false,
    includeAttemptCountInResponse: attemptCount?.inResponse ?? false,
  })),
});

const encodeSharedMutations = ({
  requestHeaders,
  responseHeaders,
}: Pick<RouteConfiguration, 'requestHeaders' | 'responseHeaders'>) =>
  encodeHeaderMutations(requestHeaders ?? noMutation, responseHeaders ?? noMutation);

function encodeRoute(route: Route): MessageInitShape<typeof RouteSchema> {
  const forward = route.action.kind === 'forward' ? route.action : undefined;
  const bodyBytesMax = forward?.retry?.bodyBytesMax;
  const diff = forward?.mirrorDiff;
  return {
    name: route.name,
    match: encodeRouteMatch(route.match),
    action: encodeAction(route.action),
    metadata: encodeMetadata({
      [WEFT_METADATA]: {
        ...encodeRetrySettings(forward?.retry, forward?.hedge),
        ...(diff === undefined ? {} : { mirror_diff: diffSetting(diff) }),
        ...routeFilterSettings(route.filters),
      },
    }),
    typedPerFilterConfig: encodeRouteFilters(route.filters),
    ...(bodyBytesMax === undefined ? {} : { perRequestBufferLimitBytes: bodyBytesMax }),
    ...encodeHeaderMutations(route.requestHeaders, route.responseHeaders),
  };
}

function encodeAction(action: Route['action']): NonNullable<MessageInitShape<typeof RouteSchema>['action']> {
  switch (action.kind) {
    case 'forward':
      return { case: 'route', value: encodeForward(action) };
    case 'redirect':
      return { case: 'redirect', value: encodeRedirect(action) };
    case 'direct':
      return { case: 'directResponse', value: encodeDirectResponse(action) };
  }
}

function encodeRouteMatch(match: RouteMatch): MessageInitShape<typeof RouteMatchSchema> {
  return {
    pathSpecifier: encodePath(match.path),
    ...(match.caseSensitive ? {} : { caseSensitive: false }),
    headers: match.headers.map(encodeHeaderMatch),
    queryParameters: match.queryParameters.map(encodeQueryParameterMatch),
    ...(match.share === undefined ? {} : { runtimeFraction: encodeRuntimeFraction(match.share) }),
  };
}

type PathSpecifier = NonNullable<MessageInitShape<typeof RouteMatchSchema>['pathSpecifier']>;

function encodePath({ kind, value }: RouteMatch['path']): PathSpecifier {
  switch (kind) {
    case 'regex':
      return { case: 'safeRegex', value: { regex: value } };
    case 'exact':
      return { case: 'path', value };
    case 'connect':
      return { case: 'connectMatcher', value: {} };
    default:
      return { case: kind, value };
  }
}

const codes = {
  301: Code.MOVED_PERMANENTLY,
  302: Code.FOUND,
  303: Code.SEE_OTHER,
  307: Code.TEMPORARY_REDIRECT,
  308: Code.PERMANENT_REDIRECT,
} as const;

const encodeRedirect = (redirect: RedirectAction): MessageInitShape<typeof RedirectActionSchema> => ({
  responseCode: codes[redirect.status],
  hostRedirect: redirect.host ?? '',
  portRedirect: redirect.port ?? 0,
  ...(redirect.scheme === undefined
    ? {}
    : { schemeRewriteSpecifier: { case: 'schemeRedirect', value: redirect.scheme } }),
  ...(redirect.path === undefined
    ? {}
    : {
        pathRewriteSpecifier: {
          case: redirect.path.kind === 'full' ? 'pathRedirect' : 'prefixRewrite',
          // Empty means "no rewrite" to Envoy; the path that is left without its prefix begins at the root.
          value: redirect.path.value === '' ? '/' : redirect.path.value,
        },
      }),
});

const encodeDirectResponse = ({
  status,
  body,
}: DirectResponseAction): MessageInitShape<typeof DirectResponseActionSchema> => ({
  status,
  ...(body === '' ? {} : { body: { specifier: { case: 'inlineString', value: body } } }),
});
