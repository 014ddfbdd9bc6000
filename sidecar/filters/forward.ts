import type { ForwardAction, WeightedCluster } from '@weft/policies/model/route';
import type { RequestHead, ResponseHead } from '../http/exchange.ts';
import { applyMutation } from '../route/mutation.ts';
import { rewriteTarget } from '../route/rewrite.ts';
import type { CompiledRoute } from '../route/table.ts';

/** Makes the head what the route wants to be sent; the rule's header changes come before those of the backend. */
export function rewriteRequest(
  head: RequestHead,
  found: CompiledRoute,
  action: ForwardAction,
  cluster: WeightedCluster,
): void {
  const { route } = found;
  applyMutation(head.headers, route.requestHeaders);
  applyMutation(head.headers, cluster.requestHeaders);
  if (action.pathRewrite !== undefined) head.path = rewriteTarget(head.path, action.pathRewrite, route.match.path);
  if (action.hostRewrite !== undefined) head.authority = action.hostRewrite;
}

export function rewriteResponse(head: ResponseHead, found: CompiledRoute, cluster: WeightedCluster): void {
  applyMutation(head.headers, found.route.responseHeaders);
  applyMutation(head.headers, cluster.responseHeaders);
}

/** Whether the response makes a tunnel of an exchange that asked for one (RFC 9110 sections 9.3.6 and 15.2.2). */
export function isTunnelAccepted(method: string, status: number): boolean {
  return status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
}
