/** Filters of rules and backends, in the words of the model. */
import { type HeaderMutation, noMutation, type PathRewrite, type RedirectAction } from '@weft/policies/model/route';
import type { RouteFilter } from './rules.ts';

type Filters = readonly RouteFilter[] | undefined;
type HeaderModifier = NonNullable<RouteFilter['requestHeaderModifier']>;
type PathModifier = NonNullable<NonNullable<RouteFilter['urlRewrite']>['path']>;

export function headerMutations(filters: Filters): {
  readonly requestHeaders: HeaderMutation;
  readonly responseHeaders: HeaderMutation;
} {
  let requestHeaders = noMutation;
  let responseHeaders = noMutation;
  for (const filter of filters ?? []) {
    if (filter.requestHeaderModifier !== undefined) requestHeaders = mutation(filter.requestHeaderModifier);
    if (filter.responseHeaderModifier !== undefined) responseHeaders = mutation(filter.responseHeaderModifier);
  }
  return { requestHeaders, responseHeaders };
}

const mutation = (modifier: HeaderModifier): HeaderMutation => ({
  set: modifier.set ?? [],
  add: modifier.add ?? [],
  remove: (modifier.remove ?? []).map((name) => name.toLowerCase()),
});

interface UrlRewrite {
  readonly hostRewrite: string | undefined;
  readonly pathRewrite: PathRewrite | undefined;
}

export function urlRewrite(filters: Filters): UrlRewrite {
  const rewrite = filters?.find((filter) => filter.urlRewrite !== undefined)?.urlRewrite;
  return { hostRewrite: rewrite?.hostname, pathRewrite: pathRewrite(rewrite?.path) };
}

function pathRewrite(path: PathModifier | undefined): PathRewrite | undefined {
  if (path === undefined) return undefined;
  if (path.type === 'ReplaceFullPath') return { kind: 'full', value: path.replaceFullPath ?? '/' };
  return { kind: 'prefix', value: path.replacePrefixMatch ?? '/' };
}

export function redirectOf(filters: Filters): RedirectAction | undefined {
  const redirect = filters?.find((filter) => filter.requestRedirect !== undefined)?.requestRedirect;
  if (redirect === undefined) return undefined;
  return {
    kind: 'redirect',
    status: redirect.statusCode,
    scheme: redirect.scheme,
    host: redirect.hostname,
    port: redirect.port,
    path: pathRewrite(redirect.path),
  };
}

/** An extension that nobody here knows: no kind of ours extends routes by reference. */
export const isUnresolvable = (filter: RouteFilter): boolean => filter.type === 'ExtensionRef';

/** What a weighted cluster cannot say: a backend with such a filter gets a route of its own. */
export const actsAlone = (filter: RouteFilter): boolean =>
  filter.type !== 'RequestHeaderModifier' && filter.type !== 'ResponseHeaderModifier';
