import type { ResponseHead } from '../http/exchange.ts';
import type { CompiledRoute } from '../route/table.ts';
import type { Chain } from './chain.ts';
import type { RequestContext } from './context.ts';
import { attemptsInResponse, changeResponse } from './forward.ts';
import { addHashCookie } from './request-hash.ts';

/**
 * What the final head of an upstream passes on its way to the client: changes of cluster and route, then those of the
 * connection manager's filters, in the order of their chain. `route` undefined: the request went to a cluster without one.
 */
export function passResponse(
  { headerFormats, filters }: Chain,
  context: RequestContext,
  route: CompiledRoute | undefined,
  head: ResponseHead,
  end: boolean,
): void {
  context.status = head.status;
  context.responseHeaders = head.headers;
  if (route !== undefined) {
    changeResponse(headerFormats, context, head.headers, route, context.matchedCluster);
    attemptsInResponse(head, route, context.attempts);
    addHashCookie(context, head);
  }
  headerFormats.applyFilters(context, head.headers);
  for (const filter of filters.onResponse) filter.onResponse(context, head);
  context.call?.onHead(head, end);
}
