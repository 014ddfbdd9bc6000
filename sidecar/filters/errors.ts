import type { ProxyError } from '../http/errors.ts';

/** Tells an upstream that nobody waits for it any more. */
export const exchangeEnded: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'the exchange with the client is over',
};

export function noRoute(detail: string): ProxyError {
  return { source: 'internal', flag: 'NR', status: 404, retry: 'no', detail };
}

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
