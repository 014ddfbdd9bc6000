import type { Replace } from '@weft/policies/kit/linear-replace';
import type { PathRewrite, RedirectAction, RouteMatch } from '@weft/policies/model/route';
import type { RequestHead } from '../http/exchange.ts';
import { hostOf } from './host.ts';
import { pathLength } from './path.ts';

/**
 * The target with its path rewritten and its query kept (Gateway API, HTTPPathModifier). Prefixes are replaced by whole
 * segments: `/foo` to `/xyz` or `/xyz/` both make `/foo/bar` into `/xyz/bar`, and `/foo` to `/` makes it `/bar`.
 */
export function rewriteTarget(target: string, rewrite: PathRewrite, match: RouteMatch['path']): string {
  if (match.kind === 'connect') return target;
  const end = pathLength(target);
  const query = target.slice(end);
  if (rewrite.kind === 'full' || match.kind === 'regex') return rewrite.value + query;
  if (match.kind === 'exact') return (rewrite.value === '' ? '/' : rewrite.value) + query;
  const wholeSegments = match.kind === 'pathSeparatedPrefix' || match.value.endsWith('/');
  if (!wholeSegments) return rewrite.value + target.slice(match.value.length);
  const prefixChars = match.value.endsWith('/') ? match.value.length - 1 : match.value.length;
  const replacement = rewrite.value.endsWith('/') ? rewrite.value.slice(0, -1) : rewrite.value;
  const path = replacement + target.slice(prefixChars, end);
  return (path.startsWith('/') ? path : `/${path}`) + query;
}

/** The path is searched without its query, and goes on being one. */
export function replaceInTarget(target: string, replace: Replace): string {
  const end = pathLength(target);
  if (end === 0) return target;
  const path = replace(target.slice(0, end));
  return (path.startsWith('/') ? path : `/${path}`) + target.slice(end);
}

/** A path that brings a query of its own replaces that of the request (envoy.config.route.v3.RedirectAction, path_redirect). */
function redirectTarget(target: string, path: PathRewrite, match: RouteMatch['path']): string {
  return path.kind === 'full' && path.value.includes('?') ? path.value : rewriteTarget(target, path, match);
}

const WELL_KNOWN_PORT = { http: 80, https: 443 } as const;

/**
 * Location of a redirect (Gateway API, HTTPRequestRedirectFilter): without a port, that of the new scheme, or of the
 * listener when the scheme stays; the well-known port of the scheme is not written.
 */
export function redirectLocation(
  action: RedirectAction,
  match: RouteMatch['path'],
  head: RequestHead,
  listenerPort: number,
): string {
  const scheme = action.scheme ?? head.scheme;
  const host = action.host ?? hostOf(head.authority);
  const wellKnown = scheme === 'http' || scheme === 'https' ? WELL_KNOWN_PORT[scheme] : undefined;
  const port = action.port ?? (action.scheme === undefined ? listenerPort : (wellKnown ?? listenerPort));
  const suffix = port === wellKnown ? '' : `:${port}`;
  const target = action.path === undefined ? head.path : redirectTarget(head.path, action.path, match);
  return `${scheme}://${host}${suffix}${target}`;
}
