import type { ProxyError } from '../http/errors.ts';

/** Tells an upstream that nobody waits for it any more. */
export const exchangeEnded: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'the exchange with the client is over',
};

export const malformedPath: ProxyError = {
  source: 'downstream',
  flag: 'DPE',
  status: 400,
  retry: 'no',
  detail:
    'malformed request: the path has a percent sign that encodes nothing, or an encoded NUL (RFC 3986 section 2.1)',
};

export const escapedSlash: ProxyError = {
  source: 'downstream',
  flag: 'DPE',
  status: 400,
  retry: 'no',
  detail: 'the path has an encoded slash, which this listener refuses (path_with_escaped_slashes_action)',
};

export function noRoute(detail: string): ProxyError {
  return { source: 'internal', flag: 'NR', status: 404, retry: 'no', detail };
}

/** Only CONNECT has no path, and only a route that says so is for it. */
export const noMatch = (authority: string, method: string, path: string): ProxyError =>
  noRoute(
    path === ''
      ? `no route is for ${method} to ${authority}: of an HTTPRoute a match with method ${method} is (connect_matcher)`
      : `no route of ${authority} matches ${method} ${path}`,
  );

/** Gateway API, HTTPRouteRule.backendRefs: a backend that cannot be resolved answers 500. */
export function noBackend(route: string): ProxyError {
  return {
    source: 'internal',
    flag: 'NC',
    status: 500,
    retry: 'no',
    detail: `route ${route} has no valid backend`,
  };
}

export const upgradeRefused: ProxyError = {
  source: 'downstream',
  flag: 'UAEX',
  status: 403,
  retry: 'no',
  detail: 'this listener does not upgrade to that protocol (upgrade_configs)',
};
